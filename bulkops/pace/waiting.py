"""Who waits for a turn, and who is next: by class of service, first come first served within a class."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, TypeAlias

from bulkops.model import RequestClass

if TYPE_CHECKING:
    import asyncio

POLL_TURNS = 4
"""While work waits, one turn in so many goes to a poll."""

Place: TypeAlias = "asyncio.Future[float | None]"
"""A place in the queue: it hears the time of the grant, or None when there will be none."""


class Waiting:
    """The queues of one account."""

    __slots__ = ("_poll", "_since_poll", "_work")

    def __init__(self) -> None:
        self._work: OrderedDict[Place, None] = OrderedDict()
        self._poll: OrderedDict[Place, None] = OrderedDict()
        self._since_poll = 0

    def __len__(self) -> int:
        return len(self._work) + len(self._poll)

    def add(self, place: Place, request_class: RequestClass) -> None:
        """Queue at the end of the class."""
        (self._poll if request_class is RequestClass.POLL else self._work)[place] = None

    def drop(self, place: Place) -> None:
        """Leave the queue."""
        self._work.pop(place, None)
        self._poll.pop(place, None)

    def take(self) -> Place | None:
        """Remove and return the next place; those that were cancelled are skipped."""
        polls_turn = self._since_poll >= POLL_TURNS - 1
        for queue in (self._poll, self._work) if polls_turn else (self._work, self._poll):
            while queue:
                place, _ = queue.popitem(last=False)
                if not place.done():
                    self._since_poll = 0 if queue is self._poll else self._since_poll + 1
                    return place
        return None
