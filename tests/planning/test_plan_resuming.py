"""Planning a file that was planned before: the plan that reading every line makes, without reading every line."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from bulkops.api import REFERENCE
from bulkops.checkpoint import StepRow, StepState, line_key, operation_key
from bulkops.checkpoint.rescue import OPENING
from bulkops.engines.feeding import Blocked, Feed
from bulkops.errors import JobError, Stop
from bulkops.jobfile import Given, JobFile
from bulkops.model import State
from bulkops.planning import KNOWN, Selection, known_word, make_plan
from bulkops.planning.resuming import resumed_plan
from tests.planning.planning_jobs import Remembered, get, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulkops.planning import Plan

CLONE = {"op": "agent.clone", "id": "k", "agent_id": "agent_abc123", "copies": 3}
LINES = [get("a"), CLONE, get("b", needs=["a"]), get(), get("c")]
ENVIRON = {"AGENT": "agent_9"}


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Return the path of a job file."""
    return tmp_path / "job.jsonl"


def plan_slowly(
    job: JobFile, remembered: Remembered, selection: Selection, beside: Given | None = None
) -> Plan:
    """Read every line, whatever is remembered."""
    reader = remembered.checkpoint.reader()
    reader.meta = lambda key: None if key == KNOWN else type(reader).meta(reader, key)  # type: ignore[method-assign]
    return make_plan(job, api=REFERENCE, environ=ENVIRON, reader=reader, selection=selection, given=beside)


def plan_quickly(
    job: JobFile, remembered: Remembered, selection: Selection, beside: Given | None = None
) -> Plan | None:
    """Read no line that is done; None when there is doubt."""
    reader = remembered.checkpoint.reader()
    return resumed_plan(job, api=REFERENCE, environ=ENVIRON, reader=reader, selection=selection, given=beside)


def begin(path: Path, remembered: Remembered, beside: Given | None = None) -> str:
    """Plan a job and remember of it what a run remembers when it begins; return that."""
    with JobFile.open(path) as job:
        word = known_word(plan_slowly(job, remembered, Selection(), beside), None)
    asyncio.run(remembered.checkpoint.set_meta(KNOWN, word))
    return word


def quickly(path: Path, remembered: Remembered, beside: Given | None = None) -> Plan | None:
    """Return the quick plan of a job as it stands."""
    with JobFile.open(path) as job:
        return plan_quickly(job, remembered, Selection(), beside)


def fed(plan: Plan) -> list[tuple[bytes, int, str | None]]:
    """Return what a run of a plan would take up at once, in order, and what it would block."""
    feed, found = Feed(plan), []

    async def feed_all() -> None:
        while not feed.exhausted:
            while (item := feed.take()) is not None:
                planned = item.planned if isinstance(item, Blocked) else item
                cause = item.cause if isinstance(item, Blocked) else None
                found.append((planned.key, planned.line.number, cause))
                feed.ended(planned, State.BLOCKED if cause else State.FAILED)
            await feed.read()

    asyncio.run(feed_all())
    return found


def facts(make: Callable[[], Plan], highest: int) -> Any:
    """Return all that can be seen of a plan, or what is refused."""
    try:
        plan = make()
    except (JobError, Stop) as refused:
        return str(refused)
    groups = [
        (plan.groups.left(place), plan.groups.cause(place), place in set(plan.groups.doubtful()))
        for place in range(len(plan.groups))
    ]
    return {
        "counts": (plan.lines, plan.requests, plan.looks, plan.upload_bytes, plan.gone, plan.edited),
        "operations": +plan.operations,
        "states": +plan.states,
        "left": +plan.left,
        "names": (plan.copies, plan.accounts, plan.occurrences.repeated),
        "work": [number for number in range(1, highest + 2) if number in plan.work],
        "groups": groups,
        "fed": fed(plan),
        "word": known_word(plan, None),
    }


def test_an_unchanged_file_is_known_again(job: Path) -> None:
    """Lines that are done are not read: a file of nothing else is planned without parsing a line."""
    remembered = Remembered()
    write(job, [{"$job": {"name": "n"}}, *LINES])
    begin(job, remembered)
    for number, line in enumerate(LINES, 2):
        for index in range(line.get("copies", 1)):
            remembered.end(line, State.DONE, index=index, number=number)
    plan = quickly(job, remembered)
    assert plan is not None
    assert plan.count(State.DONE) == plan.total == 7
    assert plan.left.total() == 0


def test_what_is_given_beside_the_file_is_noticed(job: Path) -> None:
    """A file is known again under the same vars only: another value may make other operations of its lines."""
    remembered = Remembered()
    clone = {**CLONE, "copies": "${var:n}"}
    write(job, [{"$job": {"vars": {"n": 3, "of": "${env:AGENT}"}}}, clone])
    begin(job, remembered)
    for index in range(3):
        remembered.end(clone, State.DONE, index=index, number=2)
    for beside in (None, Given({"n": "3"}), Given({"of": "agent_9"})):
        plan = quickly(job, remembered, beside)
        assert plan is not None
        assert plan.left.total() == 0
    for beside in (Given({"n": "4"}), Given({"of": "agent_8"})):
        assert quickly(job, remembered, beside) is None
    with JobFile.open(job) as opened:
        assert plan_slowly(opened, remembered, Selection(), Given({"n": "4"})).left.total() == 1


def test_a_header_file_is_noticed(job: Path) -> None:
    """A file is known again under what the header file said, not when that says another thing or is not given."""
    remembered = Remembered()
    common = job.with_name("common.json")
    beside = Given(header=write(common, [{"$job": {"defaults": {"agent.clone": {"copies": 2}}}}]))
    clone = {"op": "agent.clone", "id": "k", "agent_id": "a"}
    begin(write(job, [clone]), remembered, beside)
    for index in range(2):
        remembered.end(clone, State.DONE, index=index)
    plan = quickly(job, remembered, beside)
    assert plan is not None
    assert plan.left.total() == 0
    assert quickly(job, remembered) is None
    write(common, [{"$job": {"defaults": {"agent.clone": {"copies": 3}}}}])
    assert quickly(job, remembered, beside) is None


def test_an_appended_file_is_known_again(job: Path) -> None:
    """Lines that were appended are all that is left, and the next run knows them as well."""
    remembered = Remembered()
    write(job, LINES)
    begin(job, remembered)
    remembered.end(LINES[0], State.DONE, number=1)
    write(job, [*LINES, get("d"), get(agent_id="agent_2")])
    with JobFile.open(job) as opened:
        plan = plan_quickly(opened, remembered, Selection())
        assert plan is not None
        assert (plan.lines, plan.left.total()) == (7, 8)
        assert known_word(plan, None) == begin(job, remembered)


@pytest.mark.parametrize(
    "appended",
    [get("a"), get("c"), get(), get("d", needs=["a"]), get(agent_id="${env:AGENT}"), {"op": "agent.got"}],
)
def test_what_is_appended_and_has_to_do_with_what_was_there_is_looked_at(job: Path, appended: Any) -> None:
    """An id twice, an equal line, a reference, a variable or a bad line: every line is read."""
    remembered = Remembered()
    write(job, LINES)
    begin(job, remembered)
    for number, line in enumerate(LINES[:4], 1):
        remembered.end(line, State.DONE, number=number)
    write(job, [*LINES, appended])
    assert quickly(job, remembered) is None


def test_a_last_line_that_goes_on_is_another_one(job: Path) -> None:
    """A file whose last line had no end is known again only where a new line was begun."""
    remembered = Remembered()
    first = orjson.dumps(get("a"))
    job.write_bytes(first)
    begin(job, remembered)
    remembered.end(get("a"), State.DONE)
    job.write_bytes(first + b"\n" + orjson.dumps(get("b")))
    plan = quickly(job, remembered)
    assert plan is not None
    assert plan.left.total() == 1
    job.write_bytes(first + b" ")
    assert quickly(job, remembered) is None


@pytest.mark.parametrize(
    "lines",
    [
        [get(), get()],
        [get(agent_id="${env:AGENT}")],
        [{**CLONE, "id": f"k{number}"} for number in range(5001)],
    ],
)
def test_of_some_files_nothing_is_remembered(job: Path, lines: list[Any]) -> None:
    """Equal lines without ids, variables, more copies than fit: such files are read line by line each time."""
    assert begin(write(job, lines), Remembered()) == ""


def test_line_numbers_of_another_file_are_not_believed(job: Path) -> None:
    """Ends that were written when their lines stood elsewhere are found by reading every line."""
    remembered = Remembered()
    remembered.end(get("a"), State.DONE, number=2)
    assert begin(write(job, [get("a"), get("b")]), remembered) == ""
    assert begin(write(job, [get("b"), get("a")]), remembered)


def test_an_end_that_nobody_promised_makes_it_void(job: Path) -> None:
    """What is remembered holds for the opening of the checkpoint that wrote it, not for a later one without it."""
    remembered = Remembered()
    write(job, LINES)
    begin(job, remembered)
    assert quickly(job, remembered) is not None
    asyncio.run(remembered.checkpoint.set_meta(OPENING, "7"))
    assert quickly(job, remembered) is None


def test_without_the_index_by_key_every_line_is_read(job: Path) -> None:
    """Beside a first run an operation is found by its key only by a look at all of them: not done for each."""
    remembered = Remembered()
    begin(write(job, LINES), remembered)
    reader = remembered.checkpoint.reader()
    reader.indexed = lambda: False  # type: ignore[method-assign]
    with JobFile.open(job) as file:
        found = resumed_plan(file, api=REFERENCE, environ=ENVIRON, reader=reader, selection=Selection())
    assert found is None


def test_what_was_taken_up_again_is_not_believed(job: Path) -> None:
    """An operation between two ends keeps the number of the line that it ended on first: nothing is remembered."""
    remembered = Remembered()
    key = operation_key(line_key("a", b"", 0), 0)
    remembered.checkpoint.note(StepRow(key, -1, "agent.get", 0, StepState.DONE, reply=b'{"line":9}'))
    assert begin(write(job, [get("a")]), remembered) == ""


def test_a_done_line_needs_its_files_no_more(job: Path) -> None:
    """A document that was uploaded may be deleted; one that was not, or whose line was edited, may not."""
    upload = {"op": "document.upload", "id": "u", "file": "gone.md"}
    remembered = Remembered()
    remembered.end(upload, State.DONE)
    plan = partial(plan_slowly, remembered=remembered, selection=Selection())
    with JobFile.open(write(job, [upload])) as done:
        assert plan(done).count(State.DONE) == 1
    for edited in ({**upload, "name": "x"}, {**upload, "id": "v"}):
        with JobFile.open(write(job, [edited])) as other, pytest.raises(JobError, match="does not exist"):
            plan(other)


def test_an_equal_of_a_done_line_needs_its_files(job: Path) -> None:
    """Of two equal lines without ids, the second is not done when the first is: its file is looked for."""
    upload = {"op": "document.upload", "file": "gone.md"}
    remembered = Remembered()
    remembered.end(upload, State.DONE)
    with JobFile.open(write(job, [upload, upload])) as twice, pytest.raises(JobError, match="line 2: `file`"):
        plan_slowly(twice, remembered, Selection())


names = st.sampled_from("abcdef")
lines = st.one_of(
    st.builds(get, names),
    st.builds(lambda name, need: get(name, needs=[need]), names, names),
    st.builds(lambda name, need: get(name, agent_id=f"${{ref:{need}#agent_id}}"), names, names),
    st.builds(lambda name, count: {**CLONE, "id": name, "copies": count}, names, st.integers(1, 3)),
    st.builds(lambda number: get(agent_id=f"agent_{number}"), st.integers(1, 30)),
    st.builds(lambda name: {"op": "agent.clone", "id": name, "agent_id": "a"}, names),
    st.builds(lambda name: {"op": "agent.clone", "use": "t", "id": name, "agent_id": "a"}, names),
    st.builds(lambda name: get(name, on_error="continue", account="x"), names),
    st.builds(lambda name: {"op": "document.upload", "id": name, "file": f"{name}.md"}, names),
    st.sampled_from([b"", b"  "]),
)
appended_lines = st.one_of(
    st.builds(get, st.sampled_from("uvwxyz")),
    st.builds(lambda number: get(agent_id=f"agent_{number}"), st.integers(31, 60)),
    lines,
    st.just(get(agent_id="${env:AGENT}")),
)
headers: st.SearchStrategy[list[Any]] = st.sampled_from(
    [
        [],
        [],
        [{"$job": {"name": "n"}}],
        [{"$job": {"defaults": {"agent.get": {"tags": ["t"]}}}}],
        [{"$job": {"templates": {"t": {"op": "agent.clone", "copies": 2, "on_error": "continue"}}}}],
        [{"$job": {"vars": {"n": 2}, "defaults": {"agent.clone": {"copies": "${var:n}"}}}}],
    ]
)
ends = st.sampled_from(
    [*([State.DONE] * 6), State.FAILED, State.BLOCKED, State.IN_DOUBT, State.SKIPPED, None, None]
)
steps = st.sampled_from([None, None, None, StepState.INTENT, StepState.DONE, StepState.NO_EFFECT])


def good(job: list[Any]) -> list[Any]:
    """Return the lines of a job without those that would have the whole of it refused, as far as that is easy."""
    kept: list[Any] = []
    ids = set[str]()
    for line in job:
        if isinstance(line, bytes):
            kept.append(line)
            continue
        named = line.get("id")
        waits = set(line.get("needs", ()))
        ref = line.get("agent_id", "")
        if ref.startswith("${ref"):
            waits.add(ref[6])
        if named in ids or not waits <= ids:
            continue
        ids |= {named} if named else set()
        kept.append(line)
    return kept


def edited(job: list[Any], how: str, place: int, more: list[Any]) -> list[Any]:
    """Return a job after a user was at it."""
    place %= max(1, len(job))
    match how:
        case "append":
            return [*job, *more]
        case "replace":
            return [*job[:place], *more[:1], *job[place + 1 :]]
        case "remove":
            return [*job[:place], *job[place + 1 :]]
        case "turn":
            return [*job[place:], *job[:place]]
        case "twice":
            return [*job, *job[place : place + 1]]
        case "header":
            return [{"$job": {"about": "another"}}, *job]
        case _:
            return job


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_quick_plan_is_the_slow_one(tmp_path: Path, data: st.DataObject) -> None:
    """For any job, ends, edits and choices: where there is a quick plan, it is in all that of reading every line."""
    draw = data.draw
    for name in "abcde":
        (tmp_path / f"{name}.md").write_bytes(b"x" * ord(name))
    remembered = Remembered()
    path = tmp_path / "job.jsonl"
    job: list[Any] = draw(headers) + good(draw(st.lists(lines, max_size=8)))
    if draw(st.integers(0, 3)) == 0:
        # Something ended before, perhaps when the file was another one.
        _end_some(remembered, job, draw, draw(st.sampled_from([0, 0, 1])))
    write(path, job)
    try:
        begin(path, remembered, _something_beside(path, draw))
    except JobError:
        return
    _end_some(remembered, job, draw, 0)
    more = draw(st.lists(appended_lines, max_size=3))
    how = draw(st.sampled_from(["", *(["append"] * 4), "replace", "remove", "turn", "twice", "header"]))
    job = edited(job, how, draw(st.integers(0, 20)), more)
    write(path, job)
    if draw(st.booleans()):
        path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    selection = Selection(
        failed=draw(st.booleans()),
        in_doubt=draw(st.frozensets(st.sampled_from(["agent.get", "agent.clone"]))),
        changed=draw(st.sampled_from([*([None] * 6), "keep", "rerun"])),
    )
    with JobFile.open(path) as opened:
        beside = _something_beside(path, draw)
        quick = plan_quickly(opened, remembered, selection, beside)
        if quick is not None:
            event("quick")
            slow = partial(plan_slowly, opened, remembered, selection, beside)
            assert facts(lambda: quick, len(job)) == facts(slow, len(job))


def _something_beside(path: Path, draw: Callable[..., Any]) -> Given:
    """Give a job a value for a var, perhaps, where its first line declares one."""
    declared = b'"vars"' in path.read_bytes().partition(b"\n")[0]
    return Given(draw(st.sampled_from([{}, {"n": "2"}, {"n": "3"}]))) if declared else Given()


def _end_some(remembered: Remembered, job: list[Any], draw: Callable[..., Any], shift: int) -> None:
    """Let operations of a job end, or begin, as a run does that sees their lines so much further down."""
    for number, line in enumerate(job, 1):
        if isinstance(line, bytes) or "op" not in line:
            continue
        for index in range(line.get("copies", 1)):
            state, step = draw(ends), draw(steps)
            key = operation_key(line_key(line.get("id"), orjson.dumps(line), 0), index)
            if state is not None:
                remembered.end(line, state, index=index, number=number + shift)
            elif step is not None:
                row = StepRow(key, 0, "agent.clone", 1, step)
                remembered.checkpoint.note(replace(row, entity="e") if step is StepState.DONE else row)
