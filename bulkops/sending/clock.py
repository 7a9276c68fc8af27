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
    """The server's clock, kept by our monotonic one: that of the running event loop unless given.

    Accounts may live at several servers, each with a clock of its own.
    """

    def __init__(self, monotonic: Callable[[], float] | None = None) -> None:
        self._monotonic = monotonic or asyncio.get_running_loop().time
        self._heard: dict[str, tuple[float, float]] = {}

    def hear(self, headers: Mapping[str, str], account: str) -> None:
        """Learn from the headers of an answer to an account (RFC 9110, section 6.6.1)."""
        now, heard = self._monotonic(), self._heard.get(account)
        if heard is not None and now - heard[1] < FRESH:
            return
        try:
            date = parsedate_to_datetime(headers["date"]).timestamp()
        except (KeyError, ValueError, TypeError):
            return
        self._heard[account] = (date, now)

    def now(self, account: str) -> float | None:
        """Return the time of an account's server in epoch seconds, to the second; None before the first answer."""
        heard = self._heard.get(account)
        return None if heard is None else heard[0] + self._monotonic() - heard[1]
