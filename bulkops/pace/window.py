"""How many requests may be in flight at once: a limit beside the rate, told by headers or found out. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bulkops.pace.credit import NEVER

FIRST_SIZE = 5
"""So many may be in flight at first; while all of them are, one is added with each round trip."""

LONG = 0.5
"""Seconds. With answers that take ten, a window that grew with each round trip would take ten minutes to reach 64."""

CUT = 0.75
REGROWTH = 2.0
"""Periods after which one more is tried than the server refused."""


@dataclass(slots=True)
class Window:
    """The window of requests in flight, of all that share the key."""

    size: int = FIRST_SIZE
    ceiling: int = 1_000_000
    """What the server has told or shown."""
    grown: float = NEVER
    cut: float = NEVER

    def tell(self, most: int, others: int) -> None:
        """Hear from the headers how many may be in flight, and how many of them are others'."""
        self.ceiling = max(1, most - others)
        self.size = self.ceiling

    def grow(self, sent: float, now: float, period: float) -> None:
        """Hear that a request which filled the window was answered: it grows, once each round trip at most.

        Where that is long, every half second.
        """
        if sent < self.cut or (sent < self.grown and now < self.grown + LONG):
            return
        if self.size >= self.ceiling and now < self.cut + REGROWTH * period:
            return
        self.size += 1
        self.ceiling = max(self.ceiling, self.size)
        self.grown = now

    def refuse(self, sent: float, now: float) -> bool:
        """Hear that there were too many at once; tell whether that was news: requests sent before a cut tell none."""
        if sent <= self.cut:
            return False
        self.size = max(1, int(self.size * CUT))
        self.ceiling, self.cut = self.size, now
        return True
