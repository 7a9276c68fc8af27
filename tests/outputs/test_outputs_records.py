from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.model import Created, Failure, Outcome, State
from bulkops.outputs.records import display_id, record
from bulkops.outputs.saved import Saved

if TYPE_CHECKING:
    from bulkops.model import Json


def made(outcome: Outcome, **changes: Json) -> bytes:
    """Return a record whose fields are of no interest but these."""
    fields: dict[str, Json] = {
        "id": "one", "line": 3, "index": 0, "count": 1, "kind": "agent.create", "meta": None,
        "started": 0.0, "ended": 1.5, "files": [],
    }  # fmt: skip
    return record(outcome=outcome, **{**fields, **changes})


def test_a_record_has_its_fields_in_order() -> None:
    """A record is one compact JSON line with all its fields, in the documented order."""
    outcome = Outcome(State.DONE, {"agent_id": "a1"}, created=(Created("agent", "a1"),), attempts=2)
    assert made(outcome, files=[Saved("lists/x.jsonl", 7, "00ff")], meta={"owner": "me"}) == (
        b'{"id":"one","line":3,"op":"agent.create","status":"done","result":{"agent_id":"a1"},"error":null,'
        b'"attempts":2,"created":[{"kind":"agent","id":"a1"}],'
        b'"files":[{"path":"lists/x.jsonl","bytes":7,"sha256":"00ff"}],"meta":{"owner":"me"},'
        b'"started_at":"1970-01-01T00:00:00.000Z","ended_at":"1970-01-01T00:00:01.500Z","duration_ms":1500}'
    )


def test_a_failure_tells_code_message_and_marks() -> None:
    """A failed operation's record carries its error whole."""
    outcome = Outcome(State.FAILED, failure=Failure("bad", "It is bad.", 400, "req_1"))
    assert orjson.loads(made(outcome))["error"] == {
        "code": "bad", "message": "It is bad.", "http_status": 400, "request_id": "req_1",
    }  # fmt: skip


def test_a_check_and_a_duplicate_are_told_where_they_are() -> None:
    """`passed` and `possible_duplicate` stand only in records they say something about."""
    plain = orjson.loads(made(Outcome(State.DONE)))
    told = orjson.loads(made(Outcome(State.DONE, passed=False, possible_duplicate=True)))
    assert "passed" not in plain
    assert "possible_duplicate" not in plain
    assert list(told)[-2:] == ["passed", "possible_duplicate"]
    assert (told["passed"], told["possible_duplicate"]) == (False, True)


@pytest.mark.parametrize(
    ("id_", "index", "count", "shown"),
    [("a", 0, 1, "a"), ("a", 0, 3, "a[1]"), ("a", 2, 3, "a[3]"), (None, 1, 3, None)],
)
def test_operations_of_a_line_are_numbered_from_one(
    id_: str | None, index: int, count: int, shown: str | None
) -> None:
    """The display id is the line's, with a number where the line has several operations."""
    assert display_id(id_, index, count) == shown


@given(st.floats(0, 4e9), st.floats(-1e4, 1e6))
def test_times_are_rfc_3339(started: float, took: float) -> None:
    """Times are UTC with milliseconds, and no duration is negative."""
    told = orjson.loads(made(Outcome(State.DONE), started=started, ended=max(0.0, started + took)))
    assert abs(datetime.fromisoformat(told["started_at"]).timestamp() - started) <= 0.001
    assert len(told["started_at"]) == len("1970-01-01T00:00:00.000Z")
    assert told["duration_ms"] >= 0
