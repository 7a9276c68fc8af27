"""Who takes part in a shared pace, and who of them goes first. Pure: times come in as arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulkops.pace.credit import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulkops.pace.credit import Flight

LEAD = 1
"""Who is so many turns ahead of another that waits lets that one go first,"""

GRACE = 0.03
"""for so many seconds at most: the other may be busy."""

AWAKE = 1.0
"""Seconds after which one that was not seen is not waited for,"""

BEAT = 4.0
"""between two signs of one that only has requests under way,"""

QUIET = 8.0
"""between two savings of one that is alone, as long as it notes what others must not miss,"""

STOPPED = 10.0
"""and after which it is taken to be stopped (SIGSTOP): its requests hold nobody's place, as if it were dead."""


@dataclass(slots=True)
class Member:
    """What the others have to know of one process."""

    granted: int = 0
    """How many requests it was granted in all,"""
    answered: int = 0
    """and how many of these are over: of both, what the state has heard of."""
    probing: int = 0
    """How many of those under way were the first after a refusal."""
    waiting: bool = False
    """Whether one could go at once if it were its turn."""
    left: int = 0
    """How many requests it still has to send, as far as is known."""
    served: int = 0
    """How many turns it had; whoever comes to wait is put level with the others."""
    limit: int | None = None
    """What it was told to keep to."""
    seen: float = NEVER
    """When it last showed that it waits, or has requests under way."""
    polite: float = NEVER
    """Since when it lets another one go first."""

    @property
    def flying(self) -> int:
        """How many of its requests are under way."""
        return self.granted - self.answered

    def wait(self, others: Iterable[Member], now: float, *, waits: bool) -> None:
        """Wait, or not. Who begins to is owed no turns for the time before, and its lead is none for ever."""
        if waits and not self.waiting:
            lowest = _lowest(others, now)
            if lowest is not None:
                self.served = min(max(self.served, lowest), lowest + LEAD)
        if (waits or self.flying) and now >= self.seen + AWAKE / 4:
            self.seen = now
        self.waiting = waits

    def at_work(self, now: float) -> bool:
        """Tell whether it looks after its requests."""
        return now < self.seen + STOPPED

    def serve(self, flight: Flight) -> None:
        """Have a turn."""
        self.granted += 1
        self.probing += flight.probe
        self.served += 1
        self.polite = NEVER

    def end(self, flight: Flight) -> None:
        """Hear that a request is over."""
        self.answered += 1
        self.probing -= flight.probe

    def undo(self, flight: Flight) -> None:
        """Take back a turn that nobody used."""
        self.granted -= 1
        self.probing -= flight.probe


def lead(mine: Member, others: Iterable[Member], now: float) -> bool:
    """Tell whether another one that waits should go first."""
    lowest = _lowest(others, now)
    if lowest is None or mine.served < lowest + LEAD:
        mine.polite = NEVER
        return False
    if mine.polite == NEVER:
        mine.polite = now
    return now < mine.polite + GRACE


def _lowest(others: Iterable[Member], now: float) -> int | None:
    """Return how many turns the least served has had of those that wait."""
    return min((it.served for it in others if it.waiting and now < it.seen + AWAKE), default=None)
