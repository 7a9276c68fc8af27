"""Of which time conversations are wanted: half-open, from words or from a watermark. Pure."""

from __future__ import annotations

from datetime import datetime
from math import inf
from typing import TYPE_CHECKING

from bulkops.errors import UsageError
from bulkops.model import value
from bulkops.moments import moment

if TYPE_CHECKING:
    from collections.abc import Callable

_WATERMARK = "watermark:"
_DAY_ONLY = 10
"""The length of `2026-11-22`, which stands for its first moment in UTC."""


@value
class Window:
    """Conversations created from `since` until just before `until` (epoch seconds) are wanted.

    What was never exported is wanted whatever the lower bound, where that is a watermark's: it came late.
    What was exported is looked at again from `again` on, if it is named again. `watermark` is the name of the one
    that moves at the end. `listed`: what began before that is not looked for in a listing.
    """

    since: float = -inf
    until: float = inf
    again: float = -inf
    watermark: str | None = None
    listed: float = -inf

    def holds(self, created: float | None) -> bool:
        """Tell whether a conversation that was not exported yet is wanted; an unknown age is."""
        return created is None or self.since <= created < self.until


def window(
    since: str | None,
    until: str | None,
    lookback: float,
    watermark: Callable[[str], float | None],
    *,
    now: float,
) -> Window:
    """Return what `--since`, `--until` and `--lookback` (seconds) say; UsageError for what is no moment.

    `watermark` tells where the one of a name stands, None for a new one. With `until` no watermark moves. What
    was exported is looked at again from the begin on, or else so long before the watermark, or before `now`.
    """
    end = inf if until is None else _moment("--until", until)
    if since is None or not since.startswith(_WATERMARK):
        begin = -inf if since is None else _moment("--since", since)
        if begin >= end:
            raise UsageError(f"--since {since} is not before --until {until}; there is nothing in between")
        return Window(begin, end, now - lookback if since is None else begin, listed=begin)
    name = since.removeprefix(_WATERMARK)
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"--since: {name!r} is no name of a watermark; take letters, digits, `_` and `-`")
    stands = watermark(name)
    return Window(
        until=end,
        again=(now if stands is None else stands) - lookback,
        watermark=None if until is not None else name,
        listed=-inf if stands is None else stands - lookback,
    )


def _moment(option: str, text: str) -> float:
    whole = f"{text}T00:00:00Z" if len(text) == _DAY_ONLY else text
    found = moment(whole)
    if found is None or not _is_date(whole):
        raise UsageError(
            f"{option}: {text!r} is no moment; write it as 2026-11-22T08:00:00Z, or a day as 2026-11-22"
            + (f", or {_WATERMARK}NAME" if option == "--since" else "")
        )
    return found


def _is_date(text: str) -> bool:
    """Tell whether a day is in the calendar: an API's moments are read without looking, the user's are not."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
