"""Calls that have ended become events, which are delivered to the webhook: when, how often, and what came of it."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

import anyio

from .faults import WEBHOOK, FaultKind
from .webhook import HEADER

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from .calls import Conversation
    from .faults import Fault, Faults
    from .posting import Post
    from .spelling import Event
    from .webhook import Webhook
    from .world import World

RETRIES = (30.0, 120.0, 480.0, 1800.0)
"""Seconds of the service's clock after which a delivery that failed is tried again, up to a tenth later."""
QUEUED = 100
"""So many events wait to be tried again, at most; what fails beyond them is given up."""
_JITTER = 0.1
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of one attempt to deliver an event. `at` is epoch seconds, `sha256` the digest of the body.

    `version` counts the analyses of the conversation, `attempt` the attempts, both from 1; 0 attempts is an event that
    was never sent. `ended`: `delivered` (2xx), `refused` (any other `status`), `unanswered`, `dropped` (by a fault).
    `again` tells whether it will be tried again.
    """

    conversation_id: str
    version: int
    attempt: int
    at: float
    sha256: str
    ended: str
    status: int | None
    again: bool
    fault: str | None
    world: str


@dataclass(frozen=True, slots=True)
class _Event:
    """The `version`-th analysis of a call, done at `moment`; `fault` is what has struck it."""

    world: World
    call: Conversation
    version: int
    moment: float
    attempt: int = 1
    fault: Fault | None = None


class Deliveries:
    """What is to be delivered, in the order of its time, and what was.

    `now` is the clock (monotonic seconds) and `epoch` the wall clock at its 0; `write` writes an event, `faults`
    say which ones go wrong; `on_delivery` hears of each attempt that is over.
    """

    def __init__(
        self,
        webhook: Webhook,
        faults: Faults,
        write: Event,
        *,
        now: Callable[[], float],
        epoch: float,
        time_scale: float,
        rng: Random,
        on_delivery: Callable[[Delivery], None],
    ) -> None:
        self._webhook = webhook
        self._faults = faults
        self._write = write
        self._now = now
        self._epoch = epoch
        self._time_scale = time_scale
        self._rng = rng
        self._on_delivery = on_delivery
        self._numbers = count()
        self._due: list[tuple[float, int, _Event]] = []
        self._queued = 0
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def expect(self, world: World, call: Conversation) -> None:
        """Deliver a call when it has been analysed. Any thread may call it."""
        self._add(call.analysed, _Event(world, call, 1, call.analysed))
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._changed.set)

    async def run(self, post: Post) -> None:
        """Deliver until cancelled; what is under way then has no end."""
        self._loop = asyncio.get_running_loop()
        places = anyio.Semaphore(_AT_ONCE)
        async with anyio.create_task_group() as tasks:
            while True:
                event = await self._next()
                await places.acquire()
                tasks.start_soon(self._deliver, event, post, places)

    async def _next(self) -> _Event:
        """Wait for the next event whose time has come and that no fault holds back."""
        while True:
            self._changed.clear()
            wait = self._due[0][0] - self._now() if self._due else None
            if wait is None or wait > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._changed.wait()
                continue
            event = heappop(self._due)[2]
            if event.attempt > 1:
                self._queued -= 1
            elif event.version == 1 and event.fault is None:
                event = self._struck(event)
                if event.fault is not None and event.fault.kind in (FaultKind.DROP, FaultKind.DELAY):
                    continue
            return event

    def _struck(self, event: _Event) -> _Event:
        """Let a fault strike an event whose turn it is for the first time."""
        fault = self._faults.next(WEBHOOK)
        if fault is None:
            return event
        struck, later = replace(event, fault=fault), self._now() + fault.seconds
        if fault.kind is FaultKind.DROP:
            self._note(replace(struck, attempt=0), "dropped")
        elif fault.kind is FaultKind.REANALYSE:
            self._put(later, replace(struck, version=2, moment=later))
        elif fault.kind in (FaultKind.DELAY, FaultKind.DUPLICATE):
            self._put(later, struck)
        return struck

    async def _deliver(self, event: _Event, post: Post, places: anyio.Semaphore) -> None:
        """Make one attempt, and see to the next one."""
        try:
            body, at = self._body(event), self._epoch + self._now()
            forged = event.fault is not None and event.fault.kind is FaultKind.WRONG_SIGNATURE
            signature = (self._webhook.forge if forged else self._webhook.sign)(body, at)
            status = await post(body, {HEADER: signature, "Content-Type": "application/json"})
        finally:
            places.release()
        if status is not None and 200 <= status < 300:  # noqa: PLR2004 - success
            self._note(event, "delivered", status)
            return
        again = self._webhook.retries and _may_pass_later(status) and self._try_again(event)
        self._note(event, "unanswered" if status is None else "refused", status, again=again)

    def _try_again(self, event: _Event) -> bool:
        """Put an event that failed among those that wait to be tried again, if there is an attempt and room left."""
        if event.attempt > len(RETRIES) or self._queued >= QUEUED:
            return False
        wait = RETRIES[event.attempt - 1] * self._rng.uniform(1, 1 + _JITTER) / self._time_scale
        self._queued += 1
        self._put(self._now() + wait, replace(event, attempt=event.attempt + 1))
        return True

    def _put(self, at: float, event: _Event) -> None:
        """Deliver an event at some moment; who waits for the next one looks again."""
        self._add(at, event)
        self._changed.set()

    def _add(self, at: float, event: _Event) -> None:
        heappush(self._due, (at, next(self._numbers), event))

    def _body(self, event: _Event) -> bytes:
        return self._write(event.world, event.call, event.version, event.moment)

    def _note(self, event: _Event, ended: str, status: int | None = None, *, again: bool = False) -> None:
        delivery = Delivery(
            conversation_id=event.call.conversation_id,
            version=event.version,
            attempt=event.attempt,
            at=self._epoch + self._now(),
            sha256=hashlib.sha256(self._body(event)).hexdigest(),
            ended=ended,
            status=status,
            again=again,
            fault=None if event.fault is None else event.fault.kind,
            world=event.world.label,
        )
        self._on_delivery(delivery)


def _may_pass_later(status: int | None) -> bool:
    """Whether the service tries again after this answer, or after none: 408, 429 and 5xx."""
    return status is None or status in {408, 429} or status >= 500  # noqa: PLR2004 - the first server error
