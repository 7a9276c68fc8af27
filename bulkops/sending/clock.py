"""What time it is at the server, by the Date of its answers; ours may be wrong, and may be set meanwhile."""

from __future__ import annotations

import asyncio
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FRESH = 30.0
"""Seconds for which a date that was heard is good enough: monotonic clocks go alike."""


class ServerClock:
    """The server's clock, kept by our monotonic one: that of the running event loop unless given."""

    def __init__(self, monotonic: Callable[[], float] | None = None) -> None:
        self._monotonic = monotonic or asyncio.get_running_loop().time
        self._heard: tuple[float, float] | None = None

    def hear(self, headers: Mapping[str, str]) -> None:
        """Learn from the headers of an answer (RFC 9110, section 6.6.1)."""
        now = self._monotonic()
        if self._heard is not None and now - self._heard[1] < FRESH:
            return
        try:
            date = parsedate_to_datetime(headers["date"]).timestamp()
        except (KeyError, ValueError, TypeError):
            return
        self._heard = (date, now)

    def now(self) -> float | None:
        """Return the server's time in epoch seconds, to the second; None before the first answer."""
        if self._heard is None:
            return None
        date, heard = self._heard
        return date + self._monotonic() - heard
