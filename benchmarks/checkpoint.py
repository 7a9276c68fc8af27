"""What the checkpoint costs: how long a creating request waits for its intent to be on disk, and CPU per operation.

The wait is that of 32 operations at once, each of which intends, waits 0.1 to 0.3 s as if for an answer, notes the
end and closes. It is held against a raw write of one page and its fdatasync on the same disk, in turn with it. The
CPU time is that of the whole process, writer thread included, less that of the same loop on a checkpoint in memory.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness import Figure, in_turn, main

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bulkops.checkpoint import OperationRow, StepRow, StepState, digest, line_key, operation_key
from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.checkpoint.store import open_checkpoint
from bulkops.model import State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from harness import Options

    from bulkops.checkpoint import Checkpoint

AT_ONCE = 32
ANSWER = 0.2
"""Seconds that an answer takes, give or take a half, while the wait for the intent is measured."""
PAGE = bytes(4096)
RECORD = b'{"id":"a1","line":1,"op":"agent.create","status":"done","result":{"agent_id":"agent_0001"}}' * 4
REPLY = b'{"agent_id":"agent_0000000000000001","name":"Support Agent","created_at":"2025-11-03T12:00:00Z"}'


def measure(options: Options) -> list[Figure]:
    """Measure waits and CPU time."""
    waits = 500 if options.quick else 2_000
    numbers = (2_000, 10_000) if options.quick else (10_000, 60_000)
    files = (options.scratch / f"checkpoint-{number}" for number in range(1_000_000))

    def on_disk() -> AbstractAsyncContextManager[Checkpoint]:
        return open_checkpoint(next(files) / "checkpoint.db")

    def cpu(opened: Callable[[], AbstractAsyncContextManager[Checkpoint]]) -> float:
        small, large = (_cpu(opened, number) for number in numbers)
        return (large - small) / (numbers[1] - numbers[0]) * 1e6

    rounds = in_turn(
        options.repeats,
        {
            "intent": lambda: _wait_of_intents(on_disk, waits),
            "raw": lambda: _wait_of_disk(options.scratch / "raw", waits),
            "disk": lambda: cpu(on_disk),
            "memory": lambda: cpu(_in_memory),
        },
    )
    return [
        Figure(
            "checkpoint: wait for the intent, 32 at once, p50 / raw fdatasync, p50",
            rounds.ratio("intent", "raw"),
            most=2.0,
        ),
        Figure("checkpoint: wait for the intent, p50", rounds["intent"], " ms"),
        Figure("checkpoint: raw write and fdatasync, p50", rounds["raw"], " ms"),
        Figure("checkpoint: CPU per operation", rounds.difference("disk", "memory"), " µs", most=100.0),
    ]


@asynccontextmanager
async def _in_memory() -> AsyncIterator[Checkpoint]:
    yield MemoryCheckpoint()


def _wait_of_intents(opened: Callable[[], AbstractAsyncContextManager[Checkpoint]], number: int) -> float:
    """Return the median wait for an intent, in milliseconds."""
    waits: list[float] = []
    asyncio.run(_operate(opened, number, waits, ANSWER))
    return statistics.median(waits) * 1e3


def _cpu(opened: Callable[[], AbstractAsyncContextManager[Checkpoint]], number: int) -> float:
    began = time.process_time()
    asyncio.run(_operate(opened, number, [], 0.0))
    return time.process_time() - began


async def _operate(
    opened: Callable[[], AbstractAsyncContextManager[Checkpoint]],
    number: int,
    waits: list[float],
    answer: float,
) -> None:
    lines = iter(range(number))
    chance = random.Random(1)

    async def worker(checkpoint: Checkpoint) -> None:
        for line in lines:
            key = line_key(f"line-{line}", b"", 0)
            step = StepRow(operation_key(key, 0), 0, "agent.create", 1, StepState.INTENT, at=time.time())
            began = time.perf_counter()
            await checkpoint.intend(step)
            waits.append(time.perf_counter() - began)
            if answer:
                await asyncio.sleep(answer * chance.uniform(0.5, 1.5))
            checkpoint.note(replace(step, state=StepState.DONE, entity="agent_0001", reply=REPLY))
            row = OperationRow(
                step.key, key, line, 0, f"line-{line}", "agent.create", State.DONE, digest(key), RECORD
            )
            await checkpoint.close_operation(row, keep_steps=False)

    async with opened() as checkpoint:
        await asyncio.gather(*(worker(checkpoint) for _ in range(AT_ONCE)))


def _wait_of_disk(path: Path, number: int) -> float:
    """Return the median time of a write of a page at the end of a file and its fdatasync, in milliseconds."""
    times: list[float] = []
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        for _ in range(number):
            began = time.perf_counter()
            os.write(descriptor, PAGE)
            os.fdatasync(descriptor)
            times.append(time.perf_counter() - began)
    finally:
        os.close(descriptor)
    return statistics.median(times) * 1e3


if __name__ == "__main__":
    main(measure)
