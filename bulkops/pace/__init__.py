"""When may it go: tiers, limiter, what the headers teach. `Pace` is in `turns.py`: planning needs only the numbers."""

from __future__ import annotations

from bulkops.pace.tiers import Allowance, Bucket, bucket_for

__all__ = ["Allowance", "Bucket", "bucket_for"]
