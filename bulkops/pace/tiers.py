"""How much an account may send, and the even pace that keeps to it where the server tells nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from bulkops.settings import NO_RESERVE

if TYPE_CHECKING:
    from bulkops.api.profile import Tier
    from bulkops.settings import Account, Reserve

EVEN_SHARE = 0.98
"""The even pace leaves so little of the limit unused that no way of counting notices the jitter of the ways."""

LATENESS = 0.01
"""Seconds by which timers are late."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an account may send and who says so.

    `fixed` means that a header may only lower it, `exclusive` that nobody else uses the key.
    """

    tier: Tier
    source: str = "tier"
    fixed: bool = False
    exclusive: bool = False
    reserve: Reserve = NO_RESERVE


def allowance_of(account: Account) -> Allowance:
    """Return what an account may send."""
    return Allowance(account.tier, account.tier_source, account.fixed, account.exclusive, account.reserve)


@dataclass(frozen=True, slots=True)
class Bucket:
    """So many at once, refilled at so many per second."""

    burst: int
    per_second: float


def bucket_for(limit: int, period: float) -> Bucket:
    """Return the bucket of the even pace: one at a time, more only where timers are too coarse for the rate."""
    rate = EVEN_SHARE * limit / period
    return Bucket(min(limit, max(1, ceil(LATENESS * rate))), rate)
