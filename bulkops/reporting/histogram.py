"""Durations counted in buckets that grow by a constant factor: small, mergeable, true to within 5 %."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SMALLEST = 2.0**-13
"""Seconds (0.12 ms). Bucket 0 holds all that is shorter; a power of two, so that whole seconds are bounds."""
PER_DOUBLING = 8
_LONGEST = 400
"""No duration is in a bucket beyond this one (its lower bound is millions of years)."""
_SUM = "sum"


class Histogram:
    """How many durations fell into which bucket, and their sum; bucket n begins at `lower(n)` seconds."""

    __slots__ = ("buckets", "seconds")

    def __init__(self, buckets: Mapping[int, int] | None = None, seconds: float = 0.0) -> None:
        self.buckets = dict(buckets or {})
        self.seconds = seconds

    def add(self, seconds: float) -> None:
        """Count a duration."""
        bucket = int(log2(seconds / SMALLEST) * PER_DOUBLING) + 1 if seconds > SMALLEST else 0
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        self.seconds += seconds

    def merge(self, other: Histogram) -> None:
        """Count what another one has counted as well."""
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count
        self.seconds += other.seconds

    @property
    def count(self) -> int:
        """How many durations were counted."""
        return sum(self.buckets.values())

    def percentile(self, share: float) -> float | None:
        """Return a duration (seconds) that this share of all do not exceed, or None where there are none."""
        wanted = share * self.count
        passed = 0
        for bucket in sorted(self.buckets):
            passed += self.buckets[bucket]
            if passed >= wanted:
                return (lower(bucket) * lower(bucket + 1)) ** 0.5 if bucket else SMALLEST
        return None

    def up_to(self, last: int) -> int:
        """Return how many are in the buckets up to this one."""
        return sum(count for bucket, count in self.buckets.items() if bucket <= last)

    def to_json(self) -> dict[str, float]:
        """Return it as JSON: the counts by bucket, and the sum."""
        counts = {str(bucket): self.buckets[bucket] for bucket in sorted(self.buckets)}
        return {**counts, _SUM: round(self.seconds, 6)}

    @classmethod
    def from_json(cls, told: object) -> Histogram:
        """Read what `to_json` wrote; what cannot be that is left out."""
        if not isinstance(told, dict):
            return cls()
        seconds = told.get(_SUM)
        counts = {
            int(bucket): count
            for bucket, count in told.items()
            if bucket.isdecimal() and int(bucket) <= _LONGEST and isinstance(count, int) and count > 0
        }
        return cls(counts, seconds if isinstance(seconds, int | float) else 0.0)


def lower(bucket: int) -> float:
    """Return where a bucket begins, in seconds."""
    return SMALLEST * 2.0 ** ((bucket - 1) / PER_DOUBLING) if bucket > 0 else 0.0


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """Return all of them in one."""
    total = Histogram()
    for histogram in histograms:
        total.merge(histogram)
    return total
