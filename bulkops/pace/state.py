"""All that one account's pace remembers, as one small value that is written down as JSON and read again."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

from bulkops.pace.credit import NEVER, Credit
from bulkops.pace.ledger import Ledger
from bulkops.pace.others import Others
from bulkops.pace.pauses import Pauses
from bulkops.pace.window import Window

if TYPE_CHECKING:
    from bulkops.model import Json


@dataclass(slots=True)
class State:
    """Numbers only; every time is on one clock, that of whoever asks the governor."""

    ledger: Ledger
    credit: Credit
    others: Others
    pauses: Pauses
    window: Window
    told: int | None = None
    """The limit that the server named; None as long as it has not."""
    due: float = NEVER
    """When the even pace lets the next one go."""
    probing: int = 0
    """How many are under way that were sent since a refusal, before any success."""
    suspect: float = NEVER
    """Until when others are taken to use the key."""

    @classmethod
    def fresh(cls, period: float) -> Self:
        """Return the state of an account that has sent nothing."""
        return cls(Ledger(period), Credit(), Others(), Pauses(), Window())

    @classmethod
    def load(cls, saved: dict[str, Json]) -> Self:
        """Return the state that this JSON, of numbers, lists and objects, was made of; any error if of none."""
        parts = {"ledger": Ledger, "credit": Credit, "others": Others, "pauses": Pauses, "window": Window}
        return cls(
            **{
                name: parts[name](**saved[name]) if name in parts else saved[name]
                for name in (field.name for field in fields(cls))
            }
        )
