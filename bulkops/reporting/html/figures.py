"""The figures of a report: a chart in two sizes, what it says in a sentence, and its numbers in a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from bulkops.reporting.histogram import PER_DOUBLING, lower
from bulkops.reporting.html.axes import span_words
from bulkops.reporting.html.charts import SIZES, SMALL, bars_chart, latency_chart, requests_chart
from bulkops.reporting.html.series import timeline
from bulkops.reporting.html.story import Table
from bulkops.reporting.words import duration, number, per

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Sequence

    from markupsafe import Markup

    from bulkops.reporting.histogram import Histogram
    from bulkops.reporting.history import Run
    from bulkops.reporting.html.charts import Size
    from bulkops.reporting.html.series import Timeline
    from bulkops.reporting.meter import Tally

T = TypeVar("T")
ROWS = 24
MOST_BARS = 12
FEWEST_BARS = 5
_AREAS = (("work", "work"), ("polls", "looks at what is awaited"))


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; `name` is unique in the page, `charts` are SVG by the name of their size."""

    name: str
    title: str
    says: str
    charts: dict[str, Markup]
    table: Table
    keys: tuple[tuple[str, str], ...] = ()
    """Its areas: their class in the style sheet, and what they are."""


def figures(runs: Sequence[Run], tally: Tally) -> Iterator[Figure]:
    """Yield the figures that there are numbers for."""
    line = timeline(runs)
    if line.rates:
        yield _requests(line)
    if line.latencies:
        yield _latency(line, tally)
    for what, settled in tally.settled.items():
        if settled.count:
            yield _settling(what, settled)
        if tally.looks[what]:
            yield _looks(what, tally.looks[what])


def _drawn(draw: Callable[[Size], Markup]) -> dict[str, Markup]:
    return {size.name: draw(size) for size in SIZES}


def _requests(line: Timeline) -> Figure:
    refused = sum(count for _, count in line.refusals)
    paused = sum(pause.x2 - pause.x for pause in line.pauses)
    limit = "No limit is known."
    if line.limits:
        last = f"{line.limits[-1].number:,.0f}"
        last += " at the end" if len({span.number for span in line.limits}) > 1 else ""
        limit = f"The line is the limit, {last}." if line.limit else f"The limit, {last}, is far above."
    parts = [f"What was sent in the period of {duration(line.period)} that ends at each moment. {limit}"]
    if line.pauses:
        parts.append(f"Shaded: {number(len(line.pauses), 'pause')}, {duration(paused)} in all.")
    if refused:
        parts.append(f"Marked: {number(refused, 'answer')} 429.")
    if line.breaks:
        parts.append("Dotted: the time between two runs is cut out.")
    rows = [
        (span_words(line.worked(rate.x)), f"{rate.work:,.0f}", f"{rate.polls:,.0f}", _limit_at(line, rate.x))
        for rate in _thinned(line.rates)
    ]
    return Figure(
        "requests",
        f"Requests {per(line.period)}",
        " ".join(parts),
        _drawn(lambda size: requests_chart(line, size)),
        Table(("time", "work", "looks", "limit"), rows),
        _AREAS if any(rate.polls for rate in line.rates) else (),
    )


def _latency(line: Timeline, tally: Tally) -> Figure:
    total = tally.latencies()
    half, most = (span_words(total.percentile(share) or 0.0) for share in (0.5, 0.99))
    rows = [
        (
            span_words(line.worked(p.x)),
            f"{p.count:,}",
            span_words(p.p50),
            span_words(p.p90),
            span_words(p.p99),
        )
        for p in _thinned(line.latencies)
    ]
    return Figure(
        "latency",
        "Latency",
        f"From a request to the end of its answer, without 429s. Half of {total.count:,} answers took at most "
        f"{half}, 99 of 100 at most {most} (true to within 5 %).",
        _drawn(lambda size: latency_chart(line, size)),
        Table(("time", "answers", "p50", "p90", "p99"), rows),
    )


def _settling(what: str, settled: Histogram) -> Figure:
    first, last = min(settled.buckets), max(settled.buckets)
    step = PER_DOUBLING if last - first > FEWEST_BARS * PER_DOUBLING else PER_DOUBLING // 2
    begin = (first - 1) // step * step + 1 if first else 1
    bars = [
        (_edge(lower(start)), settled.up_to(start + step - 1) - settled.up_to(start - 1))
        for start in range(begin, last + 1, step)
    ]
    half, most = (span_words(settled.percentile(share) or 0.0) for share in (0.5, 0.99))
    return Figure(
        f"settling-{what}",
        f"Time until {_article(what)} was ready",
        f"{settled.count:,} were awaited. Half were seen to be ready within {half}, 99 of 100 within {most}.",
        {SMALL.name: bars_chart(bars, SMALL, between=True)},
        Table(("from", "how many"), [(label, f"{count:,}") for label, count in bars]),
    )


def _looks(what: str, looks: Counter[int]) -> Figure:
    most = min(max(looks), MOST_BARS)
    bars = [(str(number), looks[number]) for number in range(1, most)]
    rest = sum(count for number, count in looks.items() if number >= most)
    bars.append((str(most) if max(looks) == most else f"{most}+", rest))
    mean = sum(number * count for number, count in looks.items()) / looks.total()
    return Figure(
        f"looks-{what}",
        f"Looks at each {what}",
        f"Requests that it took to see that it was ready: {mean:.1f} on average.",
        {SMALL.name: bars_chart(bars, SMALL)},
        Table(("looks", "how many"), [(label, f"{count:,}") for label, count in bars]),
    )


def _thinned(points: Sequence[T]) -> list[T]:
    """Return some of the points at equal distances, the last one among them."""
    step = -(-len(points) // ROWS)
    return list(points[::-1][::step][::-1])


def _limit_at(line: Timeline, x: float) -> str:
    known = [span.number for span in line.limits if span.x <= x]
    return f"{known[-1]:,.0f}" if known else "unknown"


def _article(what: str) -> str:
    return f"{'an' if what[:1] in 'aeiou' else 'a'} {what}"


def _edge(seconds: float) -> str:
    """Return a bound of a bar in seconds: they double, so minutes would not be round."""
    return f"{seconds:,.0f} s" if seconds >= 1 else span_words(seconds)
