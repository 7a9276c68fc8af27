"""Limits that count what came within a window: fixed windows, the sliding log, the sliding counter. Pure.

With `rejects_count` a refused request is counted like an admitted one, so that a client that keeps asking is
kept out.
"""

from __future__ import annotations

import math
from collections import deque

from .limits import Verdict

_HAIR = 1e-6  # of a request: shares of a window are rounded, a whole request is not lost to that


class FixedWindow:
    """Admits `limit` requests in each window of `period` seconds.

    The windows lie side by side from `origin` on; without one, a window opens with the first request after the
    last one closed: a counter that expires. Either lets up to twice the limit through around the end of a
    window, which is why a client may not take it as leave to send at will.
    """

    def __init__(
        self, limit: int, period: float, *, origin: float | None = None, rejects_count: bool = False
    ) -> None:
        self._limit = limit
        self._period = period
        self._origin = origin
        self._rejects_count = rejects_count
        self._closes = -math.inf
        self._used = 0

    def admit(self, now: float) -> Verdict:
        """Count one request; the window closes at `reset`."""
        if now >= self._closes:
            opened = now if self._origin is None else _window_start(now, self._origin, self._period)
            self._closes = max(opened, self._closes) + self._period
            self._used = 0
        admitted = self._used < self._limit
        self._used += admitted or self._rejects_count
        remaining = max(0, self._limit - self._used)
        return Verdict(admitted, self._limit, remaining, self._closes, now if admitted else self._closes)

    def change(self, limit: int, now: float) -> None:  # noqa: ARG002 - the window stays as it is
        """Admit `limit` requests, in the open window too."""
        self._limit = limit


class SlidingLog:
    """Admits `limit` requests in any `period` seconds, and remembers the moment of each."""

    def __init__(self, limit: int, period: float, *, rejects_count: bool = False) -> None:
        self._limit = limit
        self._period = period
        self._rejects_count = rejects_count
        self._counted: deque[float] = deque()

    def admit(self, now: float) -> Verdict:
        """Count one request; at `reset` the oldest one is forgotten."""
        counted, period = self._counted, self._period
        while counted and counted[0] + period <= now:
            counted.popleft()
        admitted = len(counted) < self._limit
        if admitted or self._rejects_count:
            counted.append(now)
        remaining = max(0, self._limit - len(counted))
        opens = now if admitted else counted[len(counted) - self._limit] + period
        return Verdict(admitted, self._limit, remaining, counted[0] + period, opens)

    def change(self, limit: int, now: float) -> None:  # noqa: ARG002 - the log stays as it is
        """Admit `limit` requests, those of the log included."""
        self._limit = limit


class SlidingCounter:
    """Admits a request while an estimate of the last `period` seconds leaves room for it whole.

    The estimate is the count of the window, one of those that lie side by side from `origin` on, and the share
    of the count before it that the last `period` seconds still reach into. Two numbers stand for a log: it may
    let through more than `limit` in a period that lies across two windows, and less.
    """

    def __init__(
        self, limit: int, period: float, *, origin: float = 0.0, rejects_count: bool = False
    ) -> None:
        self._limit = limit
        self._period = period
        self._origin = origin
        self._rejects_count = rejects_count
        self._opened = -math.inf
        self._before = 0
        self._used = 0

    def admit(self, now: float) -> Verdict:
        """Count one request; the window closes at `reset`."""
        if now >= self._opened + self._period:
            follows = self._opened + self._period
            self._turn(max(_window_start(now, self._origin, self._period), follows))
        reaches = 1 - (now - self._opened) / self._period
        room = self._limit - self._before * reaches - self._used + _HAIR
        admitted = room >= 1
        counts = admitted or self._rejects_count
        self._used += counts
        remaining = max(0, math.floor(room - counts))
        closes = self._opened + self._period
        return Verdict(admitted, self._limit, remaining, closes, now if admitted else self._room_at())

    def change(self, limit: int, now: float) -> None:  # noqa: ARG002 - the counts stay as they are
        """Let the estimate rise to `limit`."""
        self._limit = limit

    def _turn(self, opened: float) -> None:
        follows = opened - self._opened < 1.5 * self._period
        self._opened, self._before, self._used = opened, self._used if follows else 0, 0

    def _room_at(self) -> float:
        """Give the moment from which the estimate leaves room for one, when now it does not."""
        room = self._limit - 1 - self._used
        if room >= 0:
            return self._opened + self._period * (1 - room / self._before)
        # In this window there will be none: in the next one, its count is the one that loses weight.
        return self._opened + self._period * (2 - (self._limit - 1) / self._used)


def _window_start(now: float, origin: float, period: float) -> float:
    """Give the beginning of the window around `now`; rounded, so it may be a hair before the last one's end."""
    return origin + math.floor((now - origin) / period) * period
