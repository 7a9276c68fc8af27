"""When nothing moves for a while, one line says what everything waits for."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import anyio

from bulkops.model import State
from bulkops.reporting.words import duration, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bulkops.api.profile import Profile
    from bulkops.checkpoint import Checkpoint
    from bulkops.engines.local import Engine
    from bulkops.observing import Observer
    from bulkops.pace.standing import Standing
    from bulkops.pace.turns import Pace
    from bulkops.sending import Retrying

LONGEST_REST = 30.0
"""Seconds without progress after which it is said."""
SLOW_TURNS = 2
"""With a limit so low that turns come seldom, progress is missed only after so many of them."""
EVERY = 1.0
"""Seconds between two looks at the progress."""
PATIENCE = 2.0
"""Seconds in which a disk that works has written everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standstill:
    """What a run could be waiting for; numbers of nought and None stand for what it does not wait for."""

    pause: float = 0.0
    """Seconds that the pace still rests."""
    cause: str = ""
    """Why it rests."""
    queued: int = 0
    """Requests that wait for their turn."""
    limit: int | None = None
    period: float = 60.0
    awaited: Mapping[tuple[str, str], int]
    """How many of what have to settle, by the words for one and for many."""
    next_look: float = inf
    """Seconds until the next look at them."""
    in_flight: int = 0
    """Requests that were sent and not answered."""
    window: int = 0
    """So many may be in flight at once."""
    repeated: int = 0
    """Requests that are sent again after a while."""
    doubted: int = 0
    """Operations in doubt about which the API is asked."""
    asked: int = 0
    """Operations in doubt about which the user is asked."""
    held: int = 0
    """Lines that wait for operations in doubt."""
    disk: bool = False
    """The checkpoint does not get written."""
    elsewhere: tuple[tuple[str, Standstill], ...] = ()
    """What other accounts wait for, by name."""

    def words(self) -> list[str]:
        """Say what it waits for, the most probable cause first."""
        found = []
        if self.disk:
            found.append("the disk: the checkpoint is not written")
        if self.pause > 0:
            found.append(f"the end of a pause ({self.cause}) in {duration(self.pause)}")
        if self.queued and self.pause <= 0:
            found.append(f"a turn for {number(self.queued, 'request')}{self._bound()}")
        settling = [f"{count:,} {words[count != 1]}" for words, count in self.awaited.items() if count]
        if settling:
            look = "" if self.next_look == inf else f", next look in {duration(self.next_look)}"
            found.append(f"{' and '.join(settling)} to settle{look}")
        if self.in_flight:
            found.append(f"the answers to {number(self.in_flight, 'request')}")
        if self.repeated and not self.disk:
            found.append(f"the next attempt at {number(self.repeated, 'request')}")
        if self.doubted:
            found.append(f"what became of {number(self.doubted, 'operation')} in doubt")
        if self.asked:
            found.append(f"your answer about {number(self.asked, 'operation')} in doubt")
        if self.held:
            found.append(f"operations in doubt, on which {number(self.held, 'line')} depend")
        return found

    def _bound(self) -> str:
        """Say what holds up those who wait for a turn."""
        if 0 < self.window <= self.in_flight:
            return f", {self.window:,} in flight at once"
        return "" if self.limit is None else f", {self.limit:,} in {duration(self.period)}"


class StallDetector:
    """Watches over a run; what it finds is said once for each standstill."""

    def __init__(self, api: Profile, accounts: Iterable[str], observer: Observer) -> None:
        self._api = api
        self._accounts = list(accounts)
        """The run's own first."""
        self._observer = observer

    async def watch(self, engine: Engine, pace: Pace, sender: Retrying, checkpoint: Checkpoint) -> None:
        """Watch until cancelled."""
        best, since, said = -1, anyio.current_time(), False
        while True:
            await anyio.sleep(EVERY)
            now = anyio.current_time()
            if (moved := self._moved(engine, sender)) > best:
                best, since, said = moved, now, False
            if not said and now - since >= self._longest_rest(pace):
                said = True
                self._say(now - since, await self._standstill(engine, pace, checkpoint))

    def _moved(self, engine: Engine, sender: Retrying) -> int:
        """Return a number that grows with each step and each end; looks and further attempts are none."""
        report = self._observer.report
        ended = report.total - report.count(State.NOT_STARTED)
        return sender.requests - sender.retries - engine.looks + ended

    def _longest_rest(self, pace: Pace) -> float:
        # As long as any of them should send, that it does not is worth to be said.
        turns = [SLOW_TURNS / pace.standing(account).per_second for account in self._accounts]
        return max(LONGEST_REST, min(turns))

    async def _standstill(self, engine: Engine, pace: Pace, checkpoint: Checkpoint) -> Standstill:
        with anyio.move_on_after(PATIENCE) as patience:
            await checkpoint.flush()
        own, *others = [(account, pace.standing(account)) for account in self._accounts]
        (_, standing), watcher = own, engine.watcher
        doubts, asking = engine.doubts, engine.asking
        watches = self._api.watches
        assert watcher is not None
        assert doubts is not None
        assert asking is not None
        pause, cause = self._observer.resting()
        in_flight = sum(each.in_flight for _, each in (own, *others))
        waiting = sum(each.waiting for _, each in (own, *others))
        return Standstill(
            pause=pause,
            cause=cause,
            queued=standing.waiting,
            limit=standing.limit,
            period=standing.period,
            awaited={watches[what].words: number for what, number in watcher.awaited.items()},
            next_look=watcher.next_look(),
            in_flight=in_flight,
            window=standing.window,
            repeated=max(0, engine.busy + watcher.looking - waiting - in_flight),
            elsewhere=tuple(self._waits(account, each) for account, each in others),
            doubted=doubts.waiting,
            asked=asking.waiting,
            held=engine.held,
            disk=patience.cancelled_caught,
        )

    def _waits(self, account: str, standing: Standing) -> tuple[str, Standstill]:
        """Return what another account waits for, beside answers."""
        pause, cause = self._observer.resting(account)
        return account, Standstill(
            pause=pause,
            cause=cause,
            queued=standing.waiting,
            limit=standing.limit,
            period=standing.period,
            awaited={},
        )

    def _say(self, seconds: float, standstill: Standstill) -> None:
        words = standstill.words()
        for account, waits in standstill.elsewhere:
            words += [f"{what} (account {account})" for what in waits.words()]
        told = "; ".join(words) or "nothing known"
        self._observer.progress.note(f"nothing has moved for {duration(seconds)}; waiting for {told}")
        self._observer.events.note("stalled", seconds=round(seconds, 1), waiting_for=words)
