"""How many went in the last period, counted in slots, so that it costs nothing at any rate."""

from __future__ import annotations

from collections import deque

SLOTS = 60
"""The period is counted in so many slots; what is shown may miss one of them, and never shows too much."""


class Grants:
    """A count over the last period that slides."""

    __slots__ = ("_slots", "_width")

    def __init__(self, period: float) -> None:
        self._width = period / SLOTS
        self._slots: deque[list[int]] = deque(maxlen=SLOTS)

    def add(self, now: float) -> None:
        """Count one."""
        slot = int(now / self._width)
        if self._slots and self._slots[-1][0] == slot:
            self._slots[-1][1] += 1
        else:
            self._slots.append([slot, 1])

    def last_period(self, now: float) -> int:
        """Return how many were counted in the period that ends now."""
        oldest = int(now / self._width) - SLOTS + 1
        return sum(count for slot, count in self._slots if slot >= oldest)
