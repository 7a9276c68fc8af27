"""How limiters fare at servers that count in eight ways: 429s drawn, share of the rate used, others denied.

The same servers for all, in virtual time (`tests/pace/servers.py`, `tests/pace/simulation.py`): ways of 50 to 400 ms,
all the headers of the API reference, 100 requests a minute, ten minutes of work without end. A refused request is sent
again. The clients:

    aiolimiter             AsyncLimiter(100, 60), 16 workers
    aiolimiter, even       AsyncLimiter(1, 0.6), 16 workers
    pyrate-limiter         Rate(100, one minute) of pyrate-limiter, 16 workers
    semaphore and retry    ten at once; after a 429 wait 1, 2, 4 … 30 s and try again: the loop that people write
    vendor's SDK           ten at once, retried as the SDK does (its own function says how long it waits), given up
                           after two retries; the next operation takes its place
    bulkops                the pace as a run uses it; `--exclusive`; and at servers that send no headers

Prints the table of the README. The figures at the end are those of bulkops alone. Then, in real time, four runs with
one key at a local server that allows 100 requests in any 6 seconds: each for itself, and as they share the key.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import Figure, main, print_rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from harness import Options

    from bulkops.emulator import Statistics
    from tests.pace.simulation import Service

sys.path.insert(0, str(Path(__file__).parent.parent))

LIMIT, PERIOD = 100, 60.0
MINUTES = 10
AT_ONCE = 10
GIVEN_UP_AFTER = 2
LONGEST_BACKOFF = 30.0


class Answer:
    """What one attempt was answered."""

    status = 0
    headers: Mapping[str, str] = {}

    def heard(self, status: int, headers: Mapping[str, str], **_more: object) -> None:
        """Keep it."""
        self.status, self.headers = status, headers


class Retried:
    """Ten at once; after a refusal a task waits, with its place given up, and tries again."""

    def __init__(self, wait: Callable[[int, Mapping[str, str]], float]) -> None:
        self._wait = wait
        self._room = asyncio.Semaphore(AT_ONCE)
        self._refused: dict[object, int] = {}

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Answer]:
        """Let one go as soon as fewer than ten are under way."""
        task, answer = asyncio.current_task(), Answer()
        async with self._room:
            yield answer
        refused = self._refused.get(task, 0) + 1 if answer.status == 429 else 0
        self._refused[task] = refused
        if refused:
            await asyncio.sleep(self._wait(refused, answer.headers))


@dataclass(frozen=True, slots=True)
class Client:
    """A way to keep to a limit; `open` makes one, which lives for a block and hands out turns."""

    name: str
    open: Callable[[], AbstractAsyncContextManager[Callable[[], Any]]]
    silent: bool = False
    workers: int = 16


def clients() -> Iterator[Client]:
    """Yield all that are compared."""
    from aiolimiter import AsyncLimiter

    @asynccontextmanager
    async def whole() -> AsyncIterator[Callable[[], Any]]:
        limiter = AsyncLimiter(LIMIT, PERIOD)
        yield lambda: limiter

    @asynccontextmanager
    async def even() -> AsyncIterator[Callable[[], Any]]:
        limiter = AsyncLimiter(1, PERIOD / LIMIT)
        yield lambda: limiter

    yield Client("`aiolimiter`, `AsyncLimiter(100, 60)`", whole)
    yield Client("`aiolimiter`, evenly: `AsyncLimiter(1, 0.6)`", even)
    yield Client("`pyrate-limiter`, `Rate(100, MINUTE)`", _pyrate)
    yield Client("a semaphore and a retry loop", _semaphore, workers=AT_ONCE)
    yield Client("the vendor's SDK, its retries", _sdk, workers=AT_ONCE)
    yield Client("bulkops", lambda: _bulkops(exclusive=False), workers=32)
    yield Client("bulkops `--exclusive`", lambda: _bulkops(exclusive=True), workers=32)
    yield Client("bulkops, no headers", lambda: _bulkops(exclusive=False), silent=True, workers=32)


@asynccontextmanager
async def _pyrate() -> AsyncIterator[Callable[[], Any]]:
    from pyrate_limiter import Duration, InMemoryBucket, Limiter, Rate, SingleBucketFactory

    class Virtual(InMemoryBucket):
        def now(self) -> int:
            return int(asyncio.get_running_loop().time() * 1000)

    rate = Rate(LIMIT, Duration.MINUTE)
    limiter = Limiter(SingleBucketFactory(Virtual([rate]), schedule_leak=False))

    @asynccontextmanager
    async def turn() -> AsyncIterator[None]:
        await limiter.try_acquire_async()
        yield

    yield turn


@asynccontextmanager
async def _semaphore() -> AsyncIterator[Callable[[], Any]]:
    chance = random.Random(1)

    def wait(refused: int, _headers: Mapping[str, str]) -> float:
        return min(LONGEST_BACKOFF, 2.0 ** (refused - 1)) * chance.uniform(0.5, 1.0)

    yield Retried(wait).turn


@asynccontextmanager
async def _sdk() -> AsyncIterator[Callable[[], Any]]:
    import httpx
    from elevenlabs.core import http_client

    def wait(refused: int, headers: Mapping[str, str]) -> float:
        if refused % (GIVEN_UP_AFTER + 1) == 0:
            return 0.0  # given up: the next operation takes its place
        response = httpx.Response(429, headers=dict(headers))
        return http_client._retry_timeout(response, refused - 1)  # noqa: SLF001 - the policy itself

    yield Retried(wait).turn


@asynccontextmanager
async def _bulkops(*, exclusive: bool) -> AsyncIterator[Callable[[], Any]]:
    from bulkops.api import REFERENCE, Tier
    from bulkops.model import RequestClass
    from bulkops.pace import Allowance
    from bulkops.pace.turns import Pace
    from tests.pace.simulation import WALL

    def wall() -> float:
        return WALL + asyncio.get_running_loop().time()

    allowance = Allowance(Tier("standard", LIMIT, PERIOD), exclusive=exclusive)
    async with Pace({"a": allowance}, headers=REFERENCE.rate_headers, wall=wall) as pace:
        pace.expect("a", 10**6)
        yield lambda: pace.turn("a", RequestClass.WORK)


def sent(client: Client, name: str, seed: int, minutes: int, strangers: float = 0.0) -> Service:
    """Return what came of one client at one server."""
    from tests.jumping import run_jumping
    from tests.pace.servers import ALGORITHMS
    from tests.pace.simulation import Service, Words, flow

    async def run() -> Service:
        server = ALGORITHMS[name](LIMIT, PERIOD, -random.Random(seed).uniform(0, PERIOD))
        service = Service(server, seed, Words(silent=client.silent))
        async with client.open() as turn:
            return await flow(service, turn, minutes * 60, client.workers, strangers)

    return run_jumping(run)


def cost(requests: int, limit: int = 100_000, *, kept: bool) -> float:
    """Return the µs of CPU that the pace takes for a request at 64 waiting.

    That is with it, less what the answers alone take of the event loop: the same requests, each begun by a timer of
    its own at the same time, less the same timers without answers. The pace's own timers, and waking who waits, are
    part of what it takes. `kept`: with its file, which other processes could share.
    """
    from bulkops.api import REFERENCE, Tier
    from bulkops.model import RequestClass
    from bulkops.pace.sharing import Place
    from bulkops.pace.turns import Pace
    from tests.jumping import run_jumping

    told = {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(int(0.9 * limit)),
        "x-ratelimit-reset": "1700000060",
    }

    async def work_paced(pace: Pace, _: int) -> None:
        for _ in range(requests // 64):
            async with pace.turn("a", RequestClass.WORK) as turn:
                await asyncio.sleep(0.005)
                turn.heard(200, told)

    async def answered(_: Pace, number: int) -> None:
        loop, every = asyncio.get_running_loop(), 60.0 / limit
        for place in range(number, requests, 64):
            await asyncio.sleep(place * every - loop.time())
            await asyncio.sleep(0.005)

    async def begun(_: Pace, number: int) -> None:
        loop, every = asyncio.get_running_loop(), 60.0 / limit
        for place in range(number, requests, 64):
            await asyncio.sleep(place * every - loop.time())

    async def seconds(work: Callable[[Pace, int], Awaitable[None]]) -> float:
        with tempfile.TemporaryDirectory() as folder:
            places = {"a": Place(Path(folder, "pace"))} if kept else {}
            async with Pace({"a": Tier("t", limit)}, headers=REFERENCE.rate_headers, kept=places) as pace:
                began = time.process_time()
                await asyncio.gather(*[work(pace, number) for number in range(64)])
                return time.process_time() - began

    with_pace, with_answers, without = (run_jumping(seconds, work) for work in (work_paced, answered, begun))
    return (with_pace - (with_answers - without)) / requests * 1e6


def shared(processes: int, seconds: float, *, together: bool) -> Statistics:
    """Return what a real server has seen of so many real runs with one key, at 100 requests in 6 seconds.

    `together`: with a state folder in which they find each other.
    """
    from bulkops.emulator import Algorithm, EmulatorSettings, serving_in_thread

    settings = EmulatorSettings(
        limit=100, period=6.0, limit_algorithm=Algorithm.SLIDING_LOG, latency=(0.01, 0.05)
    )
    with tempfile.TemporaryDirectory() as folder, serving_in_thread(settings) as server:
        environ = {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "ELEVENLABS_API_KEY": "key-of-a-benchmark",
            **({"XDG_STATE_HOME": folder} if together else {}),
        }
        line = b'{"op": "agent.create", "body": {"name": "x", "conversation_config": {}}}\n'
        running = []
        for number in range(processes):
            job = Path(folder, f"job{number}.jsonl")
            job.write_bytes(line * 5000)
            command = [sys.executable, "-m", "bulkops", "run", str(job), "-q", "--rate", "100/6s"]
            running.append(
                subprocess.Popen(
                    [*command, "--base-url", server.base_url], env=environ, stderr=subprocess.DEVNULL
                )
            )
        try:
            while not server.statistics.requests:
                time.sleep(0.01)
            time.sleep(seconds)
            return server.statistics
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()


def _sharing(options: Options) -> list[Figure]:
    seconds = 8.0 if options.quick else 24.0
    apart = shared(4, seconds, together=False)
    print(f"\nfour processes with one key, each for itself: {'; '.join(apart.lines())}")
    runs = [shared(4, seconds, together=True) for _ in range(options.repeats)]
    for run in runs:
        print(f"four processes with one key, together: {'; '.join(run.lines())}")
    unused = [100 - 100 * run.requests / (100 * run.seconds / 6) for run in runs]
    refused = [sum(run.refused.values()) for run in runs]
    return [
        Figure("pacing: share of the limit that four processes leave unused", unused, " %", most=5),
        Figure("pacing: 429s of four processes with one key", [max(refused)], most=0),
    ]


def measure(options: Options) -> list[Figure]:
    """Measure all of them and print the table."""
    from tests.pace.servers import ALGORITHMS

    minutes = 2 if options.quick else MINUTES
    seeds = range(options.repeats)
    rows: list[tuple[str, ...]] = [("429s / % of the rate", *ALGORITHMS, "others denied, %")]
    refused: list[float] = []
    unused: list[float] = []
    denied: list[float] = []
    for client in clients():
        row = [client.name]
        for name in ALGORITHMS:
            runs = [sent(client, name, seed, minutes) for seed in seeds]
            used = [run.admitted(0, minutes * 60) / (LIMIT * minutes) for run in runs]
            row.append(
                f"{statistics.mean(run.refused for run in runs):.3g} / {statistics.mean(used) * 100:.1f}"
            )
            if client.name.startswith("bulkops"):
                refused += [run.refused for run in runs]
                unused += [100 - 100 * share for share in used]
        others = [sent(client, "log", seed, minutes, 0.3 * LIMIT / PERIOD).denied * 100 for seed in seeds]
        row.append(f"{statistics.mean(others):.0f}")
        if client.name == "bulkops":
            denied += others
        rows.append(tuple(row))
    print_rows(rows)
    requests = 6_400 if options.quick else 64_000
    return [
        Figure(
            "pacing: CPU of the pace at 64 waiting, 100 a minute",
            [cost(min(6_400, requests), 100, kept=True) for _ in seeds],
            " µs",
            most=60,
        ),
        Figure(
            "pacing: the same without the file that runs share",
            [cost(min(6_400, requests), 100, kept=False) for _ in seeds],
            " µs",
        ),
        Figure(
            "pacing: the same with it, at 100,000 a minute",
            [cost(requests, kept=True) for _ in seeds],
            " µs",
            most=60,
        ),
        *_sharing(options),
        Figure("pacing: most 429s in ten minutes, alone on the key, any server", [max(refused)], most=0),
        Figure("pacing: share of the rate left unused, worst server", [max(unused)], " %", most=4),
        Figure("pacing: requests of others (30 % of the limit) denied", denied, " %", most=20),
    ]


if __name__ == "__main__":
    main(measure)
