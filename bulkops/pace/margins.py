"""What is kept back of a limit, and why: the numbers that follow from it, worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from bulkops.pace.tiers import bucket_for

JITTER = 0.3
"""Seconds by which requests drift apart on their way to the server's counter."""

MOST_JITTER = 0.005
"""The same, at most, as a share of the period."""

LARGE = 50
"""Of a smaller limit the even pace alone keeps far enough away."""

CUSHION = 0.4
LEAST_CUSHION = 3
"""So many seconds' worth, and requests at least, that no burst uses up: the even pace after it needs them."""

TAIL = 0.15
"""The share of the limit that a burst on a shared key leaves to others."""

RACE = 0.25
LEAST_RACE = 2
"""So many seconds' worth, and requests, that are left in the server while others are there: theirs may be first."""


@dataclass(frozen=True, slots=True)
class Margins:
    """All in requests, but for the rate (per second)."""

    limit: int
    rate: float
    """The even pace with nobody else on the key."""
    burst: int
    """So many the even pace may let go at once."""
    unproved: int
    """The most that may be held where no credit proves that there is room for more."""
    cushion: int
    tail: int
    race: int


def margins_for(limit: int, period: float) -> Margins:
    """Return the margins of a limit."""
    bucket = bucket_for(limit, period)
    rate = bucket.per_second
    drift = ceil(1 + min(JITTER, MOST_JITTER * period) * rate)
    cushion = max(LEAST_CUSHION, ceil(2 + CUSHION * rate))
    return Margins(
        limit=limit,
        rate=rate,
        burst=bucket.burst,
        unproved=limit - drift if limit >= LARGE else limit,
        cushion=cushion,
        tail=max(cushion, ceil(TAIL * limit)),
        race=ceil(LEAST_RACE + RACE * rate),
    )
