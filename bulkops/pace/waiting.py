"""Who waits for a turn, and who is next: by class of service, first come first served within a class."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, TypeAlias

from bulkops.model import RequestClass

if TYPE_CHECKING:
    import asyncio

    from bulkops.pace.credit import Flight

POLL_SHARE = 0.1
"""While work waits, so large a share of the turns goes to polls."""

LEAST_SHARE = 0.01
"""No share is so small that polls starve."""

Place: TypeAlias = "asyncio.Future[Flight | None]"
"""A place in the queue: it hears of the grant, or None when there will be none."""


class Waiting:
    """The queues of one account."""

    __slots__ = ("_owed", "_poll", "_share", "_work", "count")

    def __init__(self) -> None:
        self._work: OrderedDict[Place, None] = OrderedDict()
        self._poll: OrderedDict[Place, None] = OrderedDict()
        self._share = POLL_SHARE
        self._owed = 0.0
        """Turns that the polls have not had although they waited."""
        self.count = 0
        """How many wait in all: each decision asks."""

    @property
    def work(self) -> int:
        """How much work waits."""
        return len(self._work)

    @property
    def polls(self) -> int:
        """How many polls wait."""
        return len(self._poll)

    def share(self, share: float) -> None:
        """Give the polls such a share of the turns while work waits."""
        self._share = min(1.0, max(LEAST_SHARE, share))

    def add(self, place: Place, request_class: RequestClass) -> None:
        """Queue at the end of the class."""
        (self._poll if request_class is RequestClass.POLL else self._work)[place] = None
        self.count += 1

    def drop(self, place: Place) -> None:
        """Leave the queue."""
        for queue in (self._work, self._poll):
            if place in queue:
                del queue[place]
                self.count -= 1

    def take(self) -> Place | None:
        """Remove and return the next place; those whose waiters vanished are skipped."""
        first, second = self._work, self._poll
        if first and second:
            self._owed += self._share
            if self._owed > 1 - 1e-9:
                self._owed -= 1
                first, second = second, first
        for queue in (first, second):
            while queue:
                place, _ = queue.popitem(last=False)
                self.count -= 1
                if not place.done():
                    return place
        return None
