"""The ends of operations that are done, while they are on their way to the disk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from bulkops.api.reference import REFERENCE
from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.engines import local
from bulkops.engines.drive import Drive
from bulkops.engines.pinning import Pinboard
from bulkops.errors import CheckpointError, Stop
from bulkops.settings import MOST_IN_FLIGHT
from tests.engines.engine_bench import AGENT, Job, Server, counts
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulkops.checkpoint import OperationRow
    from tests.engines.engine_bench import Run

HELD_FOR = 5.0


class SlowDisk(MemoryCheckpoint):
    """Tells of ends only after some seconds, and then what it is told to tell; what is to flush comes after them."""

    failure: CheckpointError | None = None

    def __init__(self) -> None:
        super().__init__()
        self.closing = self.most_closing = 0

    def close_done(self, row: OperationRow, hear: Callable[[CheckpointError | None], None]) -> None:
        """Remember an end, and tell of it late."""

        def tell() -> None:
            self.closing -= 1
            hear(self.failure)

        self.closing += 1
        self.most_closing = max(self.most_closing, self.closing)
        loop = asyncio.get_running_loop()

        def wait(_: object) -> None:
            loop.call_later(HELD_FOR, tell)

        super().close_done(row, wait)

    async def flush(self) -> None:
        """Wait until everything was told."""
        await anyio.sleep(HELD_FOR)


def job_of(folder: Path, *lines: dict[str, Any], in_flight: int = 1) -> tuple[Job, SlowDisk]:
    """Return a job on a slow disk."""
    job, disk = Job(folder, lines, in_flight=in_flight), SlowDisk()
    job.checkpoint = disk
    return job, disk


def create(line_id: str, **more: Any) -> dict[str, Any]:
    """Return a line that makes an agent."""
    return {"op": "agent.create", "id": line_id, "body": {**AGENT, "name": line_id}, **more}


def test_next_begins_while_an_end_is_on_its_way(tmp_path: Path) -> None:
    """A worker does not wait for the end of what is done; what waits for that operation does."""
    job, _ = job_of(tmp_path, create("a"), create("b", needs=["a"]), create("c"))
    server = Server(latency=1.0)
    run_jumping(lambda: job.run(server))

    assert server.effects("agent.create") == ["a", "c", "b"]
    begun = [time for time, _, _ in server.times]
    assert begun[1] - begun[0] == pytest.approx(1.0, abs=0.1)
    assert begun[2] - begun[0] == pytest.approx(1.0 + HELD_FOR, abs=0.2)


def test_end_is_told_when_it_is_durable(tmp_path: Path) -> None:
    """Done is told only of what is durable, and a run that has nothing left to do ends when all of it is."""
    job, _ = job_of(tmp_path, create("a"), create("c"))

    async def main() -> list[dict[str, int]]:
        seen = []

        async def look() -> None:
            await anyio.sleep(3.0)
            seen.append(counts(run))

        async with job.running(Server(latency=1.0)) as run, anyio.create_task_group() as beside:
            beside.start_soon(look)
            await run.engine.run(drive_of(job, run), run.budget)
        seen.append(counts(run))
        return seen

    before, after = run_jumping(main)
    assert before == {"not_started": 2}
    assert after == {"done": 2}


def test_lost_end_is_not_told(tmp_path: Path) -> None:
    """An end that can be saved nowhere is not counted, and stops the run with that reason."""
    job, disk = job_of(tmp_path, *(create(str(number)) for number in range(20)))
    disk.failure = CheckpointError("The disk is gone.")

    async def main() -> tuple[Stop | None, dict[str, int]]:
        async with job.running(Server(latency=1.0)) as run:
            await run.engine.run(drive_of(job, run), run.budget)
            return run.engine.stopped_by, counts(run)

    reason, told = run_jumping(main)
    assert reason is disk.failure
    assert told == {"not_started": 20}


def test_stopped_run_hears_of_the_last_ends(tmp_path: Path) -> None:
    """A run that is stopped counts what was done by then, also what is durable only after that."""
    job, _ = job_of(tmp_path, *(create(str(number)) for number in range(20)))
    run = run_jumping(lambda: job.run(Server(latency=1.0), stop_after=2.5, reason=Stop("enough")))

    assert counts(run) == {"done": 3, "not_started": 17}


def test_ends_on_their_way_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stuck disk no more is begun than a bound allows, so that memory has one too."""
    monkeypatch.setattr(local, "MOST_CLOSING", 3)
    lines = [{"op": "agent.list"}] * 12
    job, disk = job_of(tmp_path, *lines)
    run = run_jumping(lambda: job.run(Server(latency=0.1)))

    assert disk.most_closing == 3
    assert counts(run) == {"done": 12}
    assert local.MOST_CLOSING <= MOST_IN_FLIGHT * 4


def drive_of(job: Job, run: Run) -> Drive:
    """Return what drives operations in a run."""
    return Drive(REFERENCE, run.sender, run.files, Pinboard(job.checkpoint, run.sender))
