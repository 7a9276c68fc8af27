"""Samples of many runs → points on one axis of working time, from which the time between runs is cut out."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from bulkops.model import RequestClass
from bulkops.reporting.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulkops.reporting.history import Run, Sample

BREAK_SHARE = 0.025
"""How wide the cut between two runs is drawn, as a share of the whole."""
LEAST_SHARE = 0.1
"""What reaches less than this share of the limit would lie on the ground if it were drawn with it."""
RATES, LATENCIES = 180, 48
"""How many points are drawn at most; percentiles need some answers each, so they have fewer."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Work and polls that were sent in the period that ends at `x`."""

    x: float
    work: float
    polls: float
    run: int


@dataclass(frozen=True, slots=True)
class Latency:
    """The percentiles around `x`, in seconds, of so many answers."""

    x: float
    p50: float
    p90: float
    p99: float
    count: int
    run: int


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasted from `x` to `x2`; `about` is a reason, `number` a limit or a length in seconds."""

    x: float
    x2: float
    number: float
    about: str = ""


@dataclass(slots=True)
class Timeline:
    """All runs on one axis of `length` seconds. `breaks` are the cuts; their `number` is the time between two runs.

    Rates and limits are per `period` seconds; `refusals` are the 429s (x and how many).
    """

    length: float = 0.0
    period: float = 60.0
    starts: list[tuple[float, float]] = field(default_factory=list)
    """Where each run begins, and how much working time came before it."""
    breaks: list[Span] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    limits: list[Span] = field(default_factory=list)
    pauses: list[Span] = field(default_factory=list)
    refusals: list[tuple[float, int]] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)

    @property
    def most(self) -> float:
        """The most that was sent in any period."""
        return max((rate.work + rate.polls for rate in self.rates), default=0.0)

    @property
    def limit(self) -> float | None:
        """The highest limit, if it is near enough to what was sent to be drawn with it."""
        limit = max((span.number for span in self.limits), default=0.0)
        return limit if 0 < limit * LEAST_SHARE <= self.most else None

    def at(self, worked: float) -> float:
        """Return where so many seconds of working time stand on the axis."""
        x, before = max((start for start in self.starts if start[1] <= worked), default=(0.0, 0.0))
        return x + worked - before

    def worked(self, x: float) -> float:
        """Return how much working time had passed at a place on the axis."""
        start, before = max((start for start in self.starts if start[0] <= x), default=(0.0, 0.0))
        return before + x - start


def timeline(runs: Sequence[Run]) -> Timeline:
    """Lay out the runs that have samples."""
    runs = [run for run in runs if run.samples and run.samples[-1].end > 0]
    line = Timeline()
    if not runs:
        return line
    line.period = runs[-1].samples[-1].period
    worked = sum(_extent(run) for run in runs)
    cut = BREAK_SHARE * worked
    before = 0.0
    for number, run in enumerate(runs):
        if number:
            between = run.started - (runs[number - 1].started + _extent(runs[number - 1]))
            line.breaks.append(Span(line.length, line.length + cut, max(0.0, between)))
            line.length += cut
        line.starts.append((line.length, before))
        _add(line, run, number, worked)
        line.length += _extent(run)
        before += _extent(run)
    return line


def _extent(run: Run) -> float:
    return run.samples[-1].end


def _add(line: Timeline, run: Run, number: int, worked: float) -> None:
    offset, extent = line.length, _extent(run)
    line.rates += _rates(run, number, offset, line.period, max(worked / RATES, extent / RATES))
    line.latencies += _latencies(run.samples, number, offset, worked / LATENCIES)
    for sample in run.samples:
        if sample.tally.answers["429"]:
            line.refusals.append((offset + sample.begin + sample.seconds / 2, sample.tally.answers["429"]))
        _add_limit(line, sample, offset)
    for pause in run.pauses:
        begin, end = offset + pause.begin, offset + min(pause.end, extent)
        if end > begin:
            line.pauses.append(Span(begin, end, pause.end - pause.begin, pause.reason))


def _add_limit(line: Timeline, sample: Sample, offset: float) -> None:
    if sample.limit is None:
        return
    limit = sample.limit * line.period / sample.period
    last = line.limits[-1] if line.limits else None
    if last is not None and last.number == limit and last.x2 >= offset + sample.begin - 1:
        line.limits[-1] = Span(last.x, offset + sample.end, limit, sample.source)
    else:
        line.limits.append(Span(offset + max(0.0, sample.begin), offset + sample.end, limit, sample.source))


def _rates(run: Run, number: int, offset: float, period: float, step: float) -> list[Rate]:
    """Return what was sent in the period up to each of the points; where points are further apart, the mean."""
    work = _cumulative(run.samples, RequestClass.WORK)
    polls = _cumulative(run.samples, RequestClass.POLL)
    ends = [0.0, *(sample.end for sample in run.samples)]
    window = max(period, step)
    rates = [Rate(offset, 0.0, 0.0, number)]
    for index in range(1, int(_extent(run) / step) + 1):
        at = index * step
        sent = [_within(ends, counts, at - window, at) * period / window for counts in (work, polls)]
        # Between samples the counts are interpolated; what was seen of the window itself is the most there was.
        peak = max(
            (s.peak * period / s.period for s in run.samples if s.end > at - step and s.begin < at), default=0
        )
        share = min(1.0, peak / sum(sent)) if window == period and peak and sum(sent) else 1.0
        rates.append(Rate(offset + at, sent[0] * share, sent[1] * share, number))
    return rates


def _cumulative(samples: Sequence[Sample], request_class: RequestClass) -> list[float]:
    counts = [0.0]
    for sample in samples:
        counts.append(counts[-1] + sample.tally.sent[request_class.value])
    return counts


def _within(ends: Sequence[float], counts: Sequence[float], begin: float, end: float) -> float:
    return _until(ends, counts, end) - _until(ends, counts, begin)


def _until(ends: Sequence[float], counts: Sequence[float], at: float) -> float:
    """Return the count up to a time, between two ends in proportion."""
    index = bisect_left(ends, at)
    if index == 0:
        return 0.0
    if index == len(ends):
        return counts[-1]
    share = (at - ends[index - 1]) / ((ends[index] - ends[index - 1]) or 1.0)
    return counts[index - 1] + share * (counts[index] - counts[index - 1])


def _latencies(samples: Sequence[Sample], number: int, offset: float, step: float) -> list[Latency]:
    bins: dict[int, Histogram] = {}
    for sample in samples:
        middle = sample.end - sample.seconds / 2
        bins.setdefault(int(middle / step), Histogram()).merge(sample.tally.latencies())
    found: list[Latency] = []
    for bin_number, histogram in sorted(bins.items()):
        p50, p90, p99 = (histogram.percentile(share) for share in (0.5, 0.9, 0.99))
        if p50 is not None and p90 is not None and p99 is not None:
            x = offset + min((bin_number + 0.5) * step, samples[-1].end)
            found.append(Latency(x, p50, p90, p99, histogram.count, number))
    return found


def separated(points: Sequence[Latency], farthest: float) -> list[tuple[int, Latency]]:
    """Give points the number of their stretch: one begins with each run, and where nothing was heard for long."""
    stretch, numbered = 0, [(0, point) for point in points[:1]]
    for before, point in pairwise(points):
        stretch += before.run != point.run or point.x - before.x > farthest
        numbered.append((stretch, point))
    return numbered
