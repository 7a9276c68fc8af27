"""Limits that refill evenly: the token bucket, and GCRA, which says the same by a clock of its own. Pure.

Both admit `burst` requests at once and then `limit` in each period, one at a time.
"""

from __future__ import annotations

import math

from .limits import Verdict

_HAIR = 1e-6  # of a request: fractions are rounded, a whole request is not lost to that


class TokenBucket:
    """A bucket of `burst` tokens, full at first, into which `limit` drop in each `period` seconds.

    Without a `burst` it holds `limit`, and its size changes with the limit.
    """

    def __init__(self, limit: int, period: float, *, burst: int | None = None) -> None:
        self._limit = limit
        self._period = period
        self._burst = burst
        self._tokens = float(burst or limit)
        self._seen = -math.inf

    def admit(self, now: float) -> Verdict:
        """Take one token; at `reset` the bucket is full."""
        size, rate = self._burst or self._limit, self._limit / self._period
        self._tokens = min(size, self._tokens + (now - self._seen) * rate)
        self._seen = now
        admitted = self._tokens + _HAIR >= 1
        self._tokens -= admitted
        full = now + (size - self._tokens) / rate
        opens = now if admitted else now + (1 - self._tokens) / rate
        return Verdict(admitted, self._limit, math.floor(self._tokens + _HAIR), full, opens)

    def change(self, limit: int, now: float) -> None:
        """Let the tokens drop in at another rate from now on."""
        rate = self._limit / self._period
        self._tokens = min(self._burst or limit, self._tokens + (now - self._seen) * rate)
        self._limit, self._seen = limit, now


class Gcra:
    """The generic cell rate algorithm: requests are due `period / limit` apart, and may come early.

    It keeps one moment, when the next request would be due if all came evenly. A request may come as much
    earlier as `burst - 1` of the distances.
    """

    def __init__(self, limit: int, period: float, *, burst: int) -> None:
        self._limit = limit
        self._period = period
        self._burst = burst
        self._due = -math.inf

    def admit(self, now: float) -> Verdict:
        """Put the next request off by one distance; at `reset` none is put off any more."""
        distance = self._period / self._limit
        due = max(self._due, now)
        opens = due - (self._burst - 1) * distance
        admitted = opens <= now + _HAIR * distance
        self._due = due + distance * admitted
        early = (now - self._due) / distance + self._burst
        remaining = max(0, math.floor(early + _HAIR))
        return Verdict(admitted, self._limit, remaining, self._due, now if admitted else opens)

    def change(self, limit: int, now: float) -> None:
        """Change the distance; what is put off stays as many requests as it is."""
        put_off = max(0.0, self._due - now)
        self._due = now + put_off * self._limit / limit
        self._limit = limit
