"""How long requests take there and back, and how unevenly, as far as their answers show it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

GAIN = 1 / 16
"""So much of each new time goes into what is known."""

LONGEST = 0.05
"""Periods. What takes longer is work of the server, and shows nothing of the ways."""


@dataclass(slots=True)
class Ways:
    """The mean time from a grant to its answer, and how far apart those times are from it; in seconds."""

    mean: float = 0.0
    spread: float = 0.0
    """The mean deviation."""

    def hear(self, seconds: float, period: float) -> None:
        """Learn how long an answer took."""
        if seconds > LONGEST * period:
            seconds = LONGEST * period
        if not self.mean:
            self.mean, self.spread = seconds, seconds / 2
        off = seconds - self.mean
        self.spread += GAIN * (abs(off) - self.spread)
        self.mean += GAIN * off
