"""The tier limit of one key, as the server keeps it (API reference, Rate Limits). Pure."""

from __future__ import annotations

from dataclasses import dataclass

# Requests and seconds of the published tiers; the enterprise tier is whatever a contract says.
TIERS = {"standard": (100, 60.0), "pro": (500, 60.0)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the limit says about one request; at `reset`, on the caller's clock, it starts anew."""

    admitted: bool
    limit: int
    remaining: int
    reset: float


class FixedWindow:
    """Admits `limit` requests in each window of `period` seconds.

    A window opens with the first request after the last one closed: a counter that expires, the commonest
    server-side algorithm. It lets up to twice the limit through around the end of a window, which is why a
    client may not take it as leave to send at will.
    """

    def __init__(self, limit: int, period: float) -> None:
        self._limit = limit
        self._period = period
        self._closes = float("-inf")
        self._used = 0

    def admit(self, now: float) -> Verdict:
        """Count one request at `now` (seconds, monotonic); a refused one takes nothing from the window."""
        if now >= self._closes:
            self._closes = now + self._period
            self._used = 0
        admitted = self._used < self._limit
        self._used += admitted
        return Verdict(admitted, self._limit, self._limit - self._used, self._closes)
