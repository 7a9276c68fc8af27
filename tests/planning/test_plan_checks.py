"""What a plan refuses, in words that name the line; and what it lets pass."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulkops.checkpoint import line_key, operation_key, spelled
from bulkops.errors import JobError, Stop
from bulkops.jobfile import RawLine, problems_text
from bulkops.model import State
from bulkops.planning import Selection
from tests.planning.planning_jobs import Remembered, get, plan_of, problems_of, write

if TYPE_CHECKING:
    from pathlib import Path

CLONE = {"op": "agent.clone", "id": "k", "agent_id": "agent_abc123", "copies": 3}


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Return the path of a job file."""
    return tmp_path / "job.jsonl"


@pytest.mark.parametrize("between", [0, 5000])
def test_an_id_twice_is_an_error(job: Path, between: int) -> None:
    """An id that stands on two lines, however far apart, is named with both."""
    write(job, [get("a"), *[get(f"g{n}") for n in range(between)], get("a")])
    [(line, field, message)] = problems_of(job)
    assert (line, field) == (between + 2, "id")
    assert "'a' is on line 1 already" in message


def test_each_further_line_with_the_id_is_told(job: Path) -> None:
    """Three lines with one id are two errors."""
    write(job, [get("a"), get("a"), {**get(), "custom_id": "a"}])
    assert [line for line, _, _ in problems_of(job)] == [2, 3]


def test_a_line_beside_its_twin_with_a_made_id_is_an_error(job: Path) -> None:
    """A corrected line that was copied from failed.jsonl beside its original would be the same operation twice."""
    twin = {**get(agent_id="agent_2"), "id": spelled(line_key(None, orjson.dumps(get()), 1))}
    write(job, [get(), get("x"), get(), twin])
    [(line, _, message)] = problems_of(job)
    assert line == 3
    assert "keep one of the two" in message
    write(job, [get(), get("x"), twin])
    assert plan_of(job).total == 3


def test_what_is_wrong_is_told_once(job: Path) -> None:
    """A bad line in a file that is read a second time (for double ids) is one problem."""
    write(job, [get("a"), get("a"), {"op": "agent.got"}])
    assert sorted(line or 0 for line, _, _ in problems_of(job)) == [2, 3]


def test_references_forward_and_backward_are_fine(job: Path) -> None:
    """A line may wait for one that comes later."""
    write(job, [get("b", needs=["a"]), get("a"), {"op": "agent.get", "agent_id": "${ref:b#agent_id}"}])
    assert len(plan_of(job).groups) == 2


@pytest.mark.parametrize("line", [get(needs=["x"]), {"op": "agent.get", "agent_id": "${ref:x#agent_id}"}])
def test_a_reference_to_nothing_is_an_error(job: Path, line: dict[str, Any]) -> None:
    """A line that waits for an id that no line has is named."""
    write(job, [get("a"), line])
    [(number, _, message)] = problems_of(job)
    assert number == 2
    assert "'x'" in message


def test_a_line_that_waits_for_a_bad_one_is_not_bad(job: Path) -> None:
    """The id of a line that is wrong otherwise is known: only that line is told."""
    write(job, [{"op": "agent.get", "id": "a"}, get("b", needs=["a"])])
    assert [(line, field) for line, field, _ in problems_of(job)] == [(1, "agent_id")]


def test_a_circle_is_an_error(job: Path) -> None:
    """Two lines that wait for each other are shown."""
    write(job, [get("a", needs=["b"]), get("b", needs=["a"])])
    [(line, _, message)] = problems_of(job)
    assert line == 1
    assert "in a circle" in message
    assert "take one `needs` or reference out" in message


def test_a_circle_of_ten_thousand_lines_is_found(job: Path) -> None:
    """A circle may be of any length; ten names of it are shown."""
    write(job, [get(f"n{n}", needs=[f"n{(n + 1) % 10_000}"]) for n in range(10_000)])
    [(_, _, message)] = problems_of(job)
    assert message.count("→") == 10
    assert len(message) < 200


@pytest.mark.parametrize("way", ["needs", "ref"])
def test_a_number_beyond_the_copies_is_an_error(job: Path, way: str) -> None:
    """`ID[N]` beyond the operations of the line is named with how many there are."""
    waits = get(needs=["k[4]"]) if way == "needs" else {"op": "agent.get", "agent_id": "${ref:k[4]#agent_id}"}
    write(job, [waits, CLONE])
    [(line, _, message)] = problems_of(job)
    assert line == 1
    assert "has 3 operations" in message


def test_a_value_of_one_of_several_needs_its_number(job: Path) -> None:
    """A reference to a line with copies has to say which; `needs` may mean them all."""
    write(job, [CLONE, get(needs=["k"]), {"op": "agent.get", "agent_id": "${ref:k#agent_id}"}])
    [(line, _, message)] = problems_of(job)
    assert line == 3
    assert "k[1]" in message


def test_a_number_of_a_line_with_one_operation_is_fine(job: Path) -> None:
    """`ID[1]` means the only one."""
    write(job, [get("a"), get(needs=["a[1]"])])
    assert plan_of(job).total == 2


def test_a_hundred_problems_are_shown_and_all_are_kept(job: Path) -> None:
    """Of two hundred and fifty bad lines all are found; a hundred are shown, with the number of the others."""
    write(job, [{"op": "agent.get"} for _ in range(250)])
    with pytest.raises(JobError) as caught:
        plan_of(job)
    assert len(caught.value.problems) == 250
    shown = problems_text(caught.value.problems).splitlines()
    assert len(shown) == 101
    assert shown[-1] == "… and 150 more"


def test_an_account_that_the_user_does_not_have_is_an_error(job: Path) -> None:
    """A line that names an account which is not there is named, with what to do and a name much like it."""
    plan = plan_of(write(job, [get(account="here"), get(account="there"), get("x", account="there")]))
    with pytest.raises(JobError) as caught:
        plan.check_accounts({"here"})
    [problem] = caught.value.problems
    assert problem.line == 2
    assert "'there' is none of yours" in problem.message
    assert "did you mean `here`? Write one of them, add it to the accounts file" in problem.message
    plan.check_accounts({"here", "there"})


def test_a_line_that_turned_bad_is_told_in_words(job: Path) -> None:
    """A line that was good when the run began and is not any more stops the run with its place."""
    plan = plan_of(write(job, [get("a")]))
    with pytest.raises(Stop, match=r"line 7.*run again"):
        plan.parse(RawLine(7, 0, b'{"op": "agent.get", "agent_id": "${env:GONE}"}'))


def done(*lines: dict[str, Any]) -> Remembered:
    """Return a checkpoint in which these lines are done."""
    remembered = Remembered()
    for number, line in enumerate(lines, 1):
        remembered.end(line, State.DONE, number=number)
    return remembered


def test_done_lines_that_are_gone_are_refused_with_a_list(job: Path) -> None:
    """When done lines were edited or removed, the run is refused and each is named, with the ways out."""
    other = {"op": "agent.get", "agent_id": "agent_1"}
    remembered = done(get("a"), other, get("b"))
    write(job, [get("b"), {**other, "agent_id": "agent_2"}])
    messages = [message for _, _, message in problems_of(job, remembered)]
    assert messages[:2] == [
        "line 1 (a) was done and is not there any more",
        "line 2 (agent.get) was done and is not there any more",
    ]
    assert "--changed keep" in messages[2]
    assert "--changed rerun" in messages[2]


def test_many_that_are_gone_are_counted(job: Path) -> None:
    """Twenty of those that are gone are shown, and the number of the others."""
    remembered = done(*[get(f"g{n}") for n in range(50)])
    messages = [message for _, _, message in problems_of(write(job, [get("x")]), remembered)]
    assert len(messages) == 22
    assert messages[20] == "… and 30 more"


def test_copies_that_are_gone_count_too(job: Path) -> None:
    """A done line with fewer copies than before is refused as well."""
    remembered = Remembered()
    for index in range(3):
        remembered.end(CLONE, State.DONE, index=index)
    assert len(problems_of(write(job, [{**CLONE, "copies": 2}]), remembered)) == 2


@pytest.mark.parametrize("changed", ["keep", "rerun"])
def test_what_is_gone_can_be_let_go(job: Path, changed: str) -> None:
    """With --changed the run goes on without what is gone."""
    plan = plan_of(write(job, [get("b")]), done(get("a")), Selection(changed=changed))
    assert plan.left == {"agent.get": 1}


@pytest.mark.parametrize(("changed", "left"), [(None, 0), ("keep", 0), ("rerun", 1)])
def test_an_edited_done_line_with_id_is_done_again_only_by_rerun(
    job: Path, changed: str | None, left: int
) -> None:
    """An edit of a done line with an id counts with `--changed rerun` and not otherwise."""
    edited = {**get("a"), "agent_id": "agent_2"}
    remembered = done(get("a"), get("b"))
    plan = plan_of(write(job, [edited, get("b")]), remembered, Selection(changed=changed))
    assert plan.left.total() == left


def test_appended_lines_just_work(job: Path) -> None:
    """A new line behind, before or between done ones is what is left."""
    plan = plan_of(write(job, [get("x"), get("a"), get("y"), get("b")]), done(get("a"), get("b")))
    assert plan.left.total() == 2
    assert [number in plan.work for number in (1, 2, 3, 4)] == [True, False, True, False]


def test_an_edited_failed_line_is_taken_up(job: Path) -> None:
    """A failed line that was corrected is done by the next run; one that was not is left to `retry`."""
    remembered = Remembered()
    for line in (get("a"), get("b")):
        remembered.end(line, State.FAILED)
    plan = plan_of(write(job, [{**get("a"), "agent_id": "agent_2"}, get("b")]), remembered)
    assert [number in plan.work for number in (1, 2)] == [True, False]
    assert plan_of(job, remembered, Selection(failed=True)).left.total() == 2


def test_what_is_in_doubt_is_never_taken_up_by_an_edit(job: Path) -> None:
    """A line in doubt is done again only on the user's word, edited or not."""
    remembered = Remembered()
    remembered.end(get("a"), State.IN_DOUBT)
    write(job, [{**get("a"), "agent_id": "agent_2"}])
    assert plan_of(job, remembered, Selection(failed=True, changed="rerun")).left.total() == 0
    assert plan_of(job, remembered, Selection(in_doubt=frozenset({"agent.get"}))).left.total() == 1


def test_equal_lines_are_distinct_and_resumable(job: Path) -> None:
    """Of four equal lines without id the two that are done are not left, wherever other lines stand."""
    remembered = Remembered()
    for occurrence in (0, 1):
        remembered.end(get(), State.DONE, occurrence=occurrence)
    plan = plan_of(write(job, [get(), get("x"), get(), get(), get()]), remembered)
    assert (plan.total, plan.left.total(), plan.count(State.DONE)) == (5, 3, 2)
    assert [number in plan.work for number in range(1, 6)] == [False, True, False, True, True]


def test_a_changed_header_counts_only_for_what_is_not_done(job: Path) -> None:
    """Other defaults change no identity: done lines stay done, the others get the new defaults."""
    lines = [{"op": "agent.clone", "id": name, "agent_id": "agent_1"} for name in "ab"]
    remembered = done(lines[0])
    write(job, [{"$job": {"defaults": {"agent.clone": {"name": "New"}}}}, *lines])
    plan = plan_of(job, remembered)
    assert plan.left.total() == 1
    assert plan.parse(RawLine(3, 0, orjson.dumps(lines[1]))).fields["name"] == "New"


def test_a_failed_file_uses_header_and_ids_of_its_base(tmp_path: Path, job: Path) -> None:
    """The lines of a failed.jsonl get the header's defaults of the job they are a part of, and may refer to it."""
    write(job, [{"$job": {"defaults": {"agent.clone": {"name": "N"}}}}, get("a"), {**CLONE, "needs": ["a"]}])
    failed = write(tmp_path / "failed.jsonl", [{**CLONE, "needs": ["a"]}])
    remembered = done(get("a"))
    remembered.end({**CLONE, "needs": ["a"]}, State.FAILED)
    plan = plan_of(failed, remembered, Selection(failed=True), job)
    assert plan.header.defaults == {"agent.clone": {"name": "N"}}
    assert plan.left.total() == 3
    assert plan_of(write(failed, []), remembered, None, job).total == 0


def test_a_failed_file_knows_the_copies_of_its_base(tmp_path: Path, job: Path) -> None:
    """A line of a failed.jsonl may refer to a copy of a done line, whose number the header may give."""
    waits = {"op": "agent.get", "id": "g", "agent_id": "${ref:k[3]#agent_id}", "needs": ["c"]}
    clone = {"op": "agent.clone", "id": "k", "agent_id": "agent_1"}
    write(job, [{"$job": {"defaults": {"agent.clone": {"copies": 3}}}}, clone, get("c", on_error="continue")])
    failed = write(tmp_path / "failed.jsonl", [waits])
    plan = plan_of(failed, Remembered(), None, job)
    assert plan.copies == {"k": 3}
    assert len(plan.groups) == 2
    write(failed, [{**waits, "agent_id": "${ref:k[4]#agent_id}"}])
    with pytest.raises(JobError, match="has 3 operations"):
        plan_of(failed, Remembered(), None, job)


def test_a_tag_that_nobody_has_is_an_error(job: Path) -> None:
    """A line that waits for a tag without lines is named, with the tag that may be meant."""
    write(job, [get("a", tags=["handbook"]), get(needs=["@handbok"]), get("c", tags=["other"])])
    [(line, _, message)] = problems_of(job)
    assert line == 2
    assert (
        message == "waits for all lines with the tag 'handbok', and there are none; did you mean `handbook`?"
    )


def test_a_tag_of_a_bad_line_is_not_missing(job: Path) -> None:
    """Where the only line with a tag is wrong, that alone is told."""
    write(job, [{"op": "agent.get", "tags": ["t"]}, get(needs=["@t"])])
    assert [line for line, _, _ in problems_of(job)] == [1]


def test_a_circle_through_a_tag_is_an_error(job: Path) -> None:
    """A line that a tagged line waits for cannot wait for the tag, even where the tagged one has no id."""
    write(job, [get("a", needs=["@t"]), get(tags=["t"], needs=["a"])])
    [(line, _, message)] = problems_of(job)
    assert line == 1
    assert "in a circle of lines: a → @t → line 2;" in message
    write(job, [get(tags=["t", "u"], needs=["@v"]), get(tags=["v"], needs=["@u"])])
    assert "in a circle" in problems_of(job)[0][2]


def test_tags_are_counted_by_operation(job: Path) -> None:
    """What waits for a tag waits for all operations of its lines that have not ended."""
    clone = {"op": "agent.clone", "id": "k", "agent_id": "agent_1", "copies": 3, "tags": ["t"]}
    lines = [clone, get("a", tags=["t", "t"]), get("b", tags=["u"]), get("z", needs=["@t"])]
    write(job, lines)
    assert [plan_of(job).groups.left(0)] == [4]
    remembered = Remembered()
    remembered.end(clone, State.DONE, index=1)
    remembered.end(lines[1], State.FAILED)
    plan = plan_of(job, remembered)
    assert (plan.groups.left(0), plan.groups.cause(0)) == (2, "a is failed")


def test_a_failed_file_knows_the_tags_of_its_base(tmp_path: Path, job: Path) -> None:
    """In a failed.jsonl a tag means the lines of the whole job, each as the part of it now reads, in their order."""
    tagged = [get("a", tags=["t"]), get("b", tags=["t"]), get(tags=["t"]), get("d", tags=["t"])]
    body = {"ids": {"$collect": {"tag": "t", "field": "agent_id"}}}
    update = {"op": "agent.update", "id": "z", "agent_id": "agent_1", "body": body}
    write(job, [*tagged, update])
    remembered = Remembered()
    for number in (0, 2):
        remembered.end(tagged[number], State.DONE)
    failed = write(tmp_path / "failed.jsonl", [{**tagged[1], "agent_id": "agent_9"}, update])
    plan = plan_of(failed, remembered, None, job)
    assert plan.groups.left(0) == 2
    keys = [plan.collected["t"][start : start + 16] for start in range(0, 64, 16)]
    ids = [(each.get("id"), orjson.dumps(each)) for each in tagged]
    assert keys == [operation_key(line_key(line_id, raw, 0), 0) for line_id, raw in ids]


def test_an_id_that_no_line_has_is_told_with_the_one_that_was_meant(tmp_path: Path) -> None:
    """A misspelt id is answered with the line's that is like it; one that is like none with what to do."""
    lines = [
        get("golden-agent"),
        get("a", needs=["golden_agent"]),
        get("b", agent_id="${ref:elsewhere#agent_id}"),
    ]
    assert problems_of(write(tmp_path / "job.jsonl", lines)) == [
        (2, None, "waits for 'golden_agent', and no line has that id; did you mean `golden-agent`?"),
        (3, None, "waits for 'elsewhere', and no line has that id; give one line the id"),
    ]


def test_a_misspelt_id_in_a_long_job_is_told_soon(tmp_path: Path) -> None:
    """Of 200 ids that 30,000 lines do not have, all are told, after some seconds of looking for what was meant."""
    lines = [get(f"tenant-{number:06}") for number in range(30_000)]
    lines += [get(None, needs=[f"tenat-{number:06}"]) for number in range(200)]
    began = time.process_time()
    found = problems_of(write(tmp_path / "job.jsonl", lines))
    assert len(found) == 200
    assert found[7][2].endswith("did you mean `tenant-000007`?")
    assert time.process_time() - began < 20


@pytest.mark.parametrize("body", [{}, {"name": ""}])
def test_what_goes_by_the_name_has_to_have_one(job: Path, body: dict[str, Any]) -> None:
    """An agent that is made only where none has its name is refused without one, before anything is sent."""
    line = {"op": "agent.create", "body": body, "if_exists": "skip"}
    write(job, [line, {**line, "if_exists": "create"}, {**line, "body": {"name": "A"}}])
    [(number, field, message)] = problems_of(job)
    assert (number, field) == (1, "if_exists")
    assert "is skip, which goes by the name, and the body has none" in message
