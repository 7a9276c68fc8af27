"""Times in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkops.settings import Reserve

_MINUTE, _HOUR = 60, 3600


def duration(seconds: float) -> str:
    """Return a duration as people say it: `0.4 s`, `41 s`, `3 min 5 s`, `2 h 14 min`."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min" + (f" {whole % _MINUTE} s" if whole % _MINUTE else "")
    minutes = whole % _HOUR // _MINUTE
    return f"{whole // _HOUR} h" + (f" {minutes} min" if minutes else "")


def per(period: float) -> str:
    """Return the unit of a rate whose period is so many seconds: `per min`, `per 10 min`."""
    words = duration(period) if period >= 1 and period == round(period) else f"{period:g} s"
    return f"per {words.removeprefix('1 ') if words.count(' ') == 1 else words}"


def number(count: int, thing: str) -> str:
    """Return how many things: `1 request`, `1,200 requests`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def source_words(source: str, reserve: Reserve, period: float) -> str:
    """Return where a limit comes from, and what was left to others: `default, less a reserve of 20 %`."""
    if reserve.share:
        return f"{source}, less a reserve of {reserve.share * 100:g} %"
    if reserve.per_second:
        return f"{source}, less a reserve of {reserve.per_second * period:g} {per(period)}"
    return source


def rfc3339(seconds: float) -> str:
    """Return a moment (epoch seconds) as RFC 3339 in UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
