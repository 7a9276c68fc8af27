"""What is said when nothing moves."""

from __future__ import annotations

from collections import Counter
from math import inf
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from bulkops.api import REFERENCE, Tier
from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.emulator.answers import Answer
from bulkops.engines.drive import Drive
from bulkops.engines.pinning import Pinboard
from bulkops.errors import Stop
from bulkops.observing import Observer
from bulkops.pace.turns import Pace
from bulkops.reporting.progress import Progress
from bulkops.reporting.report import Job as Named
from bulkops.reporting.report import Report
from bulkops.stalling import StallDetector, Standstill
from tests.engines.engine_bench import AGENT, Job, Notes, Server
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.model import Request

INDEX, CONVERSATION = (REFERENCE.watches[what].words for what in ("index", "conversation"))


class Said(Progress):
    """Remembers what was said, and when."""

    def __init__(self) -> None:
        self.notes: list[tuple[float, str]] = []

    def note(self, text: str) -> None:
        """Remember it."""
        self.notes.append((anyio.current_time(), text))


class Stuck(MemoryCheckpoint):
    """A checkpoint whose disk hangs after some time."""

    hangs_from = float("inf")

    async def flush(self) -> None:
        """Hang, or return."""
        if anyio.current_time() >= self.hangs_from:
            await anyio.sleep_forever()


def watched(
    job: Job, server: Server, limit: int = 6000, seconds: float = 1000.0
) -> tuple[list[str], list[Any]]:
    """Run a job for so many seconds at most; return what was said of standstills, and the events."""
    said = Said()
    events: list[Any] = []

    async def work() -> None:
        async def stop() -> None:
            await anyio.sleep(seconds)
            run.engine.stop(Stop("enough"))
            run.engine.abort()

        def told(event: str, **facts: Any) -> None:
            run.observer.told(event, **facts)

        pace = Pace(
            {"default": Tier("t", limit)}, headers=REFERENCE.rate_headers, chance=lambda: 1.0, told=told
        )
        async with pace, job.running(server, pace=pace) as run:
            run.observer.progress = said
            detector = StallDetector(REFERENCE, ["default"], run.observer)
            drive = Drive(REFERENCE, run.sender, run.files, Pinboard(job.checkpoint, run.sender))
            async with anyio.create_task_group() as beside:
                beside.start_soon(stop)
                beside.start_soon(detector.watch, run.engine, pace, run.sender, job.checkpoint)
                await run.engine.run(drive, pace)
                beside.cancel_scope.cancel()
            events.extend(event for event in run.events.noted if event[0] == "stalled")

    run_jumping(work)
    return [f"{at:.0f}: {text}" for at, text in said.notes], events


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Return a job of two documents that are indexed."""
    (tmp_path / "a.md").write_text("x")
    line = {"op": "document.upload", "file": "a.md", "index": {"model": "e5"}}
    return Job(tmp_path, [{**line, "name": name} for name in "ab"])


def test_what_is_awaited_is_said_once(job: Job) -> None:
    """After 30 s in which nothing has settled, one line tells what is awaited; looks in vain are no progress."""
    lines, events = watched(job, Server(index_time=300.0))
    assert len(lines) == 1
    assert lines[0].startswith(
        "31: nothing has moved for 30 s; waiting for 2 indexes to settle, next look in "
    )
    assert [event["waiting_for"] for _, event in events] == [[lines[0].partition("waiting for ")[2]]]


def test_each_standstill_is_said(job: Job) -> None:
    """What moves and then rests again is said again."""
    server = Server()

    def take_longer(request: Request) -> None:
        if request.endpoint == "document.index":
            server.world._index_time = 100.0 * server.heard[request.endpoint]

    server.before_effect = take_longer
    job.given["in_flight"] = 1
    lines, _ = watched(job, server)
    assert [line.partition("waiting for ")[2][:19] for line in lines] == [
        "2 indexes to settle",
        "1 index to settle, ",
    ]


def test_attempts_in_vain_are_no_progress() -> None:
    """A request that is made again and again moves nothing, however often it is sent."""
    sender: Any = SimpleNamespace(requests=0, retries=0)
    watcher = SimpleNamespace(awaited={}, next_look=lambda: inf, looking=0)
    nobody = SimpleNamespace(waiting=0)
    engine: Any = SimpleNamespace(looks=0, watcher=watcher, doubts=nobody, asking=nobody, held=0, busy=1)
    said, notes, report = Said(), Notes(), Report(totals=Counter(), started=0.0)
    doubles: Any = notes
    observer = Observer(report=report, progress=said, events=doubles, job=Named("job.jsonl"))

    async def trying() -> None:
        while True:
            sender.requests += 1
            await anyio.sleep(1.5)
            sender.retries += 1
            await anyio.sleep(1.5)

    async def work() -> None:
        async with (
            Pace({"default": Tier("t", 100)}, headers=REFERENCE.rate_headers) as pace,
            anyio.create_task_group() as beside,
        ):
            detector = StallDetector(REFERENCE, ["default"], observer)
            beside.start_soon(trying)
            beside.start_soon(detector.watch, engine, pace, sender, MemoryCheckpoint())
            await anyio.sleep(100)
            beside.cancel_scope.cancel()

    run_jumping(work)
    assert [text for _, text in said.notes] == [
        "nothing has moved for 30 s; waiting for the next attempt at 1 request"
    ]


def test_a_pause_is_said_with_its_end(job: Job) -> None:
    """Everything rests after a 429 with a long Retry-After: the line tells why and how long still."""
    job.write([{"op": "agent.create", "body": AGENT}])
    refused = Answer(429, {}, {"Retry-After": "100"})
    lines, _ = watched(job, Server(refuse=lambda _request, number: refused if number == 1 else None))
    assert len(lines) == 1
    assert lines[0].startswith(
        "31: nothing has moved for 30 s; waiting for the end of a pause (429) in 1 min "
    )


def test_an_answer_that_does_not_come_is_said(job: Job) -> None:
    """A request that is not answered is what is waited for."""
    job.write([{"op": "agent.create", "body": AGENT}])
    lines, _ = watched(job, Server(latency=80.0))
    assert lines == ["31: nothing has moved for 30 s; waiting for the answers to 1 request"]


def test_a_doubt_that_settles_is_said(job: Job) -> None:
    """A create whose answer was lost is what is waited for, until the API can tell what became of it."""
    job.write([{"op": "agent.create", "body": AGENT}])
    lost = Answer(500, {})
    lines, _ = watched(job, Server(refuse=lambda _request, number: lost if number == 1 else None))
    assert "moved for 30 s; waiting for what became of 1 operation in doubt" in lines[1]


def test_a_disk_that_hangs_is_said_first(job: Job) -> None:
    """A checkpoint that is not written is the first thing that is said."""
    job.checkpoint = Stuck()
    job.checkpoint.hangs_from = 10.0
    lines, _ = watched(job, Server(index_time=300.0))
    assert lines[0].startswith(
        "33: nothing has moved for 30 s; waiting for the disk: the checkpoint is not written; 2 indexes"
    )


def test_a_slow_limit_is_no_standstill(job: Job) -> None:
    """With one request a minute, nothing is said between two of them."""
    job.write([{"op": "agent.create", "body": {**AGENT, "name": str(number)}} for number in range(5)])
    assert watched(job, Server(), limit=1) == ([], [])


def test_everything_that_can_be_waited_for_has_its_words() -> None:
    """Each cause has words of its own, with its numbers."""
    standstill = Standstill(
        queued=3,
        limit=100,
        period=60.0,
        awaited={INDEX: 1200, CONVERSATION: 1},
        next_look=4.2,
        in_flight=1,
        repeated=2,
        doubted=1,
        asked=1,
        held=2,
    )
    assert standstill.words() == [
        "a turn for 3 requests, 100 in 1 min",
        "1,200 indexes and 1 conversation to settle, next look in 4 s",
        "the answers to 1 request",
        "the next attempt at 2 requests",
        "what became of 1 operation in doubt",
        "your answer about 1 operation in doubt",
        "operations in doubt, on which 2 lines depend",
    ]
    assert Standstill(awaited={INDEX: 0}).words() == []
    crowded = Standstill(queued=3, limit=100, in_flight=5, window=5, awaited={})
    assert crowded.words()[0] == "a turn for 3 requests, 5 in flight at once"
