"""How much of the limit other people use on the same key, as far as the headers show it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

KEPT = 0.7
"""So much is believed of what was seen a period earlier."""


@dataclass(slots=True)
class Others:
    """The most that others were seen to use within this period, less and less of what was seen before, and our own use.

    Those who stopped leave no trace, so what was seen fades. Of our own use the peak counts: a sliding counter still
    weighs in requests that are older than a period.
    """

    began: float = 0.0
    now: float = 0.0
    before: float = 0.0
    ours_now: int = 0
    ours_before: int = 0

    def turn(self, ours: int, time: float, period: float) -> bool:
        """Let the time go on, and hear how many requests of ours the server may count; tell of a new period."""
        begins = time >= self.began + period
        if begins:
            recent = time < self.began + 2 * period
            self.before = max(self.now, KEPT * self.before) if recent else 0.0
            self.ours_before = self.ours_now if recent else 0
            self.now, self.ours_now, self.began = 0.0, 0, time
        if ours > self.ours_now:
            self.ours_now = ours
        return begins

    def note(self, count: float) -> None:
        """Hear that others have used so many within a period."""
        self.now = max(self.now, count)

    def forget(self) -> None:
        """Believe nothing any more."""
        self.now = self.before = 0.0

    @property
    def ours(self) -> int:
        """The most that the server may have counted of us."""
        return self.ours_now if self.ours_now > self.ours_before else self.ours_before

    @property
    def count(self) -> float:
        """How many requests in a period are theirs."""
        return self.now if self.now > self.before else self.before
