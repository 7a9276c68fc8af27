"""What the tests of the pace share: an account, its tiers, workers that never tire."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import anyio

from bulkops.api import REFERENCE, Tier
from bulkops.model import RequestClass
from bulkops.pace.turns import Pace
from tests.pace.simulation import WALL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bulkops.pace import Allowance

STANDARD = Tier("standard", 100)
PRO = Tier("pro", 500)
WORK = RequestClass.WORK
POLL = RequestClass.POLL
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


async def answered(pace: Pace, status: int = 200, *, kind: str | None = None, **headers: str) -> float:
    """Take one turn, hear an answer at once, and return when the turn came; `_` in names stands for `-`."""
    async with pace.turn("a", WORK) as turn:
        time = now()
        turn.heard(status, {name.replace("_", "-"): value for name, value in headers.items()}, kind=kind)
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
