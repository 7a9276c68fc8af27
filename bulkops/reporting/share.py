"""What one account had to do with a run: what it was allowed, what was sent to it, how long it rested."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulkops.settings import NO_RESERVE

if TYPE_CHECKING:
    from bulkops.model import Json
    from bulkops.pace.standing import Standing
    from bulkops.settings import Account, Reserve


@dataclass(slots=True, kw_only=True)
class Share:
    """The numbers of an account, which grow while a run goes on.

    `rest_until` and `rest_cause` say until when it rests, by our monotonic clock, and why.
    """

    limit: int | None = None
    period: float = 60.0
    limit_source: str = "default"
    reserve: Reserve = NO_RESERVE
    """What is left to others of the limit that the source names; `limit` is the rest."""
    requests: int = 0
    allowed: float = 0.0
    """So many requests the limit has allowed in the time of the run; it may have changed meanwhile."""
    others: int = 0
    """So many requests of a period were other people's on the same key, at most, as far as the headers showed."""
    others_lately: int = 0
    """The same since the last sample."""
    paused_seconds: float = 0.0
    pause_reasons: Counter[str] = field(default_factory=Counter)
    peak: int = 0
    """The most requests of a period since the last sample."""
    rest_until: float = 0.0
    rest_cause: str = ""
    rested_before: float | None = None
    """Seconds of pauses that earlier runs with the key had; None until it was first looked at."""

    @classmethod
    def of(cls, account: Account) -> Share:
        """Return the share of an account that nothing was sent to yet."""
        return cls(
            limit=account.tier.limit,
            period=account.tier.period,
            limit_source=account.tier_source,
            reserve=account.reserve,
        )

    @property
    def pauses(self) -> int:
        """How often it rested."""
        return self.pause_reasons.total()

    @property
    def used(self) -> float | None:
        """Which share of what the limit allows in this time was sent; None while there is no limit."""
        if self.limit is None:
            return None
        # Within less than a period as much is allowed as in one.
        return min(1.0, self.requests / max(self.limit, self.allowed))

    def see(self, standing: Standing) -> None:
        """Hear where the account stands."""
        if self.rested_before is None:
            self.rested_before = standing.paused_seconds
        self.limit, self.period, self.limit_source = standing.limit, standing.period, standing.source
        self.requests = standing.granted
        self.paused_seconds = standing.paused_seconds - self.rested_before
        self.peak = max(self.peak, standing.granted_last_period)
        self.others_lately = max(self.others_lately, round(standing.others))
        self.others = max(self.others, self.others_lately)

    def sampled(self, seconds: float) -> int:
        """Hear that a sample of so many seconds is over; return the most requests of a period in it."""
        if self.limit is not None:
            self.allowed += self.limit * seconds / self.period
        peak, self.peak, self.others_lately = self.peak, 0, 0
        return peak

    def paused(self, reason: str, until: float, *, again: bool) -> None:
        """Hear that it rests until then, by our monotonic clock; `again`: that is no pause that only takes longer."""
        self.rest_until, self.rest_cause = until, reason
        self.pause_reasons[reason] += again

    def to_json(self) -> dict[str, Json]:
        """Return it as the summary tells it."""
        return {
            "requests": self.requests,
            "limit": {
                "requests": self.limit,
                "seconds": self.period,
                "source": self.limit_source,
                "used": None if self.used is None else round(self.used, 3),
                "others": self.others,
            },
            "pauses": {
                "count": self.pauses,
                "seconds": round(self.paused_seconds, 3),
                "reasons": dict(self.pause_reasons),
            },
        }
