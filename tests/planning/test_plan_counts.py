"""What a plan counts: operations, states, requests, looks, bytes, chains, what comes again."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.api import REFERENCE
from bulkops.checkpoint import line_key, operation_key
from bulkops.errors import JobError
from bulkops.jobfile import RawLine, open_job
from bulkops.model import State
from bulkops.planning import Selection, make_plan
from tests.planning.planning_jobs import Remembered, get, plan_of, write

if TYPE_CHECKING:
    from pathlib import Path

CLONE = {"op": "agent.clone", "id": "k", "agent_id": "agent_abc123", "copies": 20}
SIMULATE = {
    "op": "agent.simulate",
    "id": "s",
    "agent_id": "agent_abc123",
    "repeat": 5,
    "body": {"scenario": "x"},
}


def test_operations_are_counted_by_kind_and_state(tmp_path: Path) -> None:
    """Each copy is an operation; states are those of the checkpoint, and what is left is what a run takes up."""
    remembered = Remembered()
    remembered.end(CLONE, State.DONE, index=3)
    remembered.end(CLONE, State.FAILED, index=4)
    remembered.end(CLONE, State.IN_DOUBT, index=5)
    plan = plan_of(write(tmp_path / "job.jsonl", [CLONE, SIMULATE, get()]), remembered)
    assert plan.total == 26
    assert plan.operations == {"agent.clone": 20, "agent.simulate": 5, "agent.get": 1}
    assert plan.left == {"agent.clone": 17, "agent.simulate": 5, "agent.get": 1}
    assert (plan.count(State.DONE), plan.count(State.FAILED), plan.count(State.IN_DOUBT)) == (1, 1, 1)
    assert plan.count(State.NOT_STARTED) == 23


def test_upload_bytes_are_those_that_are_left(tmp_path: Path) -> None:
    """The size of files counts for uploads that are not done."""
    (tmp_path / "a.md").write_bytes(b"x" * 1000)
    (tmp_path / "b.md").write_bytes(b"x" * 30)
    lines = [{"op": "document.upload", "id": name, "file": f"{name}.md"} for name in "ab"]
    remembered = Remembered()
    remembered.end(lines[0], State.DONE)
    assert plan_of(write(tmp_path / "job.jsonl", lines), remembered).upload_bytes == 30


def test_what_is_looked_for_by_name_is_counted(tmp_path: Path) -> None:
    """The listing is read once for each account; `update` counts the look and the change, `skip` the create at most."""
    new = {"op": "agent.create", "body": {"name": "x"}}
    lines = [
        {**new, "id": f"{way}{n}", "if_exists": way} for way in ("update", "skip", "error") for n in (1, 2)
    ]
    lines += [{**lines[0], "id": "eu", "account": "eu"}, {**new, "id": "plain", "if_exists": "create"}]
    plan = plan_of(write(tmp_path / "job.jsonl", lines))
    asked = {"agent.get": 3, "agent.update": 3, "agent.create": 5, "agent.list": 2}
    assert {name: count for name, count in plan.requests_by_endpoint.items() if count} == asked
    assert plan.requests == plan.requests_by_kind["agent.create"] == sum(asked.values())
    assert plan.load("eu", "own").requests == 3
    assert plan_of(tmp_path / "job.jsonl", None, Selection(before=False)).requests == plan.requests - 3


def test_rows_that_are_not_read_yet_are_counted_as_a_page(tmp_path: Path) -> None:
    """Of each listing, however often it is named."""
    each = {"$each": {"op": "agent.list"}, "line": {"op": "agent.get", "agent_id": "${row:agent_id}"}}
    eu = {**each, "$each": {"op": "agent.list", "account": "eu"}}
    job = write(tmp_path / "job.jsonl", [each, eu, each, get()])
    with open_job(job, listed=tmp_path) as file:
        plan = make_plan(file, api=REFERENCE, environ={})
    assert (plan.requests, plan.requests_by_endpoint) == (3, {"agent.list": 2, "agent.get": 1})
    assert plan.load("eu", "own").requests == 1


def test_requests_are_counted_by_kind_and_by_endpoint(tmp_path: Path) -> None:
    """What is left is told by kind and by endpoint, and both add up to the requests; what is shared counts once."""
    (tmp_path / "a.md").write_text("x")
    upload = {"op": "document.upload", "file": "a.md", "index": {"model": "m"}}
    remembered = Remembered()
    remembered.end(CLONE, State.DONE, index=3)
    plan = plan_of(write(tmp_path / "job.jsonl", [CLONE, SIMULATE, get(), upload]), remembered)
    assert plan.lines_by_kind == {
        "agent.clone": 1,
        "agent.simulate": 1,
        "agent.get": 1,
        "document.upload": 1,
    }
    assert plan.requests_by_kind == {
        "agent.clone": 20,
        "agent.simulate": 5,
        "agent.get": 1,
        "document.upload": 2,
    }
    by_endpoint = {"agent.create": 19, "agent.get": 2, "agent.simulate": 5}
    assert plan.requests_by_endpoint == {**by_endpoint, "document.upload": 1, "document.index": 1}
    assert plan.requests_by_kind.total() == plan.requests_by_endpoint.total() == plan.requests == 28
    assert plan.awaited == {"index": 1}


def test_the_depth_is_the_longest_chain_of_lines(tmp_path: Path) -> None:
    """Needs, references and tags make chains, of lines with or without an id; where nothing waits, the depth is 1."""
    lines = [get("a"), get("b", needs=["a"]), get("c", agent_id="${ref:b#agent_id}"), get("d", needs=["a"])]
    assert plan_of(write(tmp_path / "job.jsonl", lines)).depth == 3
    assert plan_of(write(tmp_path / "flat.jsonl", [get("a"), get()])).depth == 1
    last = [get("a", tags=["t"]), get("b", tags=["t"], needs=["a"]), get(None, needs=["@t"])]
    assert plan_of(write(tmp_path / "tags.jsonl", last)).depth == 3


def test_what_stands_there_several_times_is_counted(tmp_path: Path) -> None:
    """Lines equal but for their ids, names given to several agents and files sent twice count once each."""
    (tmp_path / "a.md").write_text("x")
    (tmp_path / "b.md").write_text("x")
    upload = {"op": "document.upload", "file": "a.md"}
    create = {"op": "agent.create", "body": {"name": "A", "conversation_config": {}}}
    lines = [
        get("one"),
        get("two"),
        get("three"),
        get("other", agent_id="agent_else"),
        {**create, "id": "x"},
        {"op": "agent.create", "body": {"name": "A", "conversation_config": {}, "platform": 1}},
        {"op": "agent.clone", "agent_id": "agent_1", "name": "B ${copy}", "copies": 3},
        {"op": "agent.clone", "agent_id": "agent_1", "name": "C", "copies": 3},
        upload,
        {**upload, "name": "again"},
        {**upload, "file": "b.md"},
    ]
    path = write(tmp_path / "job.jsonl", lines)
    duplicates = plan_of(path, None, Selection(closely=True)).duplicates
    assert duplicates is not None
    assert duplicates.counts() == {"lines": 1, "names": 2, "files": 1}
    assert plan_of(path).duplicates is None


def test_what_is_done_is_no_duplicate(tmp_path: Path) -> None:
    """Of two equal lines of which one is done, the other is not told as one that comes again."""
    remembered = Remembered()
    remembered.end(get("one"), State.DONE)
    plan = plan_of(
        write(tmp_path / "job.jsonl", [get("one"), get("two")]), remembered, Selection(closely=True)
    )
    assert plan.duplicates is not None
    assert plan.duplicates.counts()["lines"] == 0


def test_a_finished_job_has_nothing_left(tmp_path: Path) -> None:
    """A job whose operations are all done takes no requests."""
    remembered = Remembered()
    remembered.end(get("a"), State.DONE)
    plan = plan_of(write(tmp_path / "job.jsonl", [get("a")]), remembered)
    assert (plan.left.total(), plan.requests, plan.looks) == (0, 0, 0)
    assert 1 not in plan.work


states = st.sampled_from(
    [State.DONE, State.FAILED, State.BLOCKED, State.IN_DOUBT, State.SKIPPED, State.NOT_STARTED]
)
jobs = st.lists(
    st.tuples(st.integers(0, 3), st.booleans(), st.lists(states, min_size=1, max_size=3)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(jobs, st.booleans(), st.booleans())
def test_a_plan_agrees_with_a_plain_model(
    tmp_path: Path,
    lines: list[tuple[int, bool, list[State]]],
    failed: bool,  # noqa: FBT001 - hypothesis chooses it
    in_doubt: bool,  # noqa: FBT001 - hypothesis chooses it
) -> None:
    """For any lines (equal ones too) in any states: left and settled make the total, and so says a plain model."""
    remembered, written, seen = Remembered(), [], dict[bytes, int]()
    expected: list[tuple[bytes, State]] = []
    for place, (name, named, ends) in enumerate(lines, 1):
        line: dict[str, Any] = {"op": "agent.clone", "agent_id": f"agent_{name}", "copies": len(ends)}
        if named:
            line["id"] = f"id{place}"
        raw = orjson.dumps(line)
        occurrence = seen[raw] = seen.get(raw, -1) + 1
        for index, state in enumerate(ends):
            key = operation_key(line_key(line.get("id"), raw, occurrence), index)
            expected.append((key, state))
            if state is not State.NOT_STARTED:
                remembered.end(line, state, index=index, occurrence=occurrence, number=place)
        written.append(line)
    path = write(tmp_path / "job.jsonl", written)
    plan = plan_of(
        path, remembered, Selection(failed=failed, in_doubt=frozenset({"agent.clone"} if in_doubt else ()))
    )

    again = {State.NOT_STARTED, State.BLOCKED}
    again |= ({State.FAILED} if failed else set()) | ({State.IN_DOUBT} if in_doubt else set())
    left = [key for key, state in expected if state in again]
    settled = [key for key, state in expected if state not in again]
    assert plan.total == len(expected) == plan.left.total() + len(settled)
    assert plan.left.total() == len(left)
    for state in State:
        assert plan.count(state) == sum(of is state for _, of in expected)
    place = 0
    for number, line in enumerate(written, 1):
        parsed = plan_line(plan, number, line)
        key = plan.key_of(parsed.id, parsed.raw)
        operations = list(plan.planned(parsed, key))
        assert [operation.key for operation in operations] == [
            key for key, _ in expected[place : place + parsed.count]
        ]
        takes = [plan.takes_up(operation.key, parsed) for operation in operations]
        assert takes == [state in again for _, state in expected[place : place + parsed.count]]
        assert (number in plan.work) == any(takes)
        place += parsed.count


def plan_line(plan: Any, number: int, line: dict[str, Any]) -> Any:
    """Return a line as the plan reads it."""
    return plan.parse(RawLine(number, 0, orjson.dumps(line)))


MEMORY = """
import os, resource, sys
from bulkops.api import REFERENCE
from bulkops.jobfile import JobFile
from bulkops.planning import make_plan
from pathlib import Path

def peak(path):
    with JobFile.open(path) as job:
        plan = make_plan(job, api=REFERENCE, environ={})
    return plan, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

_, before = peak(Path(sys.argv[1]))
plan, after = peak(Path(sys.argv[2]))
print(plan.total, after - before)
"""


@pytest.mark.parametrize(("number", "with_id"), [(200_000, True), (80_000, False)])
def test_a_plan_takes_a_few_bytes_per_line(tmp_path: Path, number: int, with_id: bool) -> None:  # noqa: FBT001 - a parameter
    """Lines by the hundred thousand take less than 20 bytes each on top of what a small job takes."""
    small = write(tmp_path / "small.jsonl", [get(f"g{n}") for n in range(3000)])
    with (tmp_path / "large.jsonl").open("w") as large:
        for n in range(number):
            own = f'"id": "line-{n}", ' if with_id else ""
            large.write(f'{{"op": "agent.get", {own}"agent_id": "agent_{n}"}}\n')
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, small, large.name], capture_output=True, text=True, check=True
    )
    total, grown = map(int, done.stdout.split())
    assert total == number
    assert grown < number * 20 + 2 * 2**20


def test_an_empty_job_is_refused_in_words(tmp_path: Path) -> None:
    """A file without lines is an error that shows what a line looks like; one with a header only as well."""
    with pytest.raises(JobError, match="is empty; write lines such as"):
        plan_of(write(tmp_path / "job.jsonl", []))
    with pytest.raises(JobError, match="has a header and no lines"):
        plan_of(write(tmp_path / "job.jsonl", [{"$job": {"name": "x"}}]))
