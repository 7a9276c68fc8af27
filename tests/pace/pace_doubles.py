"""What the tests of the pace share: servers that count, ways that jitter, workers that never tire."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from bulkops.api import REFERENCE, Tier
from bulkops.model import RequestClass
from bulkops.pace.turns import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bulkops.pace import Allowance

STANDARD = Tier("standard", 100)
PRO = Tier("pro", 500)
WORK = RequestClass.WORK
POLL = RequestClass.POLL
WALL = 1_700_000_000.0
TEN_MINUTES = 600.0


def now() -> float:
    """Return the time of the loop."""
    return asyncio.get_running_loop().time()


def one(given: Tier | Allowance, **more: Any) -> Pace:
    """Return a pace with one account named `a`, whose wall clock shows `WALL` when the loop starts."""
    more = {"chance": lambda: 1.0, "wall": lambda: WALL + now(), **more}
    return Pace({"a": given}, headers=REFERENCE.rate_headers, **more)


def worst_window(times: Sequence[float], period: float) -> int:
    """Return the most times that fall into any window of `period` seconds, both ends included."""
    window: deque[float] = deque()
    worst = 0
    for time in sorted(times):
        window.append(time)
        while window[0] < time - period:
            window.popleft()
        worst = max(worst, len(window))
    return worst


async def answered(pace: Pace, status: int = 200, **headers: str) -> float:
    """Take one turn, hear an answer at once, and return when the turn came; `_` in names stands for `-`."""
    async with pace.turn("a", WORK) as turn:
        time = now()
        turn.heard(status, {name.replace("_", "-"): value for name, value in headers.items()})
    return time


async def busy(enter: Callable[[], Any], seconds: float, workers: int = 8) -> list[float]:
    """Take turns without end from many workers; return the times at which they came in so many seconds."""
    times: list[float] = []

    async def work() -> None:
        while True:
            async with enter():
                times.append(now())
            await anyio.sleep(0.01)

    with anyio.move_on_at(now() + seconds):
        async with anyio.create_task_group() as tasks:
            for _ in range(workers):
                tasks.start_soon(work)
    return times


class Server(Protocol):
    """Counts the requests that reach it."""

    def admit(self, time: float) -> tuple[bool, int, float]:
        """Return whether it takes one more, how many remain, and when it starts anew."""


class FixedWindow:
    """A window opens with the first request after the last one closed."""

    def __init__(self, limit: int, period: float) -> None:
        self._limit, self._period = limit, period
        self._closes, self._used = float("-inf"), 0

    def admit(self, time: float) -> tuple[bool, int, float]:
        """Count in the open window."""
        if time >= self._closes:
            self._closes, self._used = time + self._period, 0
        admitted = self._used < self._limit
        self._used += admitted
        return admitted, self._limit - self._used, self._closes


class SlidingLog:
    """No window of a period, wherever it begins, holds more than the limit."""

    def __init__(self, limit: int, period: float) -> None:
        self._limit, self._period = limit, period
        self._log: deque[float] = deque()

    def admit(self, time: float) -> tuple[bool, int, float]:
        """Count in the period that ends now."""
        while self._log and self._log[0] <= time - self._period:
            self._log.popleft()
        admitted = len(self._log) < self._limit
        if admitted:
            self._log.append(time)
        return admitted, self._limit - len(self._log), self._log[0] + self._period


def way(chance: random.Random) -> float:
    """Return the seconds of one way: lognormal, 50 to 400 ms."""
    return min(0.4, max(0.05, chance.lognormvariate(-2.1, 0.5)))


class Traffic:
    """Workers that send to a server over jittery ways as fast as a pace lets them."""

    def __init__(self, server: Server, limit: int, seed: int, *, headers: bool = True) -> None:
        self._server = server
        self._limit = limit
        self._chance = random.Random(seed)
        self._headers = headers
        self.statuses: list[int] = []

    async def flow(self, pace: Pace, seconds: float, workers: int = 32) -> None:
        """Send for so many seconds."""
        with anyio.move_on_at(now() + seconds):
            async with anyio.create_task_group() as tasks:
                for _ in range(workers):
                    tasks.start_soon(self._work, pace)

    async def _work(self, pace: Pace) -> None:
        while True:
            async with pace.turn("a", WORK) as turn:
                await anyio.sleep(way(self._chance))
                status, headers = self._answer(now())
                await anyio.sleep(way(self._chance))
                turn.heard(status, headers)

    def _answer(self, time: float) -> tuple[int, Mapping[str, str]]:
        admitted, remaining, reset = self._server.admit(time)
        self.statuses.append(200 if admitted else 429)
        return self.statuses[-1], {
            "x-ratelimit-limit": str(self._limit),
            "x-ratelimit-remaining": str(remaining),
            "x-ratelimit-reset": str(int(WALL + reset) + 1),
        } if self._headers else {}
