"""When everybody has to rest, and for how long. Pure: the time comes in as an argument."""

from __future__ import annotations

from dataclasses import dataclass

from bulkops.pace.credit import NEVER

LONGEST_RETRY_AFTER = 120.0
"""Seconds. No Retry-After is obeyed for longer than this or two periods: then one request asks again."""

LONGEST_RESET = 1.05
"""Periods. What was spent is back within one; a reset further away cannot be meant."""

LONGEST_BACKOFF = 0.5
"""Periods (30 s of a minute)."""


def capped_retry_after(seconds: float | None, period: float) -> float:
    """Return the wait that is granted to a Retry-After."""
    return min(seconds or 0.0, max(LONGEST_RETRY_AFTER, 2 * period))


def believed_reset(seconds: float | None, period: float) -> float:
    """Return the wait that is granted to a reset: none to one that cannot be meant."""
    return seconds if seconds is not None and seconds <= LONGEST_RESET * period else 0.0


def backoff(refusals: int, period: float, chance: float) -> float:
    """Return the wait after so many refusals: doubling from 1 s, capped, its upper half by chance."""
    return min(LONGEST_BACKOFF * period, 2.0 ** min(refusals, 30)) * (0.5 + chance / 2)


@dataclass(slots=True)
class Pauses:
    """The pauses of one account: the one that holds or was the last, and their sum."""

    began: float = NEVER
    until: float = NEVER
    count: int = 0
    seconds: float = 0.0
    refusals: int = 0
    """Pauses for a 429 since the last success."""

    def knew(self, granted: float) -> bool:
        """Tell whether a request granted then could know of the last pause; if not, it starts no other."""
        return granted > self.began

    def rest(self, now: float, granted: float, wait: float) -> str | None:
        """Hold everybody for `wait` seconds from now because of an answer to a request granted then.

        The word for what it made: a pause of its own (``paused``), more of the one there is (``lengthened``),
        or nothing.
        """
        end = now + wait
        if wait <= 0 or end <= self.until:
            return None
        new = self.knew(granted) and now >= self.until
        self.seconds += end - max(now, self.until)
        self.until = end
        if not new:
            return "lengthened"
        self.began = now
        self.count += 1
        return "paused"

    def rested(self, now: float) -> float:
        """Return the seconds spent in pauses so far."""
        return self.seconds - max(0.0, self.until - now)
