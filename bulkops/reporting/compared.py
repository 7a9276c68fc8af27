"""What the plan said beforehand beside what happened, and why it was off, where that is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulkops.model import State, value
from bulkops.reporting.words import duration, number, per

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulkops.model import Json
    from bulkops.reporting.report import Report

OFF = 0.1
"""A plan that is off by such a share is said to be."""
LEAST_OFF = 2.0
"""Seconds: less is not worth a word."""
NOTED = 0.02
"""Of the requests, so many more or fewer, or repeated, are a reason."""
TIMES = 1.25
"""What took so many times as long as was assumed is a reason."""


@value
class Beforehand:
    """What the plan said of the rest of a job.

    `looks` and `seconds` come with their ranges; None where no limit was known. `answer` is how long an answer was
    assumed to take at most, `settling` how long things take to settle as a rule, in seconds of the server's clock.
    """

    operations: int
    requests: int
    looks: int
    looks_range: tuple[int, int] | None
    seconds: float | None
    seconds_range: tuple[float, float] | None
    limit: int | None
    answer: float
    settling: Mapping[str, float]


@dataclass(slots=True)
class Happened:
    """What came of it besides the counts: operations that ended, and the middle of the times that things took."""

    operations: int = 0
    sent: Mapping[str, int] = field(default_factory=dict)
    """Requests by class."""
    answer: float | None = None
    settling: Mapping[str, float] = field(default_factory=dict)
    used: int = 0
    """Requests of earlier runs that still counted at the begin."""


def compared(report: Report) -> dict[str, Json] | None:
    """Return both for programs; None for a run of which nothing was said."""
    before, after = report.beforehand, report.happened
    if before is None:
        return None
    return {
        "operations": {"expected": before.operations, "happened": after.operations},
        "requests": {
            "expected": before.requests,
            "happened": report.requests - report.polls,
            "by_class": dict(after.sent),
        },
        "polls": {"expected": before.looks, "range": before.looks_range, "happened": report.polls},
        "seconds": {
            "expected": _rounded(before.seconds),
            "range": None
            if before.seconds_range is None
            else [round(end, 3) for end in before.seconds_range],
            "happened": round(report.seconds, 3),
            "ratio": _rounded(ratio(report)),
        },
        "reasons": list(_reasons(report, before)) if _off(report) else [],
    }


def ratio(report: Report) -> float | None:
    """Return how many times as long as expected the run took; None where that cannot be compared."""
    before = report.beforehand
    unfinished = report.stopped is not None or report.count(State.NOT_STARTED)
    if before is None or not before.seconds or not report.ended or unfinished:
        return None
    return report.seconds / before.seconds


def plan_line(report: Report) -> str | None:
    """Return what people are told of a plan that was off; None of one that was not."""
    before, times = report.beforehand, ratio(report)
    if before is None or before.seconds is None or times is None or not _off(report):
        return None
    share = f"{abs(times - 1) * 100:.0f} % {'more' if times > 1 else 'less'}"
    why = "; ".join(_reasons(report, before)) or "why is not known"
    return f"plan: about {duration(before.seconds)}; it took {duration(report.seconds)}, {share}: {why}"


def _off(report: Report) -> bool:
    before, times = report.beforehand, ratio(report)
    if before is None or before.seconds is None or times is None:
        return False
    return abs(times - 1) > OFF and abs(report.seconds - before.seconds) > LEAST_OFF


def _reasons(report: Report, before: Beforehand) -> Iterator[str]:
    """Yield what is known to have made a difference: around the run, then in it."""
    after = report.happened
    own = report.own
    if own.limit != before.limit and own.limit is not None:
        was = "unknown" if before.limit is None else f"{before.limit:,}"
        yield f"the limit was {own.limit:,} {per(own.period)}, not {was}"
    if after.used:
        yield f"{number(after.used, 'request')} of earlier runs still counted"
    if own.pauses:
        causes = ", ".join(own.pause_reasons)
        yield f"{number(own.pauses, 'pause')} of {duration(own.paused_seconds)} in all ({causes})"
    if own.others:
        yield f"others on the key sent up to {own.others:,} {per(own.period)}"
    if after.answer is not None and after.answer > before.answer:
        yield f"an answer took {duration(after.answer)}"
    yield from _differences(report, before)


def _differences(report: Report, before: Beforehand) -> Iterator[str]:
    noted = max(1.0, NOTED * (before.requests + before.looks))
    if report.retries >= noted:
        yield f"{number(report.retries, 'request')} repeated"
    for what, usual in before.settling.items():
        took = report.happened.settling.get(what)
        if took is not None and not 1 / TIMES < took / usual < TIMES:
            yield f"{what}: {duration(took)} to settle, not {duration(usual)}"
    if abs(report.polls - before.looks) >= noted:
        yield f"{number(report.polls, 'look')} instead of {before.looks:,}"
    others = report.requests - report.polls - report.retries
    if abs(others - before.requests) >= noted:
        yield f"{number(others, 'request')} instead of {before.requests:,}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
