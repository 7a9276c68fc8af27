"""Our own requests that the server may still count: each from its grant until a period after its answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

SLOTS = 600
"""Answers are counted in so many slots of a period: small to keep, and a slot late costs 0.2 % of the rate."""


@dataclass(slots=True)
class Ledger:
    """How many are under way and how many were answered within the last period.

    The server counts a request at some time between its grant and its answer. What is held until a period after
    the answer is therefore never less than what any window or log of the server holds, in whatever order
    requests arrive there.
    """

    period: float
    granted: int = 0
    answered: int = 0
    slots: list[list[int]] = field(default_factory=list)
    """The answers of the last period, oldest first: number of the slot, and how many."""
    recent: int = 0

    @property
    def in_flight(self) -> int:
        """How many are under way."""
        return self.granted - self.answered

    def answer(self, now: float, count: int = 1) -> None:
        """Hear that so many of those under way have ended, whatever became of them."""
        if not count:
            return
        self.answered += count
        self.recent += count
        slot = int(now * SLOTS / self.period)
        slots = self.slots
        if slots and (last := slots[-1])[0] >= slot:
            last[1] += count
        else:
            slots.append([slot, count])

    def held(self, now: float) -> int:
        """Return how many the server may count at this time, at most."""
        slots, oldest = self.slots, int(now * SLOTS / self.period) - SLOTS
        while slots and slots[0][0] < oldest:
            self.recent -= slots.pop(0)[1]
        return self.recent + self.granted - self.answered

    def age(self, now: float) -> float:
        """Return how many seconds ago the oldest answer came that is still counted."""
        return now - self.slots[0][0] * self.period / SLOTS if self.slots else 0.0

    def frees(self, count: int) -> float:
        """Return when so many answers will have left; endless when more than those are under way."""
        for slot, answers in self.slots:
            count -= answers
            if count <= 0:
                return (slot + SLOTS + 1) * self.period / SLOTS
        return inf
