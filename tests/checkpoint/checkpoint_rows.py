"""Rows for tests: whole and valid, with what a test cares about set."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from bulkops.checkpoint import OperationRow, StepRow, StepState, digest, line_key, operation_key
from bulkops.model import State

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from bulkops.checkpoint import Checkpoint


class Opener(Protocol):
    """Opens the checkpoint of this test; again and again the same one."""

    def __call__(self) -> AbstractAsyncContextManager[Checkpoint]:
        """Return the context manager that opens and closes it."""


def key_of(line: int, index: int = 0) -> bytes:
    """Return the key of an operation of the line with the id `line-N`."""
    return operation_key(line_key(f"line-{line}", b"", 0), index)


def step(line: int = 1, index: int = 0, **fields: Any) -> StepRow:
    """Return an intent, changed as said."""
    row = StepRow(key_of(line, index), 0, "agent.create", 1, StepState.INTENT, at=1700000000.5)
    return replace(row, **fields)


def ended(line: int = 1, index: int = 0, **fields: Any) -> OperationRow:
    """Return the row of an operation that is done, changed as said."""
    row = OperationRow(
        key=key_of(line, index),
        line_key=line_key(f"line-{line}", b"", 0),
        line=line,
        index=index,
        id=f"line-{line}",
        kind="agent.create",
        state=State.DONE,
        digest=digest(b"line %d" % line),
        record=b'{"line":%d,"index":%d}' % (line, index),
    )
    return replace(row, **fields)
