"""Servers that limit requests, each by another algorithm, as the models that every client is measured against.

They share no code with the pace. `admit(time)` counts one request that reaches the server; `Verdict` is what the
server would put into the headers of its answer.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request was admitted, how many remain, when all is as at first, and when one more would do."""

    admitted: bool
    remaining: int
    reset: float
    again: float


class Server(Protocol):
    """Counts the requests that reach it."""

    limit: int

    def admit(self, time: float) -> Verdict:
        """Count a request that arrives at this time, no earlier than the one before."""


class FixedWindow:
    """A window opens with the first request after the last one closed; `epoch` aligns them to the clock."""

    def __init__(self, limit: int, period: float, *, epoch: float | None = None) -> None:
        self.limit, self._period, self._epoch = limit, period, epoch
        self._closes, self._used = float("-inf"), 0

    def admit(self, time: float) -> Verdict:
        """Count in the open window."""
        if time >= self._closes:
            self._used, self._closes = 0, time + self._period
            if self._epoch is not None:
                self._closes -= (time - self._epoch) % self._period
        admitted = self._used < self.limit
        self._used += admitted
        return Verdict(admitted, max(0, self.limit - self._used), self._closes, self._closes)


class SlidingLog:
    """No window of a period, wherever it begins, holds more than the limit; some count the refused as well."""

    def __init__(self, limit: int, period: float, *, counts_refused: bool = False) -> None:
        self.limit, self._period, self._counts_refused = limit, period, counts_refused
        self._log: deque[float] = deque()

    def admit(self, time: float) -> Verdict:
        """Count in the period that ends now."""
        while self._log and self._log[0] <= time - self._period:
            self._log.popleft()
        admitted = len(self._log) < self.limit
        if admitted or self._counts_refused:
            self._log.append(time)
        over = max(0, len(self._log) - self.limit)
        again = self._log[min(over, len(self._log) - 1)] + self._period
        return Verdict(admitted, max(0, self.limit - len(self._log)), self._log[-1] + self._period, again)


class SlidingCounter:
    """Two fixed windows, the last one weighted by the share of it that the sliding window still covers."""

    def __init__(self, limit: int, period: float, *, epoch: float = 0.0) -> None:
        self.limit, self._period, self._epoch = limit, period, epoch
        self._window, self._now, self._before = 0, 0, 0

    def admit(self, time: float) -> Verdict:
        """Count in the current window."""
        window, into = divmod(time - self._epoch, self._period)
        if window != self._window:
            self._before = self._now if window == self._window + 1 else 0
            self._now, self._window = 0, int(window)
        used = self._now + self._before * (1 - into / self._period)
        admitted = used + 1 <= self.limit
        self._now += admitted
        closes = self._epoch + (window + 1) * self._period
        again = time + (used + 1 - self.limit) * self._period / max(1, self._before)
        return Verdict(admitted, max(0, floor(self.limit - used - admitted)), closes, min(again, closes))


class TokenBucket:
    """So many at once, refilled evenly; GCRA is the same thing told differently."""

    def __init__(self, limit: int, period: float, *, capacity: int | None = None) -> None:
        self.limit, self._period = limit, period
        self._capacity = limit if capacity is None else capacity
        self._tokens, self._at = float(self._capacity), 0.0

    def admit(self, time: float) -> Verdict:
        """Take a token."""
        rate = self.limit / self._period
        self._tokens = min(self._capacity, self._tokens + (time - self._at) * rate)
        self._at = time
        admitted = self._tokens >= 1
        self._tokens -= admitted
        reset = time + (self._capacity - self._tokens) / rate
        return Verdict(admitted, floor(self._tokens), reset, time + max(0.0, 1 - self._tokens) / rate)


class Both:
    """Two policies at once; the headers tell of the one that has less left."""

    def __init__(self, first: Server, second: Server) -> None:
        self.limit, self._both = first.limit, (first, second)

    def admit(self, time: float) -> Verdict:
        """Count in both; both have to admit it."""
        one, other = (server.admit(time) for server in self._both)
        scarce = min(one, other, key=lambda verdict: (verdict.admitted, verdict.remaining))
        return Verdict(one.admitted and other.admitted, scarce.remaining, scarce.reset, scarce.again)


ALGORITHMS: dict[str, Callable[[int, float, float], Server]] = {
    "fixed, by the clock": lambda limit, period, epoch: FixedWindow(limit, period, epoch=epoch),
    "fixed, from the first": lambda limit, period, _: FixedWindow(limit, period),
    "log": lambda limit, period, _: SlidingLog(limit, period),
    "log, refused count": lambda limit, period, _: SlidingLog(limit, period, counts_refused=True),
    "counter": lambda limit, period, epoch: SlidingCounter(limit, period, epoch=epoch - 2 * period),
    "bucket, full": lambda limit, period, _: TokenBucket(limit, period),
    "bucket of 10": lambda limit, period, _: TokenBucket(limit, period, capacity=10),
    "GCRA of 5": lambda limit, period, _: TokenBucket(limit, period, capacity=5),
}
"""Each from (limit, period, where the clock's windows begin)."""

WINDOWS = ("fixed, by the clock", "fixed, from the first", "log", "log, refused count", "counter")

HELD_OUT: dict[str, Callable[[int, float, float], Server]] = {
    "two policies": lambda limit, period, _: Both(
        SlidingLog(limit, period), TokenBucket(limit, period, capacity=20)
    ),
    "bucket of 30": lambda limit, period, _: TokenBucket(limit, period, capacity=30),
    "counter and log": lambda limit, period, epoch: Both(
        SlidingCounter(limit, period, epoch=epoch - 2 * period), SlidingLog(limit, period)
    ),
}
"""Not used while the pace was tuned: a check that it was not tuned to the others alone."""
