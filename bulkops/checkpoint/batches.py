"""What is on its way to the disk: commands, the batches they travel in, and how a batch is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from bulkops.checkpoint import tables
from bulkops.checkpoint.rows import StepRow, StepState
from bulkops.errors import CheckpointError
from bulkops.model import value

if TYPE_CHECKING:
    import asyncio
    import sqlite3
    from collections.abc import Callable, Sequence

    from bulkops.checkpoint.rows import OperationRow

_BATCH_RECORDS = 1024
_BATCH_BYTES = 4 * 2**20


@value
class Close:
    """The end of an operation on its way to the disk."""

    row: OperationRow
    keep_steps: bool


class Call:
    """A statement that has its place in the queue; `result` is there when its batch is done."""

    __slots__ = ("act", "result")

    def __init__(self, act: Callable[[sqlite3.Connection], Any]) -> None:
        self.act = act
        self.result: Any = None

    def run(self, connection: sqlite3.Connection) -> None:
        """Act, and keep the result."""
        self.result = self.act(connection)


Command: TypeAlias = StepRow | Close | Call


class Batch:
    """What becomes durable in one commit."""

    __slots__ = ("_ends", "_loop", "_waiting", "commands", "done", "failure", "lost", "size")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[asyncio.Future[None]] = []
        self._ends: list[asyncio.Future[None]] = []
        self.commands: list[Command] = []
        self.size = 0
        self.done = False
        self.failure: str | None = None
        """Why it did not become durable in the checkpoint."""
        self.lost: str | None = None
        """Why what was true already could not be saved anywhere."""

    @property
    def full(self) -> bool:
        """Say whether it is time for the next one."""
        return len(self.commands) >= _BATCH_RECORDS or self.size >= _BATCH_BYTES

    def wait(self) -> asyncio.Future[None]:
        """Return what to await: it ends when this is durable, with CheckpointError when it never will be."""
        # A future of its own for each: cancelling one who waits touches no other. A coroutine, or an Event for
        # all, would cost 5 µs more.
        waiting = self._loop.create_future()
        self._waiting.append(waiting)
        if self.done:
            self.finish()
        return waiting

    def saved(self) -> asyncio.Future[None]:
        """Return what to await: it ends when this is durable or saved for the next run; else CheckpointError."""
        waiting = self._loop.create_future()
        self._ends.append(waiting)
        if self.done:
            self.finish()
        return waiting

    def finish(self) -> None:
        """Wake those who wait; in the loop's thread."""
        self.done = True
        _end(self._waiting, self.failure)
        _end(self._ends, self.lost)


def _end(waiting: list[asyncio.Future[None]], failure: str | None) -> None:
    for each in waiting:
        if each.done():
            continue
        if failure is None:
            each.set_result(None)
        else:
            each.set_exception(CheckpointError(failure))
    waiting.clear()


def is_known(command: Command) -> bool:
    """Tell whether a command says what has happened; an intent whose commit failed was never sent."""
    return isinstance(command, Close) or (
        isinstance(command, StepRow) and command.state is not StepState.INTENT
    )


def commit(connection: sqlite3.Connection, batch: Batch) -> None:
    """Do the commands of a batch in one transaction, with the effect of doing them one after the other."""
    commit_all(connection, batch.commands)


def commit_all(connection: sqlite3.Connection, commands: Sequence[Command]) -> None:
    """Do commands in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    changes = _Changes()
    for command in commands:
        if isinstance(command, StepRow):
            changes.put(command)
        elif isinstance(command, Close):
            changes.close(command)
        else:
            changes.write(connection)
            changes = _Changes()
            command.run(connection)
    changes.write(connection)
    connection.execute("COMMIT")


class _Changes:
    """What a run of commands comes to: later ones take the place of earlier ones before they are written."""

    def __init__(self) -> None:
        self._swept: dict[bytes, None] = {}
        self._steps: dict[bytes, dict[int, StepRow]] = {}
        self._operations: dict[bytes, OperationRow] = {}

    def put(self, step: StepRow) -> None:
        self._steps.setdefault(step.key, {})[step.number] = step

    def close(self, end: Close) -> None:
        key = end.row.key
        self._operations[key] = end.row
        if not end.keep_steps:
            self._swept[key] = None
            self._steps.pop(key, None)

    def write(self, connection: sqlite3.Connection) -> None:
        tables.drop_steps(connection, self._swept)
        tables.put_steps(connection, (row for rows in self._steps.values() for row in rows.values()))
        tables.put_operations(connection, self._operations.values())
