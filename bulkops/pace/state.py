"""All that one account's pace remembers, as one small value that is written down as a list and read again."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Self

from bulkops.pace.credit import NEVER, Credit
from bulkops.pace.ledger import Ledger
from bulkops.pace.others import Others
from bulkops.pace.pauses import Pauses
from bulkops.pace.supposed import Supposed
from bulkops.pace.ways import Ways
from bulkops.pace.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulkops.model import Json


@dataclass(slots=True)
class State:
    """Numbers only; every time is on one clock, that of whoever asks the governor."""

    ledger: Ledger
    credit: Credit
    others: Others
    pauses: Pauses
    window: Window
    ways: Ways
    supposed: Supposed
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
        return cls(Ledger(period), Credit(), Others(), Pauses(), Window(), Ways(), Supposed())

    def dump(self) -> tuple[Json, ...]:
        """Return all values in one row: it is written often, and names would double the time."""
        return _row(self)

    @classmethod
    def load(cls, row: Iterable[Json]) -> Self:
        """Return the state that was dumped so; raises TypeError or ValueError if none was."""
        values = iter(row)
        parts = {name: part(*islice(values, len(fields(part)))) for name, part in _PARTS.items()}
        return cls(**parts, **dict(zip(_OWN, values, strict=True)))


_PARTS = {
    "ledger": Ledger,
    "credit": Credit,
    "others": Others,
    "pauses": Pauses,
    "window": Window,
    "ways": Ways,
    "supposed": Supposed,
}
_OWN = [field.name for field in fields(State) if field.name not in _PARTS]
_row = attrgetter(*(f"{name}.{field.name}" for name, part in _PARTS.items() for field in fields(part)), *_OWN)
