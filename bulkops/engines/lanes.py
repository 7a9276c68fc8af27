"""What each account of a run has of its own: its watcher, its workers' work. One at its limit holds up no other."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from bulkops.engines.feeding import Blocked
from bulkops.model import value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bulkops.engines.drive import Running
    from bulkops.engines.feeding import Feed
    from bulkops.engines.watching import Watcher
    from bulkops.model import Await, Pause
    from bulkops.planning import Planned

Item: TypeAlias = "Running | Planned | Blocked | bytes | Exception"
MOST_ASIDE = 10_000
"""So many operations of an account are read ahead and kept while another one goes on; then it is waited for."""


@dataclass(slots=True)
class Lane:
    """The work of one account."""

    account: str
    resumed: deque[Item] = field(default_factory=deque)
    """What goes on; keys of what was done and has to be in doubt; mistakes of ours that nobody else can raise."""
    aside: deque[Planned | Blocked] = field(default_factory=deque)
    """What was met while work for another account was looked for."""


class Lanes:
    """A lane for each account, the run's own first. `wake` has all who wait for work look again."""

    def __init__(self, accounts: Iterable[str], wake: Callable[[], None]) -> None:
        self._lanes = {account: Lane(account) for account in accounts}
        self._wake = wake
        self.own = next(iter(self._lanes.values()))
        self._alone = len(self._lanes) == 1

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do but what the feed has."""
        return not any(lane.resumed or lane.aside for lane in self)

    @property
    def full(self) -> bool:
        """Whether so much was read ahead for an account that no more is."""
        return not self._alone and any(len(lane.aside) >= MOST_ASIDE for lane in self)

    def resume(self, running: Running) -> None:
        """Have an operation go on with its account."""
        self._lanes[running.account].resumed.append(running)

    def take(self, lane: Lane, feed: Feed) -> Planned | Blocked | None:
        """Return the next operation of an account, None when more has to be read or awaited."""
        if self._alone:
            return feed.take()
        if lane.aside:
            return lane.aside.popleft()
        while not self.full and (item := feed.take()) is not None:
            planned = item.planned if isinstance(item, Blocked) else item
            account = planned.line.account
            at = self.own if account is None else self._lanes[account]
            if at is lane:
                return item
            at.aside.append(item)
            if len(at.aside) == 1:
                self._wake()
        return None


@value
class Watchers:
    """The watchers of several accounts, as one."""

    of: dict[str, Watcher]

    def park(self, running: Running, step: Await | Pause, *, wanted: bool = False) -> None:
        """See `Watcher.park`."""
        self.of[running.account].park(running, step, wanted=wanted)

    @property
    def waiting(self) -> int:
        """See `Watcher`."""
        return sum(each.waiting for each in self.of.values())

    @property
    def looking(self) -> int:
        """See `Watcher`."""
        return sum(each.looking for each in self.of.values())

    @property
    def looks(self) -> int:
        """See `Watcher`."""
        return sum(each.looks for each in self.of.values())

    @property
    def awaited(self) -> Counter[str]:
        """See `Watcher`."""
        return sum((each.awaited for each in self.of.values()), Counter[str]())

    def next_look(self) -> float:
        """See `Watcher.next_look`."""
        return min(each.next_look() for each in self.of.values())
