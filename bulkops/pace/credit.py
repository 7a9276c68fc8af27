"""What the server's own `Remaining` proves: requests that it will take, whatever it counts by. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulkops.model import value

if TYPE_CHECKING:
    from bulkops.pace.ledger import Ledger

NEVER = -1e12
"""A time before all others."""

FRESH = 1 / 12
"""So long, in periods, a credit is good after the last answer that told one."""


@value
class Flight:
    """A request that was granted: when, and how many had been answered by then."""

    sent: float
    answered: int
    full: bool = False
    """It filled the window of requests in flight."""
    ahead: bool = False
    """It went ahead of the even pace."""
    probe: bool = False
    """It was the first after a refusal: nobody follows before it has ended."""
    number: int = 0
    """Which of all our requests it is, counted from the first."""


@dataclass(slots=True)
class Credit:
    """How far the server has vouched for us.

    A server that counted a request and then had `remaining` left will take as many again, less what it counted
    since: at most all that were granted so far and had not been answered when that request was sent. So each
    answer vouches for our requests up to a certain number, and the highest such number holds: without others on
    the key, what remains falls by our own requests alone.
    """

    vouched: int = 0
    """The server will take our requests up to this one, counted from the first."""
    told: float = NEVER
    """When an answer last told what remains."""
    sent: float = NEVER
    """When the latest request was sent whose answer told it,"""
    remaining: int = 0
    """what that answer told,"""
    base: int = 0
    """and up to which of our requests that would last if nothing came back."""
    likely: int = 0
    """The same, if requests reach the server in the order in which they were sent."""
    largest: int = 0
    """The most that ever remained."""

    def hear(self, flight: Flight, remaining: int, now: float, ledger: Ledger) -> int:
        """Learn from an answer; return by how much less remains than our own requests explain."""
        base, most = flight.answered + 1 + remaining, ledger.granted + remaining
        missing = self.base - most if flight.sent >= self.told > NEVER else 0
        if base > self.vouched:
            self.vouched = base
        if most < self.vouched:
            self.vouched = most
        if flight.sent >= self.sent:
            self.sent, self.remaining, self.base = flight.sent, remaining, base
            self.likely = flight.number + remaining
            if most < self.likely:
                self.likely = most
        self.told = now
        if remaining > self.largest:
            self.largest = remaining
        return missing if missing > 0 else 0

    def stale(self, now: float, period: float) -> bool:
        """Tell whether no answer has told lately what remains."""
        return now > self.told + FRESH * period

    def left(self, now: float, ledger: Ledger) -> int:
        """Return how many more are vouched for."""
        return 0 if self.stale(now, ledger.period) else self.vouched - ledger.granted

    def expects(self, wanted: float, per_second: float, granted: int) -> float:
        """Return when so many are expected to remain, if what was spent comes back at this rate."""
        return self.sent + (wanted - (self.likely - granted)) / per_second

    def cancel(self, ledger: Ledger) -> None:
        """Hear that the server refused one: what it vouched for is void."""
        self.vouched = min(self.vouched, ledger.granted)

    def forget(self, ledger: Ledger) -> None:
        """Believe nothing any more, as another limit holds."""
        self.vouched, self.told, self.sent, self.largest = ledger.granted, NEVER, NEVER, 0
