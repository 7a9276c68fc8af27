"""What a tier limit is: requests per period (API reference, Rate Limits), and what it says about one request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

# Requests and seconds of the published tiers; the enterprise tier is whatever a contract says.
TIERS = {"standard": (100, 60.0), "pro": (500, 60.0)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the limit says about one request. Moments are on the caller's clock.

    `remaining` more requests would be admitted at the same moment. `reset` is when the algorithm calls itself
    fresh again. A request that was refused would be admitted from `opens` on, if none came before it; one that
    was admitted has `opens` at its own moment.
    """

    admitted: bool
    limit: int
    remaining: int
    reset: float
    opens: float


class Limit(Protocol):
    """The limit of one key, as a server keeps it. Pure: `now` (seconds, monotonic) comes in and never goes back."""

    def admit(self, now: float) -> Verdict:
        """Count one request; a refused one takes nothing, unless refused requests count."""

    def change(self, limit: int, now: float) -> None:
        """Admit `limit` requests in each period from now on; what was used before stays used."""
