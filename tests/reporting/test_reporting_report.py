from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.checkpoint.rows import LineChecks, OperationRow
from bulkops.errors import (
    BulkopsError,
    CheckpointError,
    Halted,
    Interrupted,
    KeyRefused,
    Unreachable,
)
from bulkops.model import State
from bulkops.reporting.report import (
    WORST_FIRST,
    CountError,
    Job,
    Report,
    exit_code,
    next_command,
    summary,
)
from bulkops.reporting.share import Share
from bulkops.reporting.summing_up import last_line, pace_line
from bulkops.reporting.words import duration, number, per
from bulkops.settings import Reserve

if TYPE_CHECKING:
    from bulkops.errors import (
        Stop,
    )

JOB = Job("job.jsonl")
STATES = [state for state in State if state is not State.NOT_STARTED]
STOPS: list[Stop | CheckpointError | None] = [
    None,
    KeyRefused("the key is not accepted"),
    Halted("too many failed"),
    Unreachable("no answer"),
    Interrupted("asked to", 2),
    Interrupted("asked to", 15),
    Interrupted("hung up", 1),
    CheckpointError("disk full"),
]


def report_of(total: int | None = None, **counts: int) -> Report:
    """Return the report of a run with so many operations in each state."""
    report = Report(totals={"agent.create": sum(counts.values()) if total is None else total}, started=0.0)
    for name, count in counts.items():
        for _ in range(count):
            report.note("agent.create", State(name))
    report.ended, report.requests = 41.0, 418
    return report


def row(
    line: int,
    index: int,
    state: State,
    *,
    kind: str = "agent.simulate",
    passed: bool | None = None,
    rate: float = 1,
) -> OperationRow:
    """Return the row of an operation that checks something."""
    return OperationRow(
        key=b"%d.%d" % (line, index),
        line_key=b"%d" % line,
        line=line,
        index=index,
        id=None,
        kind=kind,
        state=state,
        digest=b"",
        record=orjson.dumps({"result": {"expect": {"pass_rate": rate}}}),
        passed=passed,
    )


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(STATES), st.sampled_from(STATES))),
    st.integers(0, 5),
)
def test_counts_add_up(changes: list[tuple[str, State, State]], left: int) -> None:
    """However operations end and are retried, the counts of the states add up to the total."""
    kinds = [kind for kind, _, _ in changes]
    report = Report(totals={kind: kinds.count(kind) + left for kind in ("a", "b")}, started=0.0)
    for kind, first, second in changes:
        report.note(kind, first)
        report.note(kind, second, before=first)
    report.verify()
    told = summary(report, JOB, 0)
    for counts in (told["operations"], *told["by_kind"].values()):
        assert counts["total"] == sum(count for name, count in counts.items() if name != "total")
    assert report.count(State.NOT_STARTED) == 2 * left


@pytest.mark.parametrize(
    "report", [report_of(total=1, done=2), Report(totals={}, started=0.0)], ids=["twice", "unplanned"]
)
def test_a_wrong_count_is_an_error(report: Report) -> None:
    """An operation counted twice, or one nobody planned, is found."""
    report.note("agent.create", State.DONE)
    with pytest.raises(CountError, match=r"agent\.create do not add up") as found:
        report.verify()
    assert isinstance(found.value, BulkopsError)


def test_an_operation_that_was_never_counted_is_found() -> None:
    """Taking an operation from a state it is not in is found."""
    report = report_of(total=3)
    report.note("agent.create", State.DONE, before=State.FAILED)
    with pytest.raises(CountError):
        report.verify()


def test_what_ended_before_is_counted() -> None:
    """What earlier runs did counts from the start, and what has not started is what is left."""
    report = report_of(total=3)
    report.add("agent.create", State.DONE, 1)
    report.add("agent.create", State.FAILED, 1)
    report.add("agent.create", State.NOT_STARTED, 1)
    assert [report.count(state) for state in (State.DONE, State.FAILED, State.NOT_STARTED)] == [1, 1, 1]


@pytest.mark.parametrize(("rate", "good"), [(1, 0), (0.8, 0), (0.6, 1), (2 / 3, 1), (0, 1)])
def test_a_line_passes_by_its_pass_rate(rate: float, good: int) -> None:
    """A line with checks passes when at least its share of them passed; failed ones do not count."""
    report = Report(totals={"agent.simulate": 4}, started=0.0)
    first = row(1, 0, State.DONE, passed=False, rate=rate)
    report.count_checks([LineChecks(first.line_key, passed=2, total=3, record=first.record)])
    assert (report.checks_passed, report.checks_failed) == (good, 1 - good)


@pytest.mark.parametrize("stop", STOPS)
@given(
    counts=st.dictionaries(st.sampled_from([state.value for state in State]), st.integers(0, 2)),
    checks=st.integers(0, 1),
)
def test_the_worst_exit_code_wins(
    stop: Stop | CheckpointError | None, counts: dict[str, int], checks: int
) -> None:
    """The exit code is the worst of all that hold, in the order of the table."""
    report = report_of(**counts)
    report.checks_failed = checks
    holding = {
        3: counts.get("failed", 0) + counts.get("blocked", 0),
        6: counts.get("in_doubt", 0),
        7: counts.get("not_started", 0) if stop or not counts.get("in_doubt", 0) else 0,
        8: checks,
        0: True,
    }
    code = exit_code(report, stop)
    if stop is not None and stop.exit_code == 129:
        assert code in {4, 5, 74, 129}
        return
    if stop is not None:
        holding[stop.exit_code] = True
    assert code == next(code for code in WORST_FIRST if holding.get(code))


def test_the_last_line_of_a_good_run() -> None:
    """A run with nothing left ends with what was done, and no command."""
    assert last_line(report_of(done=415), JOB, 0) == "done 415 of 415 in 41 s (418 requests)."
    assert next_command(report_of(done=1), JOB, 0) is None


def test_the_last_line_names_retry() -> None:
    """A run with failures names the command that does those again."""
    line = last_line(report_of(done=412, failed=2, blocked=1), JOB, 3)
    assert line == (
        "done 412 of 415, failed 2, blocked 1 in 41 s (418 requests). Continue: bulkops retry job.jsonl"
    )


def test_the_last_line_names_what_is_in_doubt() -> None:
    """With operations in doubt, the last line names the file to look at, then the command."""
    line = last_line(report_of(done=4, failed=1, in_doubt=1), JOB, 6)
    assert line.endswith(
        "In doubt: look at job.run/in_doubt.jsonl first. Continue: bulkops retry --in-doubt job.jsonl"
    )


def test_the_last_line_of_a_stopped_run() -> None:
    """A stopped run says why, and that the same command continues."""
    report = report_of(done=4, failed=1, not_started=5)
    report.stopped = "the key is not accepted (401)\x1b[2J"
    line = last_line(report, JOB, 4)
    assert line.endswith(r"Stopped: the key is not accepted (401)\x1b[2J. Continue: bulkops run job.jsonl")


def test_a_stopped_run_with_doubts_names_both() -> None:
    """A stopped run with operations in doubt names both commands, in their order."""
    line = last_line(report_of(in_doubt=1, not_started=5), JOB, 7)
    assert line.endswith("Continue: bulkops run job.jsonl ; then: bulkops retry --in-doubt job.jsonl")


def test_failed_checks_are_pointed_to() -> None:
    """When checks failed, the last line says where to see them."""
    report = report_of(done=3)
    report.checks_failed = 1
    assert last_line(report, JOB, 8).endswith(
        "checks failed 1 in 41 s (418 requests). Checks: see job.run/results.jsonl."
    )


@given(st.text(alphabet="ab -'\"$;\\", min_size=1, max_size=12).filter(lambda text: text.strip(". ")))
def test_the_command_can_be_pasted(name: str) -> None:
    """Whatever the job file is called, a shell gets exactly its path, and not a flag."""
    words = shlex.split(Job(name, ("--run-dir", "my runs")).command("retry", "--in-doubt"))
    path = words[3]
    assert [*words[:3], *words[4:]] == ["bulkops", "retry", "--in-doubt", "--run-dir", "my runs"]
    assert Path(path) == Path(name)
    assert not path.startswith("-")


def test_a_run_folder_of_its_own_is_named() -> None:
    """Files are named in the run folder that was given."""
    assert Job("job.jsonl", folder=Path("/my runs")).file("in_doubt.jsonl") == "'/my runs/in_doubt.jsonl'"


def test_the_summary_is_complete() -> None:
    """The summary holds every count, the limit and its source, times, and the command that continues."""
    report = report_of(done=1, failed=1)
    report.retries, report.polls = 2, 3
    report.own.limit, report.own.limit_source, report.own.requests = 500, "--tier", 418
    report.own.paused_seconds, report.own.pause_reasons["429"] = 33.25, 4
    none_yet = {"blocked": 0, "skipped": 0, "in_doubt": 0, "not_started": 0}
    counts = {"total": 2, "done": 1, "failed": 1, **none_yet}
    assert summary(report, JOB, 3) == {
        "job": "job.jsonl",
        "exit_code": 3,
        "stopped": None,
        "next": "bulkops retry job.jsonl",
        "operations": counts,
        "by_kind": {"agent.create": counts},
        "checks": {"passed": 0, "failed": 0},
        "requests": {"sent": 418, "retries": 2, "polls": 3},
        "limit": {"requests": 500, "seconds": 60.0, "source": "--tier", "used": 0.836, "others": 0},
        "pauses": {"count": 4, "seconds": 33.25, "reasons": {"429": 4}},
        "doubts": {"in_doubt": 0, "found": 0, "absent": 0, "possible_duplicates": 0},
        "plan": None,
        "seconds": 41.0,
        "started_at": "1970-01-01T00:00:00.000Z",
        "ended_at": "1970-01-01T00:00:41.000Z",
    }


def test_the_line_of_limit_and_pauses() -> None:
    """People are told limit, source, who used it, and pauses with their reasons; nothing when nothing was sent."""
    share = Share(limit=500, limit_source="header", requests=418)
    assert pace_line(share) == "limit: 500 per min (header), 84 % used"
    share.others = 30
    assert pace_line(share) == "limit: 500 per min (header), 84 % used, others up to 30"
    share.others = 0
    share.paused_seconds = 33.0
    share.pause_reasons.update({"429": 2, "nothing remaining": 1})
    assert pace_line(share) == (
        "limit: 500 per min (header), 84 % used; 3 pauses of 33 s in all (2 after 429, 1 after nothing remaining)"
    )
    share.requests = 0
    assert pace_line(share) is not None, "who only rested wants to know why"
    share.pause_reasons.clear()
    assert pace_line(share) is None


@pytest.mark.parametrize(
    ("reserve", "words"),
    [(Reserve(0.8), "a reserve of 80 %"), (Reserve(per_second=80 / 60), "a reserve of 80 per min")],
)
def test_what_a_reserve_leaves_is_not_told_as_the_default(reserve: Reserve, words: str) -> None:
    """Where others are left a part, the line of the limit says that it is less than what its source names."""
    share = Share(limit=20, reserve=reserve, requests=10)
    assert pace_line(share) == f"limit: 20 per min (default, less {words}), 50 % used"


@pytest.mark.parametrize(
    ("requests", "allowed", "used"),
    [(50, 5.0, 0.5), (100, 100.0, 1.0), (150, 300.0, 0.5), (101, 100.0, 1.0), (120, 150.0, 0.8)],
)
def test_the_used_share(requests: int, allowed: float, used: float) -> None:
    """Of what the limits of the run allowed, a period's worth at least; a share is never more than all."""
    assert Share(limit=100, requests=requests, allowed=allowed).used == used


def test_one_is_singular() -> None:
    """One of a thing is told as one."""
    assert [number(count, "request") for count in (0, 1, 2, 1200)] == [
        "0 requests",
        "1 request",
        "2 requests",
        "1,200 requests",
    ]


@pytest.mark.parametrize(
    ("period", "words"),
    [
        (60, "per min"),
        (1, "per s"),
        (3600, "per h"),
        (600, "per 10 min"),
        (1.5, "per 1.5 s"),
        (90, "per 1 min 30 s"),
    ],
)
def test_periods_are_words(period: float, words: str) -> None:
    """The unit of a rate is said as people say it."""
    assert per(period) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (0.42, "0.4 s"),
        (59.4, "59 s"),
        (59.9, "1 min"),
        (7200, "2 h"),
        (185, "3 min 5 s"),
        (8040, "2 h 14 min"),
    ],
)
def test_durations_are_words(seconds: float, words: str) -> None:
    """A duration is told in the two units that matter."""
    assert duration(seconds) == words
