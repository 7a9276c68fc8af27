"""What is awaited: thousands of operations wait here and hold nothing; a few workers look when a look is due."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio

from bulkops.errors import InDoubt, OperationFailed, Overdue
from bulkops.lifecycle import Life
from bulkops.model import Effect, Pause, Reply
from bulkops.polling import next_look
from bulkops.sending import Attempt
from bulkops.told import silent

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.api.profile import Profile
    from bulkops.engines.drive import Running
    from bulkops.model import Await
    from bulkops.sending import Sender
    from bulkops.told import Told


@dataclass(order=True, slots=True)
class _Waiting:
    due: float
    order: int
    running: Running = field(compare=False)
    step: Await | Pause = field(compare=False)
    overdue: float = field(compare=False, default=float("inf"))
    parked: float = field(compare=False, default=0.0)
    looks: int = field(compare=False, default=0)


class Watcher:
    """Keep what is parked, look at it when a look is due, and hand it back when it has settled.

    `resume` takes an operation whose `answer` is set. `time_scale` divides every wait, for a server whose clock
    runs faster. `told("settled", what=…, seconds=…, looks=…)` hears of each thing that settled, in seconds of
    the server's clock.
    """

    def __init__(
        self,
        api: Profile,
        sender: Sender,
        resume: Callable[[Running], None],
        *,
        time_scale: float = 1.0,
        told: Told = silent,
    ) -> None:
        self._api = api
        self._sender = sender
        self._resume = resume
        self._time_scale = time_scale
        self._told = told
        self._heap: list[_Waiting] = []
        self._order = 0
        self._changed = anyio.Event()
        self.waiting = 0
        self.looks = 0

    def park(self, running: Running, step: Await | Pause) -> None:
        """Take over an operation that waits; the deadline of what it awaits begins now."""
        now = anyio.current_time()
        self.waiting += 1
        if isinstance(step, Pause):
            self._push(_Waiting(now + step.seconds / self._time_scale, self._order, running, step))
            return
        first = self._api.watches[step.what].first_look
        overdue = now + step.deadline / self._time_scale
        due = min(overdue, now + first / self._time_scale)
        self._push(_Waiting(due, self._order, running, step, overdue, now))

    async def look(self) -> None:
        """Work as one of the lookers, for ever."""
        while True:
            waiting = await self._next_due()
            if isinstance(waiting.step, Pause):
                self._hand_back(waiting, Reply(200))
            else:
                await self._look_at(waiting, waiting.step)

    def _push(self, waiting: _Waiting) -> None:
        self._order += 1
        heapq.heappush(self._heap, waiting)
        if self._heap[0] is waiting:
            self._changed.set()

    async def _next_due(self) -> _Waiting:
        while True:
            wait = self._heap[0].due - anyio.current_time() if self._heap else float("inf")
            if wait <= 0:
                return heapq.heappop(self._heap)
            if self._changed.is_set():
                self._changed = anyio.Event()
            with anyio.move_on_after(wait):
                await self._changed.wait()

    async def _look_at(self, waiting: _Waiting, step: Await) -> None:
        watch = self._api.watches[step.what]
        self.looks += 1
        try:
            running = waiting.running
            attempt = Attempt(
                watch.request(step.id), running.account, running.planned.key, 0, Life(Effect.READ)
            )
            observation = (await self._sender.send(attempt)).json
        except (OperationFailed, InDoubt) as failure:
            self._hand_back(waiting, failure)
            return
        now = anyio.current_time()
        if step.settled(observation):
            seconds = (now - waiting.parked) * self._time_scale
            self._told("settled", what=step.what, seconds=seconds, looks=waiting.looks + 1)
            self._hand_back(waiting, Reply(200, observation))
        elif now >= waiting.overdue:
            self._hand_back(waiting, _overdue(step, watch.status(observation)))
        else:
            wait = next_look(watch.first_look, waiting.looks + 1) / self._time_scale
            due = min(now + wait, max(now, waiting.overdue))
            self._push(replace(waiting, due=due, order=self._order, looks=waiting.looks + 1))

    def _hand_back(self, waiting: _Waiting, answer: Reply | Exception) -> None:
        self.waiting -= 1
        waiting.running.answer = answer
        self._resume(waiting.running)


def _overdue(step: Await, status: str) -> Overdue:
    return Overdue(
        "overdue",
        f"{step.what} of {step.id} was still {status!r} after {step.deadline:.0f} s; "
        "`bulkops retry` goes on waiting, a longer `deadline` on the line waits longer",
    )
