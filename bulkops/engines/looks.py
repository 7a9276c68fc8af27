"""When the things that are awaited are looked at: each as soon as the answer is worth a request, and not before.

Pure: times come in, in seconds of the server's clock.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from bulkops.engines.readiness import Readiness

if TYPE_CHECKING:
    from collections.abc import Hashable

T = TypeVar("T")

CLOSEST = 1.0
"""Seconds between two looks at the same thing, at least."""
DEAREST = 0.81
"""While other requests wait, a look has to find its thing settled with this chance: one look in five is in vain."""
CHEAPEST = 0.06
"""With a budget that nobody else wants, this chance is enough."""
SPREAD = 36.0
"""Then looks are taken at such chances that looking at everything once takes about so many seconds."""
ROUND = 10.0
"""And everything is looked at once in so many times as long as that takes at the full rate, whatever its chance."""
DIFFERENCE = 1.25
"""A price that differs by less is the same."""
USUAL_SHARE = 0.1
WANTED_SHARE = 0.4
"""What looks get of the turns while other requests wait; the second when later operations wait for what is awaited."""
REORDERED_PER_SECOND = 1000
"""Things that are put in another order; each takes some 5 µs."""


@dataclass(frozen=True, slots=True)
class Price:
    """A look is taken at this chance to find its thing settled, and at the latest after so many seconds."""

    chance: float
    longest: float = inf

    def differs(self, other: Price) -> bool:
        """Tell whether another price is so different that it matters."""
        pairs = (self.chance, other.chance), (self.longest, other.longest)
        return not all(a / DIFFERENCE <= b <= a * DIFFERENCE for a, b in pairs)


def price(outstanding: int, per_second: float, *, others_wait: bool) -> Price:
    """Return what a look has to be worth, with so many things awaited and so many requests a second."""
    if others_wait:
        return Price(DEAREST)
    once = max(1, outstanding) / per_second
    return Price(min(max(DEAREST * once / SPREAD, CHEAPEST), DEAREST), ROUND * once)


TOGETHER, APART = Price(0.5), 20.0
TOGETHER_ALONE, APART_ALONE = Price(0.2, 60.0), 5.0
"""Where one request looks at many: what it has to be worth for one of them, and the seconds between two requests that
are not full; while others wait, and with a budget that nobody else wants."""


@dataclass(slots=True)
class Awaited(Generic[T]):
    """Something that is awaited: since when, until when at most, and its age at the last look."""

    item: T
    readiness: Readiness
    doublings: float
    began: float
    overdue: float
    looked: float = 0.0


class Looks(Generic[T]):
    """What is awaited, in the order in which it is worth a look."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Awaited[T]]] = []
        self._order = 0
        self._readiness: dict[Hashable, Readiness] = {}
        self._price = Price(DEAREST)
        self._ordered_at = -inf
        self._learned = 0
        self._learned_then = 0

    def add(
        self, item: T, alike: Hashable, usual: float, *, size: int | None, began: float, overdue: float
    ) -> None:
        """Await something that began then. What is `alike` takes alike long: at first the usual seconds."""
        readiness = self._readiness.get(alike)
        if readiness is None:
            readiness = self._readiness[alike] = Readiness(usual)
        self.put_back(Awaited(item, readiness, readiness.doublings(size), began, overdue))

    @property
    def awaited(self) -> int:
        """How many are awaited, but for those that were taken out."""
        return len(self._heap)

    @property
    def ends_next(self) -> bool:
        """Whether the next look is the last at what it looks at: that is overdue then."""
        return bool(self._heap) and self._heap[0][0] >= self._heap[0][2].overdue

    def next_due(self) -> float:
        """Return when the next look is due; infinity when nothing is awaited."""
        return self._heap[0][0] if self._heap else inf

    def take(self, now: float) -> Awaited[T] | None:
        """Take out what is to be looked at now, if anything is."""
        while self._heap and self._heap[0][0] <= now:
            _, order, awaited = heapq.heappop(self._heap)
            # It may have been learned since that things take longer.
            due = self._due(awaited)
            if due < now + CLOSEST:
                return awaited
            heapq.heappush(self._heap, (due, order, awaited))
        return None

    def take_along(self, most: int) -> list[Awaited[T]]:
        """Take out so many more, at most, that will be worth a look next; they need not be due."""
        return [heapq.heappop(self._heap)[2] for _ in range(min(most, len(self._heap)))]

    def learn(self, awaited: Awaited[T], now: float, *, settled: bool) -> None:
        """Hear what a look has found."""
        age = now - awaited.began
        awaited.readiness.learn(awaited.looked, age, awaited.doublings, settled=settled)
        awaited.looked = age
        self._learned += 1

    def put_back(self, awaited: Awaited[T]) -> None:
        """Await something further."""
        self._order += 1
        heapq.heappush(self._heap, (self._due(awaited), self._order, awaited))

    def reprice(self, price: Price, now: float) -> None:
        """Hear the price of looks as it is now. All get a new place when it or what is known has changed much."""
        known_better = self._learned >= 2 * self._learned_then + 1
        rested = now - self._ordered_at >= len(self._heap) / REORDERED_PER_SECOND
        if rested and (known_better or price.differs(self._price)):
            self._price, self._ordered_at, self._learned_then = price, now, self._learned
            self._heap = [(self._due(awaited), order, awaited) for _, order, awaited in self._heap]
            heapq.heapify(self._heap)

    def _due(self, awaited: Awaited[T]) -> float:
        likely = awaited.readiness.when(awaited.looked, self._price.chance, awaited.doublings)
        soon = min(likely, awaited.looked + self._price.longest)
        return min(awaited.began + max(soon, awaited.looked + CLOSEST), awaited.overdue)


class _Group(Generic[T]):
    """What is looked at together: `most` at once, and so often at most as `apart` says."""

    def __init__(self, most: int) -> None:
        self.looks: Looks[T] = Looks()
        self.most = most
        self.apart = 0.0
        self._taken = -inf

    def next_due(self) -> float:
        """Return when the next look is due: a request that is full waits for nothing, nor does a last look."""
        due, looks = self.looks.next_due(), self.looks
        at_once = looks.awaited >= self.most or looks.ends_next
        return due if at_once else max(due, self._taken + self.apart)

    def take(self, now: float) -> list[Awaited[T]]:
        """Take out what is due now, if anything is, and what will be next."""
        if self.next_due() > now or (due := self.looks.take(now)) is None:
            return []
        self._taken = now
        return [due, *self.looks.take_along(self.most - 1)]


class Agenda(Generic[T]):
    """All that is awaited: what is looked at one by one, and of what is looked at together each kind by itself."""

    def __init__(self) -> None:
        self._alone: Looks[T] = Looks()
        self._together: dict[Hashable, _Group[T]] = {}

    def add(
        self,
        item: T,
        alike: Hashable,
        usual: float,
        *,
        size: int | None,
        began: float,
        overdue: float,
        most: int = 1,
    ) -> None:
        """Await something, see `Looks.add`. One request can look at `most` things that are `alike`."""
        looks = self._alone
        if most > 1:
            group = self._together.get(alike)
            if group is None:
                group = self._together[alike] = _Group(most)
            looks = group.looks
        looks.add(item, alike, usual, size=size, began=began, overdue=overdue)

    def next_due(self) -> float:
        """Return when the next look is due; infinity when nothing is awaited."""
        return min(self._alone.next_due(), *(group.next_due() for group in self._together.values()), inf)

    def reprice(self, outstanding: int, per_second: float, now: float, *, others_wait: bool) -> None:
        """Hear how many things are awaited, how many requests a second there are, and whether others want them."""
        self._alone.reprice(price(outstanding, per_second, others_wait=others_wait), now)
        for group in self._together.values():
            group.apart = APART if others_wait else APART_ALONE
            group.looks.reprice(TOGETHER if others_wait else TOGETHER_ALONE, now)

    def take(self, now: float) -> Round[T] | None:
        """Take out what is to be looked at now in one request, if anything is."""
        if (due := self._alone.take(now)) is not None:
            return Round(self._alone, [due])
        for group in self._together.values():
            if several := group.take(now):
                return Round(group.looks, several)
        return None

    def single_out(self, awaited: Awaited[T]) -> None:
        """Await something further that was looked at together with others, from now on by itself."""
        self._alone.put_back(awaited)


class Round(NamedTuple, Generic[T]):
    """What is looked at in one request, and where it was taken from."""

    looks: Looks[T]
    awaited: list[Awaited[T]]
