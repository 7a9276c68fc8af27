"""What the tests of planning share: job files, checkpoints in which something has ended, and plans."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulkops.api import REFERENCE
from bulkops.checkpoint import OperationRow, digest, line_key, operation_key
from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.errors import JobError
from bulkops.jobfile import JobFile
from bulkops.planning import make_plan

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.model import State
    from bulkops.planning import Plan, Selection

GET = {"op": "agent.get", "agent_id": "agent_abc123"}


def get(line_id: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a line."""
    return {**GET, **({"id": line_id} if line_id else {}), **more}


def write(path: Path, lines: list[Any]) -> Path:
    """Write a job file; lines that are bytes are written as they are."""
    raws = [line if isinstance(line, bytes) else orjson.dumps(line) for line in lines]
    path.write_bytes(b"".join(raw + b"\n" for raw in raws))
    return path


class Remembered:
    """A checkpoint in which operations have ended."""

    def __init__(self) -> None:
        self.checkpoint = MemoryCheckpoint()

    def end(
        self, line: dict[str, Any], state: State, *, index: int = 0, occurrence: int = 0, number: int = 1
    ) -> None:
        """Remember that an operation of a line ended."""
        raw = orjson.dumps(line)
        key = line_key(line.get("id"), raw, occurrence)
        row = OperationRow(
            key=operation_key(key, index),
            line_key=key,
            line=number,
            index=index,
            id=line.get("id"),
            kind=line["op"],
            state=state,
            digest=digest(raw),
            record=b"{}",
        )
        asyncio.run(self.checkpoint.close_operation(row, keep_steps=False))


def plan_of(
    path: Path,
    remembered: Remembered | None = None,
    selection: Selection | None = None,
    base: Path | None = None,
) -> Plan:
    """Return the plan of a job file."""
    reader = None if remembered is None else remembered.checkpoint.reader()
    with JobFile.open(path) as job:
        if base is None:
            return make_plan(job, api=REFERENCE, environ={}, reader=reader, selection=selection)
        with JobFile.open(base) as whole:
            return make_plan(job, api=REFERENCE, environ={}, reader=reader, selection=selection, base=whole)


def problems_of(path: Path, *more: Any) -> list[tuple[int | None, str | None, str]]:
    """Return line, field and message of everything that is wrong with a job file."""
    with pytest.raises(JobError) as caught:
        plan_of(path, *more)
    return [(problem.line, problem.field, problem.message) for problem in caught.value.problems]
