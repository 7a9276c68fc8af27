"""What the plan said beside what happened."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bulkops.model import State
from bulkops.reporting.compared import Beforehand, Happened, compared, plan_line, ratio
from bulkops.reporting.report import Report
from bulkops.reporting.share import Share


def a_report(seconds: float, *, happened: Happened | None = None, done: int = 1, **more: Any) -> Report:
    """Return the report of a run of one operation that was expected to take 100 s."""
    before = Beforehand(
        operations=1,
        requests=100,
        looks=20,
        looks_range=(20, 40),
        seconds=100.0,
        seconds_range=(90.0, 130.0),
        limit=100,
        answer=1.0,
        settling={"index": 20.0},
    )
    report = Report(totals={"agent.get": 1}, started=0.0, own=Share(limit=100), beforehand=before)
    report.requests, report.polls, report.ended = 120, 20, seconds
    report.happened = happened or Happened(1, {"work": 100, "poll": 20}, 0.2, {"index": 20.0})
    for name, value in more.items():
        setattr(report if hasattr(report, name) else report.own, name, value)
    if done:
        report.note("agent.get", State.DONE)
    return report


def test_both_stand_side_by_side() -> None:
    """The summary has what was expected, its range, what happened, and the ratio."""
    told = compared(a_report(105.0))
    assert told == {
        "operations": {"expected": 1, "happened": 1},
        "requests": {"expected": 100, "happened": 100, "by_class": {"work": 100, "poll": 20}},
        "polls": {"expected": 20, "range": (20, 40), "happened": 20},
        "seconds": {"expected": 100.0, "range": [90.0, 130.0], "happened": 105.0, "ratio": 1.05},
        "reasons": [],
    }


def test_a_plan_that_held_is_not_talked_of() -> None:
    """Within ten percent nothing is said, nor of a difference of a second."""
    assert plan_line(a_report(109.0)) is None
    short = a_report(1.5)
    assert short.beforehand is not None
    short.beforehand = replace(short.beforehand, seconds=0.5)
    assert plan_line(short) is None
    assert plan_line(Report(totals={}, started=0.0)) is None


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"limit": 50}, "the limit was 50 per min, not 100"),
        ({"retries": 10, "requests": 130}, "10 requests repeated"),
        ({"others": 30}, "others on the key sent up to 30 per min"),
        ({"polls": 50, "requests": 150}, "50 looks instead of 20"),
        ({"requests": 150}, "130 requests instead of 100"),
        ({"happened": Happened(answer=2.0)}, "an answer took 2 s"),
        ({"happened": Happened(settling={"index": 60.0})}, "index: 1 min to settle, not 20 s"),
        ({"happened": Happened(used=80)}, "80 requests of earlier runs still counted"),
        ({}, "why is not known"),
    ],
)
def test_a_plan_that_was_off_is_told_with_its_reason(more: dict[str, Any], reason: str) -> None:
    """Each cause that is known is named, and no other."""
    assert (
        plan_line(a_report(150.0, **more))
        == f"plan: about 1 min 40 s; it took 2 min 30 s, 50 % more: {reason}"
    )


def test_pauses_are_a_reason() -> None:
    """Pauses are told with their number, their length and their causes."""
    report = a_report(150.0, paused_seconds=40.0)
    report.own.pause_reasons["429"] = 2
    assert (plan_line(report) or "").endswith("50 % more: 2 pauses of 40 s in all (429)")


def test_a_run_that_was_stopped_is_not_compared() -> None:
    """What did not come to its end has no ratio."""
    assert ratio(a_report(20.0, stopped="interrupted")) is None
    assert ratio(a_report(20.0, done=0)) is None
    assert plan_line(a_report(20.0, done=0)) is None
