"""What is awaited: thousands of operations wait here and hold nothing; a few lookers look when a look is due.

Where the API tells of many things in one answer, a look at one that is due takes along those that are due next.
"""

from __future__ import annotations

import heapq
import os
import time
from asyncio import Lock
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Protocol, TypeAlias

import anyio

from bulkops.engines.looks import USUAL_SHARE, WANTED_SHARE, Agenda, Round
from bulkops.errors import InDoubt, OperationFailed, Overdue
from bulkops.lifecycle import Life
from bulkops.model import Effect, Pause, Reply
from bulkops.sending import Attempt
from bulkops.told import silent

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.api.profile import Batch, Profile
    from bulkops.engines.drive import Running
    from bulkops.engines.looks import Awaited
    from bulkops.model import Await, Json, Request
    from bulkops.sending import Sender
    from bulkops.told import Told

RECONSIDERED = 1.0
"""Seconds after which the price of a look is asked again: what was too dear may be cheap by now."""
UNKNOWN_RATE = 100 / 60
"""Requests per second, where the limit is not known yet."""


class Standing(Protocol):
    """Where an account stands."""

    @property
    def per_second(self) -> float:
        """So many requests may go in a second of our clock; infinity while that is not known."""

    @property
    def waiting_work(self) -> int:
        """So many requests that are no looks wait for their turn."""


class Budget(Protocol):
    """What has to be known of the pace: looks take their turns from it."""

    def standing(self, account: str, /) -> Standing:
        """Say where an account stands; cheap."""

    def poll_share(self, account: str, share: float, /) -> None:
        """While other requests wait, give looks at most this share of the turns."""


@dataclass(slots=True)
class _Parked:
    """An operation that waits for something to settle; `wanted` when others wait for the operation."""

    running: Running
    step: Await
    wanted: bool
    looks: int = 0


Due: TypeAlias = Round[_Parked]


class Watcher:
    """Keep what is parked, look at it when a look is due, and hand it back when it has settled.

    `resume` takes an operation whose `answer` is set. `share` is what looks get of the turns while other requests
    wait; None leaves it to the watcher. Inside, times are those of the server's clock, which runs `time_scale`
    times as fast as ours. `told("settled", what=…, seconds=…, looks=…)` hears of each thing that settled, in those
    seconds.
    """

    def __init__(
        self,
        api: Profile,
        sender: Sender,
        resume: Callable[[Running], None],
        *,
        budget: Budget,
        account: str,
        share: float | None = None,
        time_scale: float = 1.0,
        told: Told = silent,
    ) -> None:
        self._told = told
        self._api = api
        self._sender = sender
        self._resume = resume
        self._budget = budget
        self._account = account
        self._share = share
        self._time_scale = time_scale
        self._agenda: Agenda[_Parked] = Agenda()
        self._pauses: list[tuple[float, int, Running]] = []
        self._order = 0
        self._next = Lock()
        self._changed = anyio.Event()
        self._wanted = 0
        self.awaited: Counter[str] = Counter()
        """How many wait for what, by the names of the watches."""
        self.waiting = 0
        self.looking = 0
        """Looks that are under way or wait for their turn."""
        self.looks = 0
        """Requests, at however many things each looked."""
        self._give_share()

    def park(self, running: Running, step: Await | Pause, *, wanted: bool = False) -> None:
        """Take over an operation that waits; the deadline of what it awaits begins now.

        `wanted`: other operations wait for this one.
        """
        now = self._now()
        self.waiting += 1
        if isinstance(step, Pause):
            self._order += 1
            heapq.heappush(self._pauses, (now + step.seconds, self._order, running))
        else:
            self._await(_Parked(running, step, wanted), now)
        self._changed.set()

    def next_look(self) -> float:
        """Return the seconds until something is due; infinity when nothing is."""
        return max(0.0, self._next_due() - self._now()) / self._time_scale

    async def look(self) -> None:
        """Work as one of the lookers, for ever."""
        while True:
            due = await self._due()
            batch = self._api.watches[due.awaited[0].item.step.what].batch
            if len(due.awaited) == 1 or batch is None:
                await self._look_at(due)
            else:
                await self._look_together(due, batch)

    async def _due(self) -> Due:
        """Return what is due for a look, when it is."""
        # One looker waits for the clock, the others for their turn to do so.
        async with self._next:
            while True:
                now = self._now()
                self._end_pauses(now)
                self._reprice(now)
                if (due := self._agenda.take(now)) is not None:
                    return due
                await self._wait(now)

    async def _look_at(self, due: Due) -> None:
        (awaited,) = due.awaited
        running, step = awaited.item.running, awaited.item.step
        watch = self._api.watches[step.what]
        try:
            answer = await self._ask(watch.request(step.id), running)
            observation = watch.seen(answer, step.alike)
        except (OperationFailed, InDoubt) as failure:
            self._hand_back(awaited.item, failure)
            return
        self._hear(due, awaited, observation)

    async def _look_together(self, due: Due, batch: Batch) -> None:
        first = due.awaited[0].item
        answer: Json = None
        # What fails for all need not fail for one: each that nothing is told of is asked about by itself.
        with suppress(OperationFailed, InDoubt):
            ids = [awaited.item.step.id for awaited in due.awaited]
            answer = await self._ask(batch.request(ids, first.step.alike), first.running)
        for awaited in due.awaited:
            step = awaited.item.step
            observation = batch.part(answer, step.id, step.alike)
            if observation is None:
                self._agenda.single_out(awaited)
                self._changed.set()
            else:
                self._hear(due, awaited, observation)

    async def _ask(self, request: Request, running: Running) -> Json:
        self.looks += 1
        self.looking += 1
        try:
            attempt = Attempt(request, running.account, running.planned.key, 0, Life(Effect.READ))
            return (await self._sender.send(attempt)).json
        finally:
            self.looking -= 1

    def _hear(self, due: Due, awaited: Awaited[_Parked], observation: Json) -> None:
        parked, step, now = awaited.item, awaited.item.step, self._now()
        parked.looks += 1
        settled = step.settled(observation)
        due.looks.learn(awaited, now, settled=settled)
        if settled:
            self._told("settled", what=step.what, seconds=now - awaited.began, looks=parked.looks)
            self._hand_back(parked, Reply(200, observation))
        elif now >= awaited.overdue:
            self._hand_back(parked, _overdue(step, self._api.watches[step.what].status(observation)))
        else:
            due.looks.put_back(awaited)
            self._changed.set()

    def _await(self, parked: _Parked, now: float) -> None:
        running, step = parked.running, parked.step
        self.awaited[step.what] += 1
        self._wanted += parked.wanted
        self._give_share()
        watch = self._api.watches[step.what]
        self._agenda.add(
            parked,
            (running.account, step.what, step.alike),
            watch.usual,
            size=_size(step.file),
            # What an earlier run began is as old as that is long ago.
            began=now - _seconds_since(running.began_at) * self._time_scale,
            overdue=now + step.deadline,
            most=watch.most,
        )

    def _hand_back(self, parked: _Parked, answer: Reply | Exception) -> None:
        self.awaited[parked.step.what] -= 1
        self._wanted -= parked.wanted
        self._give_share()
        self._end(parked.running, answer)

    def _end(self, running: Running, answer: Reply | Exception) -> None:
        self.waiting -= 1
        running.answer = answer
        self._resume(running)

    def _end_pauses(self, now: float) -> None:
        while self._pauses and self._pauses[0][0] <= now:
            self._end(heapq.heappop(self._pauses)[2], Reply(200))

    def _give_share(self) -> None:
        share = self._share or (WANTED_SHARE if self._wanted else USUAL_SHARE)
        self._budget.poll_share(self._account, share)

    def _reprice(self, now: float) -> None:
        standing = self._budget.standing(self._account)
        known = standing.per_second < inf
        rate = standing.per_second / self._time_scale if known else UNKNOWN_RATE
        self._agenda.reprice(self.waiting, rate, now, others_wait=standing.waiting_work > 0)

    def _next_due(self) -> float:
        pause = self._pauses[0][0] if self._pauses else inf
        return min(pause, self._agenda.next_due())

    async def _wait(self, now: float) -> None:
        seconds = self._next_due() - now
        if seconds != inf:
            seconds = min(seconds, RECONSIDERED) / self._time_scale
        if self._changed.is_set():
            self._changed = anyio.Event()
        with anyio.move_on_after(seconds):
            await self._changed.wait()

    def _now(self) -> float:
        return anyio.current_time() * self._time_scale


def _size(file: str | None) -> int | None:
    try:
        return None if file is None else os.stat(file).st_size  # noqa: PTH116 - tens of thousands may come
    except OSError:
        # It may be gone by now; it has been uploaded.
        return None


def _seconds_since(began_at: float | None) -> float:
    return 0.0 if began_at is None else max(0.0, time.time() - began_at)


def _overdue(step: Await, status: str) -> Overdue:
    return Overdue(
        "overdue",
        f"{step.what} of {step.id} was still {status!r} after {step.deadline:.0f} s; "
        "`bulkops retry` goes on waiting, a longer `deadline` on the line waits longer",
    )
