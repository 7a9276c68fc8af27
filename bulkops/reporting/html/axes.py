"""Ticks that people can read: times, durations and counts, and where they stand."""

from __future__ import annotations

from math import ceil, floor, log10

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_SPANS = (
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 5, 10, 20, 50, 100, 200)),
)
_STEPS = (1.0, 2.0, 5.0, 10.0)


def time_ticks(length: float, most: int) -> list[float]:
    """Return at most about `most` round moments from nought to `length` seconds."""
    step = next((span for span in _SPANS if length / span <= most), _SPANS[-1])
    return [round(number * step, 3) for number in range(floor(length / step) + 1)]


def count_ticks(top: float, most: int) -> list[float]:
    """Return at most about `most` round counts from nought to `top`."""
    raw = max(top, 1.0) / most
    unit = 10.0 ** floor(log10(raw))
    step = max(1.0, next(unit * n for n in _STEPS if unit * n >= raw))
    return [number * step for number in range(floor(top / step) + 1)]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most about `most` round values from `low` to `high`, each some factor from the next."""
    decades = range(floor(log10(low)), ceil(log10(high)) + 1)
    for pattern in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        found = [10.0**decade * n for decade in decades for n in pattern]
        inside = [value for value in found if low * 0.999 <= value <= high * 1.001]
        if len(inside) <= most:
            return inside
    return inside[:: ceil(len(inside) / most)]


def span_words(seconds: float) -> str:
    """Return a duration in the fewest letters, with two digits that count: `81 ms`, `1.5 s`, `3 min`, `2 h`."""
    for unit, size in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE), ("s", 1.0)):
        if seconds >= size:
            return f"{_short(seconds / size)} {unit}"
    return "0" if not seconds else f"{_short(seconds * 1000)} ms"


def count_words(count: float) -> str:
    """Return a round count in few letters: `500`, `50 k`, `2 M`."""
    for unit, least, size in (("M", 1e6, 1e6), ("k", 1e4, 1e3)):
        if count >= least:
            return f"{_short(count / size)} {unit}"
    return f"{count:,.0f}"


def _short(number: float) -> str:
    """Return a number with two digits that count, or all before the point."""
    text = f"{number:,.1f}" if number < 10 else f"{number:,.0f}"  # noqa: PLR2004 - decimal digits
    return text.removesuffix(".0")
