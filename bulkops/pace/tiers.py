"""How much an account may send, and the bucket that keeps to it in every window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkops.api.profile import Tier

BURST_SHARE = 0.02
"""So much of the limit may go at once; it costs as much of the sustained rate."""

LATENCY_JITTER = 0.25
"""Seconds by which two requests may drift apart on their way to the server's counter."""

LEAST_SLACK = 0.025
MOST_SLACK = 0.08
"""The bounds of the slack for that jitter, as shares of the period."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an account may send and who says so; `fixed` means that a header may only lower it."""

    tier: Tier
    source: str = "tier"
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Bucket:
    """So many at once, refilled at so many per second."""

    burst: int
    per_second: float


def bucket_for(limit: int, period: float) -> Bucket:
    """Return the bucket that lets at most `limit` requests go in any window of `period` seconds.

    A full bucket lets floor(burst + rate x window) go. Requests that the server counts within one period were
    sent within the period plus the jitter of their ways: that longer window is the one kept below limit + 1.
    """
    burst = max(1, int(limit * BURST_SHARE))
    slack = min(max(LATENCY_JITTER, LEAST_SLACK * period), MOST_SLACK * period)
    return Bucket(burst, (limit + 1 - burst) / (period + slack))
