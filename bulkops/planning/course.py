"""What is left to do in the order of the file, and what waits for what: from this the time of a job can be foreseen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulkops.checkpoint import prefix
from bulkops.planning.groups import name_of, name_of_tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulkops.jobfile import Line
    from bulkops.planning.rehearsal import Rehearsal

MOST_OPERATIONS = 2_000
"""Of longer jobs the order is not kept: there the rate alone decides, and it would cost each of their lines."""


@dataclass(slots=True)
class Stretch:
    """Lines one after the other that take the same: `operations` in all, of so many `requests` and looks each.

    `first` are requests before all of them. `names` are those by which others may wait for them (their id and tags,
    see `name_of`), `sources` those that they wait for; `awaits` is the watch of what an operation awaits at its end.
    """

    operations: int
    requests: int
    first: int = 0
    awaits: str | None = None
    names: tuple[int, ...] = ()
    sources: tuple[int, ...] = ()
    account: str | None = None
    """The account that they go to; None for the run's own."""

    def goes_on(self, other: Stretch) -> bool:
        """Tell whether another one is the same, and neither waits nor can be waited for."""
        return not (self.names or other.names or self.sources or other.sources) and (
            self.requests,
            self.awaits,
            self.account,
            other.first,
        ) == (other.requests, other.awaits, other.account, 0)


class Course:
    """The stretches of a job; `whole` is False where it is too long, and then there are none."""

    def __init__(self) -> None:
        self._stretches: list[Stretch] = []
        self._operations = 0
        self.whole = True

    def add_reading(self, account: str | None, requests: int) -> None:
        """Put at the end what is read from another account, for the lines that come."""
        if self.whole:
            self._stretches.append(Stretch(1, requests, account=account))

    def add(self, line: Line, key: bytes, left: int, each: Rehearsal, *, first: int, before: bool) -> None:
        """Put a line at the end that has so many operations left; `first` are requests before all of them."""
        self._operations += left
        if self._operations > MOST_OPERATIONS:
            self.whole = False
            self._stretches.clear()
        if not self.whole:
            return
        stretch = Stretch(
            left,
            each.each_time(before=before),
            first,
            next(iter(each.awaited), None),
            (*([prefix(key)] if line.id is not None else ()), *map(name_of_tag, line.tags)),
            tuple({name_of(source, None) for source, _ in line.sources()}),
            line.account,
        )
        if self._stretches and self._stretches[-1].goes_on(stretch):
            self._stretches[-1].operations += left
        else:
            self._stretches.append(stretch)

    def __iter__(self) -> Iterator[Stretch]:
        return iter(self._stretches)

    def __len__(self) -> int:
        return len(self._stretches)
