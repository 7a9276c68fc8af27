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
    from collections.abc import Callable, Iterator, Sequence

    from bulkops.checkpoint.rows import OperationRow


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
Hearer: TypeAlias = "Callable[[CheckpointError | None], None]"
"""Hears that something is durable or saved, or why it never will be; it costs little, and never raises."""


class Batch:
    """What becomes durable in one commit, and who waits for that."""

    __slots__ = ("commands", "failure", "hearers", "lost", "size", "waiting")

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.waiting: list[asyncio.Future[None]] = []
        """Who waits until this is durable; told `failure` when it never will be."""
        self.hearers: list[Hearer] = []
        """Who is called when this is durable or saved for the next run, or with `lost` when it never will be."""
        self.size = 0
        """About how many bytes its texts have, once committed."""
        self.failure: str | None = None
        """Why it did not become durable in the checkpoint."""
        self.lost: str | None = None
        """Why what was true already could not be saved anywhere."""

    def finish(self) -> None:
        """Tell those who hear of it, then wake those who wait; in the loop's thread."""
        lost = None if self.lost is None else CheckpointError(self.lost)
        try:
            for hear in self.hearers:
                hear(lost)
        finally:
            for waiting in self.waiting:
                end(waiting, None if self.failure is None else CheckpointError(self.failure))
            self.hearers.clear()
            self.waiting.clear()


def end(waiting: asyncio.Future[None], failure: CheckpointError | None) -> None:
    """Wake one who waits, unless he does no more."""
    if waiting.done():
        return
    if failure is None:
        waiting.set_result(None)
    else:
        waiting.set_exception(failure)


def is_known(command: Command) -> bool:
    """Tell whether a command says what has happened; an intent whose commit failed was never sent."""
    return isinstance(command, Close) or (
        isinstance(command, StepRow) and command.state is not StepState.INTENT
    )


def commit(connection: sqlite3.Connection, batch: Batch) -> None:
    """Do the commands of a batch in one transaction, with the effect of doing them one after the other."""
    batch.size = commit_all(connection, batch.commands)


def commit_all(connection: sqlite3.Connection, commands: Sequence[Command]) -> int:
    """Do commands in one transaction; return about how many bytes their texts have."""
    connection.execute("BEGIN IMMEDIATE")
    left = iter(commands)
    size = 0
    while True:
        changes = _Changes()
        call = changes.take(left)
        changes.write(connection)
        size += changes.size
        if call is None:
            break
        call.run(connection)
    connection.execute("COMMIT")
    return size


class _Changes:
    """What a run of commands comes to: later ones take the place of earlier ones before they are written."""

    def __init__(self) -> None:
        self._swept: dict[bytes, None] = {}
        self._steps: dict[bytes, dict[int, StepRow]] = {}
        self._operations: dict[bytes, OperationRow] = {}
        self.size = 0

    def take(self, commands: Iterator[Command]) -> Call | None:
        """Take commands in, until there is none left or one is a call: return that."""
        size = 0
        for command in commands:
            if isinstance(command, StepRow):
                self._steps.setdefault(command.key, {})[command.number] = command
                size += len(command.reply or b"") + len(command.evidence or b"")
            elif isinstance(command, Close):
                row = command.row
                self._operations[row.key] = row
                if not command.keep_steps:
                    self._swept[row.key] = None
                    self._steps.pop(row.key, None)
                size += len(row.record) + len(row.raw or b"")
            else:
                self.size = size
                return command
        self.size = size
        return None

    def write(self, connection: sqlite3.Connection) -> None:
        """Write down what was taken in."""
        tables.drop_steps(connection, self._swept)
        tables.put_steps(connection, (row for rows in self._steps.values() for row in rows.values()))
        tables.put_operations(connection, self._operations.values())
