"""What a server that tells no limit seems to take: less after a refusal, more as long as there is none. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bulkops.pace.credit import NEVER

SLOWER = 0.9
"""Of what was taken in the period before a refusal, so much is tried from then on."""
LEAST = 10
"""Requests in a period: less is not supposed, since nobody may have wanted more when the refusal came."""
LEARNT = 0.25
"""Periods of answers that have to be known: a small bucket takes less in its first moment than in any minute."""
FIRST_STEP, NEXT_STEP = 0.25, 0.005
"""A period after a refusal so much more is tried, and with each further one twice as much more. At first that is much,
as there was no whole period to count in."""
LAST_STEP = 4.0
"""Then nothing is supposed any more."""


@dataclass(slots=True)
class Supposed:
    """Requests in a period that the server seems to take; None as long as nothing speaks for any number."""

    limit: float | None = None
    step: float = 0.0
    since: float = NEVER
    """When it was refused, or tried more, last."""
    refused: int = 0
    """Refusals before anything was supposed: they are among the answers, and were not taken."""

    def refuse(self, answers: int, now: float, *, whole: bool) -> None:
        """Hear that the server refused one after it gave so many answers in a period, or in a part of the first."""
        most = answers - self.refused if self.limit is None else min(answers, self.limit)
        self.limit, self.since, self.refused = max(LEAST, SLOWER * most), now, 0
        self.step = NEXT_STEP if whole else FIRST_STEP

    def grow(self, now: float, period: float) -> bool:
        """Try more if it is time to; tell whether anything changed."""
        if self.limit is None or now < self.since + period:
            return False
        self.limit = self.limit * (1 + self.step) if self.step < LAST_STEP else None
        self.step, self.since = 2 * self.step, now
        return True
