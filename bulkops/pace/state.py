"""All that one account's pace remembers, as one small value that can be written down and read again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
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
    limit: int | None = None
    """What holds now, before the reserve; None as long as nobody has said."""
    told: int | None = None
    """What the server said."""
    due: float = NEVER
    """When the even pace lets the next one go."""
    probing: int = 0
    """How many are under way that were sent since a refusal, before any success."""
    suspect: float = NEVER
    """Until when others are taken to use the key."""

    @classmethod
    def fresh(cls, limit: int | None, period: float, most: int) -> Self:
        """Return the state of an account that has sent nothing."""
        return cls(Ledger(period), Credit(), Others(), Pauses(), Window(most), limit)

    def saved(self) -> dict[str, Json]:
        """Return it as JSON: numbers, lists and objects."""
        return asdict(self)

    @classmethod
    def load(cls, saved: dict[str, Json]) -> Self:
        """Return what was saved."""
        parts = {"ledger": Ledger, "credit": Credit, "others": Others, "pauses": Pauses, "window": Window}
        return cls(
            **{
                name: parts[name](**saved[name]) if name in parts else saved[name]
                for name in (field.name for field in fields(cls))
            }
        )
