"""When nothing moves for a while, one line says what everything waits for."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import anyio

from bulkops.reporting.words import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulkops.api.profile import Profile
    from bulkops.checkpoint import Checkpoint
    from bulkops.engines.local import Engine
    from bulkops.model import Json
    from bulkops.pace.turns import Pace
    from bulkops.reporting.events import EventLog
    from bulkops.reporting.progress import Progress
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
    """Requests that were sent and not answered, or wait to be repeated."""
    held: int = 0
    """Lines that wait for operations in doubt."""
    disk: bool = False
    """The checkpoint does not get written."""

    def words(self) -> list[str]:
        """Say what it waits for, the most probable cause first."""
        found = []
        if self.disk:
            found.append("the disk: the checkpoint is not written")
        if self.pause > 0:
            found.append(f"the end of a pause ({self.cause}) in {duration(self.pause)}")
        if self.queued and self.pause <= 0:
            limit = "" if self.limit is None else f", {self.limit:,} in {duration(self.period)}"
            found.append(f"a turn for {_many(self.queued, 'request')}{limit}")
        settling = [f"{number:,} {words[number != 1]}" for words, number in self.awaited.items() if number]
        if settling:
            look = "" if self.next_look == inf else f", next look in {duration(self.next_look)}"
            found.append(f"{' and '.join(settling)} to settle{look}")
        if self.in_flight:
            found.append(f"the answers to {_many(self.in_flight, 'request')}")
        if self.held:
            found.append(f"operations in doubt, on which {_many(self.held, 'line')} depend")
        return found


class StallDetector:
    """Watches over a run; what it finds is said once for each standstill."""

    def __init__(self, api: Profile, account: str, progress: Progress, events: EventLog) -> None:
        self._api = api
        self._account = account
        self._progress = progress
        self._events = events
        self._pause = (-inf, "")

    def told(self, event: str, facts: Mapping[str, Json]) -> None:
        """Hear of a pause of the pace."""
        if event in ("paused", "lengthened"):
            self._pause = (anyio.current_time() + facts["seconds"], str(facts["reason"]))

    async def watch(
        self, engine: Engine, sender: Retrying, pace: Pace, checkpoint: Checkpoint, ended: Callable[[], int]
    ) -> None:
        """Watch until cancelled. `ended` tells how many operations have ended."""
        best, since, said = -1, anyio.current_time(), False
        while True:
            await anyio.sleep(EVERY)
            # Looks that find nothing settled are no progress, nor are attempts that have to be repeated.
            moved = sender.requests - sender.retries - engine.looks + ended()
            if moved > best:
                best, since, said = moved, anyio.current_time(), False
            rest = anyio.current_time() - since
            if not said and rest >= self._longest_rest(pace):
                said = True
                self._say(rest, await self._standstill(engine, pace, checkpoint))

    def _longest_rest(self, pace: Pace) -> float:
        standing = pace.standing(self._account)
        slow = SLOW_TURNS * standing.period / standing.limit if standing.limit else 0.0
        return max(LONGEST_REST, slow)

    async def _standstill(self, engine: Engine, pace: Pace, checkpoint: Checkpoint) -> Standstill:
        with anyio.move_on_after(PATIENCE) as patience:
            await checkpoint.flush()
        standing = pace.standing(self._account)
        until, cause = self._pause
        watches = self._api.watches
        return Standstill(
            pause=until - anyio.current_time(),
            cause=cause,
            queued=standing.waiting,
            limit=standing.limit,
            period=standing.period,
            awaited={watches[what].words: number for what, number in engine.awaited_by_watch.items()},
            next_look=engine.next_look,
            in_flight=engine.at_requests - standing.waiting,
            held=engine.held,
            disk=patience.cancelled_caught,
        )

    def _say(self, rest: float, standstill: Standstill) -> None:
        words = standstill.words()
        self._progress.note(
            f"nothing has moved for {duration(rest)}; waiting for {'; '.join(words) or 'nothing known'}"
        )
        self._events.note("stalled", seconds=round(rest, 1), waiting_for=words)


def _many(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
