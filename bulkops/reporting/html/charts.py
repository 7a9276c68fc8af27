"""Charts: points → a Vega-Lite description → SVG. Colours are names that the style sheet fills in, light or dark."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import orjson
import vl_convert
from markupsafe import Markup

from bulkops.reporting.html.axes import count_ticks, count_words, log_ticks, span_words, time_ticks
from bulkops.reporting.html.series import separated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bulkops.model import Json
    from bulkops.reporting.html.series import Timeline

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
"""Only a name: nothing is fetched."""
_INK, _SOFT, _RULE, _ACCENT, _TINT, _ALARM, _SHADE = (
    f"var(--{name})" for name in ("ink", "soft", "rule", "accent", "tint", "alarm", "shade")
)
_LETTER = 7.0
"""About the width of a letter in the labels, in pixels."""
_LABELS_APART = 15.0
_LETTERS_OF_A_CUT = 14
"""So many have to fit between two cuts for each to say how long it was."""
_WIDEST_BAR = 56.0
_LEAST_FACTOR = 10.0
"""From the lowest to the highest latency on an axis."""


@dataclass(frozen=True, slots=True)
class Size:
    """A chart is drawn twice, for wide and for narrow screens. All in pixels; `ticks` is how many fit."""

    name: str
    width: int
    height: int
    ticks: int
    left: int = 56
    right: int = 88
    top: int = 22
    bottom: int = 26

    @property
    def inner(self) -> int:
        """The width between the axes' ends."""
        return self.width - self.left - self.right


WIDE = Size("wide", 760, 250, 8)
NARROW = Size("narrow", 328, 230, 3, left=52, right=80)
SMALL = Size("small", 360, 190, 4, left=40, right=8)
SIZES = (WIDE, NARROW)


def requests_chart(line: Timeline, size: Size) -> Markup:
    """Draw what was sent against the limit, with pauses, refusals and the cuts between runs."""
    top = max(line.most, line.limit or 0.0, 1.0) * 1.12
    rates = [
        {"x": rate.x, "work": rate.work, "sent": rate.work + rate.polls, "run": rate.run}
        for rate in line.rates
    ]
    x, y = _time_axis(line, size), _y(count_ticks(top, 5), top)
    layers = [
        *_bands(line, size),
        _layer("area", rates, {"color": _TINT}, x=x, y=_field("sent", y), detail=_DETAIL),
        _layer("area", rates, {"color": _ACCENT}, x=x, y=_field("work", y), detail=_DETAIL),
    ]
    if line.limit is not None:
        layers += _limit_lines(line, size, y)
    layers += _refusal_marks(line, size)
    return _svg(size, layers)


def latency_chart(line: Timeline, size: Size) -> Markup:
    """Draw the percentiles of the latency, the room between the outer ones filled; each is named at its end."""
    points = line.latencies
    low = min(point.p50 for point in points) * 0.8
    high = max(point.p99 for point in points) * 1.25
    # A narrow axis would make much of little, and have hardly a tick.
    widened = max(1.0, _LEAST_FACTOR / (high / low)) ** 0.5
    low, high = low / widened, high * widened
    y = _y(log_ticks(low, high, 6), high, span_words)
    y["scale"] = {"type": "log", "domain": [low, high], "nice": False}
    x = _time_axis(line, size)
    numbered = separated(points, 4 * line.length / len(points) + 1e-9)
    rows = [{"x": p.x, "p50": p.p50, "p90": p.p90, "p99": p.p99, "run": stretch} for stretch, p in numbered]
    room = _layer(
        "area",
        rows,
        {"color": _TINT, "opacity": 0.45},
        x=x,
        y=_field("p50", y),
        y2={"field": "p99"},
        detail=_DETAIL,
    )
    layers = [*_bands(line, size), room]
    last = points[-1]
    heights = _apart([_log_height(value, low, high, size) for value in (last.p50, last.p90, last.p99)], size)
    for name, width, height in zip(("p50", "p90", "p99"), (2.5, 1.0, 1.0), heights, strict=True):
        mark = {"color": _ACCENT, "strokeWidth": width, "strokeCap": "round", "strokeJoin": "round"}
        layers.append(_layer("line", rows, mark, x=x, y=_field(name, y), detail=_DETAIL))
        layers.append(_end_label(f"{name}  {span_words(getattr(last, name))}", size, {"value": height}))
    return _svg(size, layers)


def bars_chart(bars: Sequence[tuple[str, int]], size: Size, *, between: bool = False) -> Markup:
    """Draw counts as bars, each with its number on top; labels stand below the bars, or between two of them."""
    top = max(count for _, count in bars) * 1.15
    step = min(size.inner / len(bars), _WIDEST_BAR)
    rows: list[Json] = [
        {
            "x": (n + 0.5) * step,
            "left": n * step + 1,
            "right": (n + 1) * step - 1,
            "count": count,
            "text": f"{count:,}",
        }
        for n, (_, count) in enumerate(bars)
    ]
    every = _every([label for label, _ in bars], step)
    y = _y(count_ticks(top, 4), top)
    scale = {"domain": [0, size.inner], "nice": False}
    # Counted from the last one, which may stand for all beyond it.
    labels = {
        (n if between else n + 0.5) * step: label
        for n, (label, _) in enumerate(bars)
        if (len(bars) - 1 - n) % every == 0
    }
    x = {"type": "quantitative", "scale": scale, "axis": _axis(labels)}
    named = step >= max(len(row["text"]) for row in rows) * _LETTER
    layers = [
        _layer(
            "rect", rows, {"color": _ACCENT}, x=_field("left", x), x2={"field": "right"},
            y=_field("count", y), y2={"datum": 0},
        )
    ]  # fmt: skip
    if named:
        seen = [row for row in rows if row["count"]]
        text = {"baseline": "bottom", "dy": -3, "color": _INK, "fontSize": 11}
        layers.append(
            _layer("text", seen, text, x=_field("x", x), y=_field("count", y), text={"field": "text"})
        )
    return _svg(size, layers)


_DETAIL = {"field": "run", "type": "nominal"}


def _layer(mark: str, rows: Sequence[Json], look: Mapping[str, Json], **encoding: Json) -> Json:
    return {"data": {"values": rows}, "mark": {"type": mark, **look}, "encoding": encoding}


def _field(name: str, channel: Mapping[str, Json]) -> Json:
    return {"field": name, "type": "quantitative", "stack": None, **channel}


def _time_axis(line: Timeline, size: Size) -> Json:
    worked = line.length - sum(cut.x2 - cut.x for cut in line.breaks)
    labels = {round(line.at(tick), 3): span_words(tick) for tick in time_ticks(worked, size.ticks)}
    scale = {"domain": [0, line.length], "nice": False}
    return {"field": "x", "type": "quantitative", "scale": scale, "axis": _axis(labels)}


def _y(ticks: Sequence[float], top: float, words: Callable[[float], str] = count_words) -> Json:
    labels = {tick: words(tick) for tick in ticks}
    return {
        "type": "quantitative",
        "scale": {"domain": [0, top], "nice": False},
        "axis": {**_axis(labels), "grid": True, "domain": False, "ticks": False, "labelPadding": 8},
    }


def _axis(labels: Mapping[float, str]) -> Json:
    """Return an axis with these labels at these values; the words are ours alone."""
    values, words = (orjson.dumps(list(each)).decode() for each in (labels.keys(), labels.values()))
    return {
        "values": list(labels),
        "labelExpr": f"{words}[indexof({values}, datum.value)]",
        "grid": False,
        "title": None,
    }


def _bands(line: Timeline, size: Size) -> list[Json]:
    """Shade the pauses, and mark the cuts between runs."""
    layers = []
    x = _time_axis(line, size)
    full = {"y": {"value": 0}, "y2": {"value": "height"}}
    if line.pauses:
        rows = [{"x": span.x, "x2": span.x2} for span in line.pauses]
        layers.append(
            _layer("rect", rows, {"color": _SHADE, "stroke": _SHADE}, x=x, x2={"field": "x2"}, **full)
        )
    for cut in line.breaks:
        middle = [{"x": (cut.x + cut.x2) / 2}]
        layers.append(_layer("rule", middle, {"color": _SOFT, "strokeDash": [2, 3]}, x=x, **full))
        if size.inner / (len(line.breaks) + 1) > _LETTERS_OF_A_CUT * _LETTER:
            look = {
                "text": f"{span_words(cut.number)} later",
                "align": "left",
                "dx": 5,
                "dy": -8,
                "color": _SOFT,
            }
            layers.append(_layer("text", middle, look, x=x, y={"value": 0}))
    return layers


def _limit_lines(line: Timeline, size: Size, y: Json) -> list[Json]:
    x = _time_axis(line, size)
    rows = [{"x": span.x, "x2": span.x2, "limit": span.number} for span in line.limits]
    last = line.limits[-1]
    look = {"color": _INK, "strokeWidth": 1.25}
    named = {**_field("limit", y), "datum": last.number}
    del named["field"]
    return [
        _layer("rule", rows, look, x=x, x2={"field": "x2"}, y=_field("limit", y)),
        _end_label(f"limit  {last.number:,.0f}", size, named),
    ]


def _end_label(text: str, size: Size, y: Json) -> Json:
    """Name a line at its right end."""
    look = {"text": text, "align": "left", "baseline": "middle", "color": _INK}
    return _layer("text", [{}], look, x={"value": size.inner + 8}, y=y)


def _refusal_marks(line: Timeline, size: Size) -> list[Json]:
    if not line.refusals:
        return []
    rows = [{"x": x} for x, _ in line.refusals]
    x = _time_axis(line, size)
    look = {"shape": "triangle-down", "filled": True, "color": _ALARM, "opacity": 1, "size": 42}
    name = {"text": "429", "align": "left", "baseline": "middle", "dx": 7, "color": _ALARM, "fontWeight": 600}
    return [
        _layer("point", rows, look, x=x, y={"value": 6}),
        _layer("text", rows[-1:], name, x=x, y={"value": 6}),
    ]


def _log_height(value: float, low: float, high: float, size: Size) -> float:
    return (size.height - size.top - size.bottom) * (1 - log(value / low) / log(high / low))


def _apart(heights: Sequence[float], size: Size) -> list[float]:
    """Move labels so that none covers the one below and all stay inside; given and returned from the lowest on."""
    placed: list[float] = []
    for height in heights:
        placed.append(min(height, placed[-1] - _LABELS_APART) if placed else height)
    above = max(0.0, -size.top / 2 - placed[-1])
    return [height + above for height in placed]


def _every(labels: Sequence[str], step: float) -> int:
    """Return how many labels to leave out, plus one, so that they do not touch."""
    widest = max(map(len, labels)) * _LETTER + 6
    return max(1, -int(-widest // step))


def _svg(size: Size, layers: Sequence[Json]) -> Markup:
    spec = {
        "$schema": SCHEMA,
        "width": size.inner,
        "height": size.height - size.top - size.bottom,
        "padding": {"left": size.left, "right": size.right, "top": size.top, "bottom": size.bottom},
        "autosize": "none",
        "background": None,
        "config": _CONFIG,
        "layer": list(layers),
    }
    svg: str = vl_convert.vegalite_to_svg(spec)
    sized = _HEAD.sub(f'<svg viewBox="0 0 {size.width} {size.height}" aria-hidden="true">', svg, count=1)
    return Markup(sized)  # noqa: S704 - drawn from numbers and words of ours


_HEAD = re.compile(r"<svg[^>]*>")
_CONFIG = {
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "text": {"fontSize": 12},
    "axis": {
        "labelColor": _SOFT,
        "labelFontSize": 12,
        "gridColor": _RULE,
        "domainColor": _RULE,
        "tickColor": _RULE,
        "labelOverlap": False,
        "labelFlush": False,
    },
}
