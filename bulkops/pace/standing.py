"""Where the pace of an account stands, for those who show it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an account stands: its limit and who said so, how much of it is used, who waits, who rested."""

    limit: int | None
    period: float
    source: str
    granted_last_period: int
    """Requests that the server may count now: under way, or answered within the period."""
    pauses: int
    paused_seconds: float
    waiting: int
    waiting_work: int
    waiting_polls: int
    in_flight: int
    window: int
    """So many may be in flight at once."""
    per_second: float
    """The even pace at present."""
    others: float
    """So many requests of a period are other people's, as far as the headers show it."""
    mode: str
    """``shared`` or ``exclusive``."""
    processes: int = 1
    """So many of our processes share it, this one included."""
    granted: int = 0
    """So many requests this process was granted in all."""

    @property
    def used_share(self) -> float:
        """How much of the limit is used."""
        return self.granted_last_period / self.limit if self.limit else 0.0
