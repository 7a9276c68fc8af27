"""What the requests of a key pass: its limit, which somebody else may use too, and which may change. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from .limits import Limit, Verdict

_GAPS = (2 / 3, 4 / 3)  # of the mean: nobody comes like clockwork, and nobody's average strays


class Others:
    """A load that somebody else puts on the key: `rate` requests a second on average, `burst` of them at once.

    They have been coming since `begin`. Nobody asks them anything: their moments are worked out when needed.
    """

    def __init__(self, rate: float, burst: int, *, begin: float, rng: Random) -> None:
        self._mean = burst / rate
        self._burst = burst
        self._rng = rng
        self._next = begin + self._mean * rng.random()

    def until(self, now: float) -> Iterator[float]:
        """Yield the moments of those who came since the last call, up to `now`."""
        while self._next <= now:
            yield from [self._next] * self._burst
            self._next += self._mean * self._rng.uniform(*_GAPS)


class Admission:
    """A limit, those who share it, and the moments at which it changes.

    `changes` is a growing list of (moment, new limit); more may be added from any thread, none before the last.
    """

    def __init__(
        self, limit: Limit, others: Others | None = None, changes: Sequence[tuple[float, int]] = ()
    ) -> None:
        self.others_admitted = 0
        self.others_refused = 0
        self._limit = limit
        self._others = others
        self._changes = changes
        self._changed = 0

    def admit(self, now: float) -> Verdict:
        """Count one request at `now`, after everything that happened before it."""
        while self._changed < len(self._changes):
            moment, limit = self._changes[self._changed]
            self._let_others(moment)
            self._limit.change(limit, moment)
            self._changed += 1
        self._let_others(now)
        return self._limit.admit(now)

    def _let_others(self, now: float) -> None:
        if self._others is not None:
            for moment in self._others.until(now):
                if self._limit.admit(moment).admitted:
                    self.others_admitted += 1
                else:
                    self.others_refused += 1
