"""When may it go: tiers, limiter, what the headers teach."""

from __future__ import annotations

from bulkops.pace.dispatcher import Standing
from bulkops.pace.tiers import Allowance, Bucket, bucket_for
from bulkops.pace.turns import Pace, Turn

__all__ = ["Allowance", "Bucket", "Pace", "Standing", "Turn", "bucket_for"]
