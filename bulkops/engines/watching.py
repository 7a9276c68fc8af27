"""What is awaited: thousands of operations wait here and hold nothing; a few lookers look when a look is due."""

from __future__ import annotations

import heapq
import os
import time
from asyncio import Lock
from collections import Counter
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Protocol, TypeAlias

import anyio

from bulkops.engines.looks import USUAL_SHARE, WANTED_SHARE, Awaited, Looks, price
from bulkops.errors import InDoubt, OperationFailed, Overdue
from bulkops.lifecycle import Life
from bulkops.model import Effect, Pause, Reply
from bulkops.sending import Attempt
from bulkops.told import silent

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.api.profile import Profile
    from bulkops.engines.drive import Running
    from bulkops.engines.looks import Price
    from bulkops.model import Await
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


Due: TypeAlias = Awaited[_Parked]


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
        self._looks: Looks[_Parked] = Looks()
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
            await self._look_at(await self._due())

    async def _due(self) -> Due:
        """Return what is due for a look, when it is."""
        # One looker waits for the clock, the others for their turn to do so.
        async with self._next:
            while True:
                now = self._now()
                self._end_pauses(now)
                self._looks.reprice(self._price(), now)
                if (due := self._looks.take(now)) is not None:
                    return due
                await self._wait(now)

    async def _look_at(self, due: Due) -> None:
        running, step = due.item.running, due.item.step
        watch = self._api.watches[step.what]
        self.looks += 1
        self.looking += 1
        due.item.looks += 1
        try:
            attempt = Attempt(
                watch.request(step.id), running.account, running.planned.key, 0, Life(Effect.READ)
            )
            observation = watch.seen((await self._sender.send(attempt)).json, step.alike)
        except (OperationFailed, InDoubt) as failure:
            self._hand_back(due.item, failure)
            return
        finally:
            self.looking -= 1
        now = self._now()
        settled = step.settled(observation)
        self._looks.learn(due, now, settled=settled)
        if settled:
            self._told("settled", what=step.what, seconds=now - due.began, looks=due.item.looks)
            self._hand_back(due.item, Reply(200, observation))
        elif now >= due.overdue:
            self._hand_back(due.item, _overdue(step, watch.status(observation)))
        else:
            self._looks.put_back(due)
            self._changed.set()

    def _await(self, parked: _Parked, now: float) -> None:
        running, step = parked.running, parked.step
        self.awaited[step.what] += 1
        self._wanted += parked.wanted
        self._give_share()
        self._looks.add(
            parked,
            (running.account, step.what, step.alike),
            self._api.watches[step.what].usual,
            size=_size(step.file),
            # What an earlier run began is as old as that is long ago.
            began=now - _seconds_since(running.began_at) * self._time_scale,
            overdue=now + step.deadline,
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

    def _price(self) -> Price:
        standing = self._budget.standing(self._account)
        known = standing.per_second < inf
        rate = standing.per_second / self._time_scale if known else UNKNOWN_RATE
        return price(self.waiting, rate, others_wait=standing.waiting_work > 0)

    def _next_due(self) -> float:
        pause = self._pauses[0][0] if self._pauses else inf
        return min(pause, self._looks.next_due())

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
