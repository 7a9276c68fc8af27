"""A service in virtual time: clients send over jittery ways to a server that limits, beside other people's traffic.

A client is anything with `turn()`, an async context manager that lets one request go; what it gives hears the
answer by `heard(status, headers, kind=…)` if it has such a method. So the pace and other
limiters meet the same servers.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import repeat
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.pace.servers import Server, Verdict

WALL = 1_700_000_000.0
"""What a right clock shows when the loop starts."""


@dataclass(frozen=True, slots=True)
class Words:
    """How the server words its headers; with `silent` it sends none."""

    silent: bool = False
    skew: float = 0.0
    """Seconds by which its clock is ahead of ours."""
    date: bool = False
    delta: bool = False
    """Reset is told in seconds from now."""
    up: bool = False
    """Reset is rounded up instead of down."""
    retry_after: bool = True

    def headers(self, limit: int, verdict: Verdict, time: float) -> dict[str, str]:
        """Return the headers of an answer given at this time."""
        if self.silent:
            return {}
        clock = WALL + time + self.skew
        reset = verdict.reset - time + (0.0 if self.delta else clock)
        found = {
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-remaining": str(verdict.remaining),
            "x-ratelimit-reset": str(int(reset) + self.up),
        }
        if self.date:
            found["date"] = formatdate(clock, usegmt=True)
        if self.retry_after and not verdict.admitted:
            found["retry-after"] = str(max(1, int(verdict.again - time) + 1))
        return found


@dataclass(slots=True)
class Crowd:
    """A limit on requests in flight: `told` says whether the headers name it."""

    most: int
    told: bool = False
    service: float = 0.1
    inside: int = 0


@dataclass(slots=True)
class Service:
    """A server, the ways to it, and what came of it. All times are those of the loop."""

    server: Server
    seed: int = 0
    words: Words = Words()
    crowd: Crowd | None = None
    tail: float = 0.0
    """The share of requests that are held up on their way by up to 3 s."""
    ways: tuple[float, float] | None = None
    """The least and the greatest time there and back, each half of it; None: 50 to 400 ms, most of them short."""
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    others: list[bool] = field(default_factory=list)
    """Whether each of the other people's requests was admitted."""
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Seed the ways."""
        self.chance = random.Random(self.seed)

    async def exchange(self) -> tuple[int, Mapping[str, str], str | None]:
        """Send one request; return the status and the headers of its answer, and the code of a refusal."""
        if self.ways is None:
            whole = min(0.4, max(0.05, self.chance.lognormvariate(-1.9, 0.6)))
            there = whole * self.chance.uniform(0.2, 0.8)
        else:
            whole = self.chance.uniform(*self.ways)
            there = whole / 2
        if self.chance.random() < self.tail:
            there += self.chance.uniform(0.4, 3.0)
        await anyio.sleep(there)
        answer = await self._answer(asyncio.get_running_loop().time())
        await anyio.sleep(max(0.0, whole - there))
        return answer

    async def _answer(self, time: float) -> tuple[int, Mapping[str, str], str | None]:
        crowd = self.crowd
        if crowd is not None and crowd.inside >= crowd.most:
            self.arrivals.append((time, 429))
            return 429, self._crowded(crowd), "too_many_concurrent_requests"
        verdict = self.server.admit(time)
        status = 200 if verdict.admitted else 429
        self.arrivals.append((time, status))
        headers = self.words.headers(self.server.limit, verdict, time)
        if crowd is not None:
            crowd.inside += 1
            headers |= self._crowded(crowd)
            await anyio.sleep(crowd.service)
            crowd.inside -= 1
        return status, headers, None if verdict.admitted else "rate_limit_exceeded"

    def _crowded(self, crowd: Crowd) -> dict[str, str]:
        if not crowd.told:
            return {}
        return {
            "maximum-concurrent-requests": str(crowd.most),
            "current-concurrent-requests": str(crowd.inside),
        }

    async def strangers(self, per_second: float) -> None:
        """Let other people send steadily, by chance, without end."""
        chance = random.Random(self.seed + 1)
        while True:
            await anyio.sleep(chance.expovariate(per_second))
            self.others.append(self.server.admit(asyncio.get_running_loop().time()).admitted)

    @property
    def refused(self) -> int:
        """How many 429s our requests drew."""
        return sum(1 for _, status in self.arrivals if status == 429)

    def admitted(self, begin: float = 0.0, end: float = float("inf")) -> int:
        """How many of our requests that arrived in this time were admitted."""
        return sum(1 for time, status in self.arrivals if status == 200 and begin <= time < end)

    @property
    def denied(self) -> float:
        """The share of the other people's requests that was not admitted."""
        return self.others.count(False) / max(1, len(self.others))


async def flow(
    service: Service, turn: Callable[[], Any], seconds: float, workers: int = 32, strangers: float = 0.0
) -> Service:
    """Send without end for so many seconds; a refused request is sent again when it may."""
    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as tasks:
            if strangers:
                tasks.start_soon(service.strangers, strangers)
            for _ in range(workers):
                tasks.start_soon(_work, service, turn, repeat(None))
    return service


async def job(service: Service, turn: Callable[[], Any], size: int, workers: int = 16) -> float:
    """Send so many requests, each until it is admitted; return the seconds that took."""
    begin = asyncio.get_running_loop().time()
    left = iter([None] * size)
    async with anyio.create_task_group() as tasks:
        for _ in range(min(size, workers)):
            tasks.start_soon(_work, service, turn, left)
    return asyncio.get_running_loop().time() - begin


async def _work(service: Service, turn: Callable[[], Any], left: Iterator[None]) -> None:
    for _ in left:
        status = 429
        while status == 429:
            async with turn() as leave:
                status, headers, kind = await service.exchange()
                if hasattr(leave, "heard"):
                    leave.heard(status, headers, kind=kind)
