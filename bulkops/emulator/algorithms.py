"""The algorithms a server may keep its limit by, under the names that options have for them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from .buckets import Gcra, TokenBucket
from .windows import FixedWindow, SlidingCounter, SlidingLog

if TYPE_CHECKING:
    from .limits import Limit

_GCRA_BURST = 5


class Algorithm(StrEnum):
    """How a server keeps its limit."""

    FIXED = "fixed"  # windows of the wall clock: each minute on the minute
    FIXED_FROM_FIRST = "fixed-from-first"  # a window opens with the first request after the last one closed
    SLIDING_LOG = "sliding-log"
    SLIDING_COUNTER = "sliding-counter"
    TOKEN_BUCKET = "token-bucket"  # noqa: S105 - the name of an algorithm
    GCRA = "gcra"

    @property
    def has_windows(self) -> bool:
        """Whether it counts in windows; else it refills evenly and admits a burst."""
        return self not in (Algorithm.TOKEN_BUCKET, Algorithm.GCRA)


def make_limit(
    algorithm: Algorithm,
    limit: int,
    period: float,
    *,
    origin: float = 0.0,
    burst: int | None = None,
    rejects_count: bool = False,
) -> Limit:
    """Make a fresh limit of `limit` requests per `period` seconds.

    `origin` is a moment at which a window of the wall clock begins. `burst` is for what refills (left out: the
    limit itself for a bucket, 5 for GCRA), `rejects_count` for what has windows.
    """
    match algorithm:
        case Algorithm.FIXED:
            return FixedWindow(limit, period, origin=origin, rejects_count=rejects_count)
        case Algorithm.FIXED_FROM_FIRST:
            return FixedWindow(limit, period, rejects_count=rejects_count)
        case Algorithm.SLIDING_LOG:
            return SlidingLog(limit, period, rejects_count=rejects_count)
        case Algorithm.SLIDING_COUNTER:
            return SlidingCounter(limit, period, origin=origin, rejects_count=rejects_count)
        case Algorithm.TOKEN_BUCKET:
            return TokenBucket(limit, period, burst=burst)
        case Algorithm.GCRA:
            return Gcra(limit, period, burst=burst or min(limit, _GCRA_BURST))
        case _:
            assert_never(algorithm)
