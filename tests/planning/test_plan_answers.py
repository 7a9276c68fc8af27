"""What results are asked for, and what they have by the documented answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulkops.api import LIVE
from bulkops.model import State
from bulkops.operations import KINDS
from bulkops.planning.answers import Answer
from tests.planning.planning_jobs import Remembered, get, plan_of, problems_of, write

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.operation import Operation

NEW = {"op": "agent.create", "id": "new", "body": {"name": "x"}}
ALL = {"op": "agent.list", "id": "all"}


def asking(path: str, line_id: str = "new") -> dict[str, Any]:
    """Return a line that asks for something of another one's result."""
    return {"op": "agent.update", "agent_id": "a", "body": {"note": ["x", f"see ${{ref:{line_id}#{path}}}"]}}


def noted(path: Path, lines: list[Any], remembered: Remembered | None = None) -> list[str]:
    """Return what the plan of a job notes of fields that are not documented."""
    return [str(problem) for problem in plan_of(write(path / "job.jsonl", lines), remembered).undocumented]


def test_a_field_that_is_not_documented_is_noted(tmp_path: Path) -> None:
    """The note names line and field, what was probably meant, and what is documented."""
    (note,) = noted(tmp_path, [NEW, get("g"), asking("agentid")])
    assert note.endswith(
        "line 3: `body.note.1` asks for `agentid` of line new, and agent.create is not documented to answer it "
        "(did you mean `agent_id`?); it has: agent_id, created_at, name"
    )


@pytest.mark.parametrize("path", ["agent_id", "created_at", "name.0.deeper"])
def test_documented_fields_are_not_noted(tmp_path: Path, path: str) -> None:
    """What the documented answer has is taken without a word, and of what lies deeper nothing is said."""
    assert noted(tmp_path, [asking(path), NEW]) == []


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ({**NEW, "if_exists": "update"}, "existed"),
        ({**NEW, "if_exists": "update"}, "updated"),
        ({**NEW, "expect": {"readback": "equal"}}, "differences"),
        ({"op": "agent.update", "id": "new", "agent_id": "a", "replace": {"doc_1": "doc_2"}}, "unchanged"),
        ({"op": "agent.update", "id": "new", "agent_id": "a", "replace": {"doc_1": "doc_2"}}, "name"),
        ({"op": "agent.delete", "id": "new", "agent_id": "a"}, "gone"),
    ],
)
def test_what_a_result_has_sometimes_is_not_noted(tmp_path: Path, source: Any, field: str) -> None:
    """Fields of ours that come only where something was there already are known as well."""
    assert noted(tmp_path, [source, asking(field)]) == []


@pytest.mark.parametrize(
    ("source", "field", "has"),
    [
        (ALL, "agents", "count"),
        ({"op": "conversation.get", "id": "all", "conversation_id": "c"}, "transcript", "agent_id, "),
    ],
)
def test_a_field_that_can_never_be_there_is_an_error(
    tmp_path: Path, source: Any, field: str, has: str
) -> None:
    """Where the result is ours, whatever is answered, the job is refused."""
    ((line, place, message),) = problems_of(
        write(tmp_path / "job.jsonl", [source, asking(f"{field}.0", "all")])
    )
    assert (line, place) == (2, "body.note.1")
    assert f"asks for `{field}` of line all, and {source['op']} never tells it; it has: {has}" in message


def test_what_a_line_does_not_ask_for_is_noted(tmp_path: Path) -> None:
    """Of two lines of a kind each has the fields of what it does."""
    (tmp_path / "a.md").write_text("x")
    upload = {"op": "document.upload", "id": "new", "file": "a.md"}
    assert noted(tmp_path, [{**upload, "index": {"model": "m"}}, asking("embedding_model")]) == []
    assert len(noted(tmp_path, [upload, asking("embedding_model")])) == 1


def test_what_is_collected_is_looked_at(tmp_path: Path) -> None:
    """One line with the tag whose answer is not documented to have the field is enough."""
    collected = {"$collect": {"tag": "t", "field": "tool_id"}}
    asks = {"op": "agent.update", "agent_id": "a", "body": {"tools": collected}}
    tool = {"op": "tool.create", "tags": ["t"], "body": {"name": "x"}}
    assert noted(tmp_path, [tool, asks]) == []
    (note,) = noted(tmp_path, [tool, {**get(), "tags": ["t"]}, asks])
    assert "line 3: `body.tools` asks for `tool_id` of the lines with the tag 't', and agent.get is" in note


def test_a_result_that_is_there_is_not_doubted(tmp_path: Path) -> None:
    """What is done has its result, whatever is documented."""
    remembered = Remembered()
    remembered.end(NEW, State.DONE)
    assert noted(tmp_path, [NEW, asking("secret")], remembered) == []


@pytest.mark.parametrize("op", KINDS)
def test_only_listings_tell_nothing_that_they_do_not_name(op: str) -> None:
    """Of every other kind an answer may have more than is documented, and the result has it then."""
    kind: type[Operation] = KINDS[op]
    operation = kind(**{key: value for key, value in kind.example.items() if key not in ("op", "id")})
    assert Answer(LIVE, op, [operation]).may_have("more") is not kind.lists
