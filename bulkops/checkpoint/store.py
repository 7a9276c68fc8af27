"""The checkpoint on disk: what an event loop sees of it. The thread behind it is in `writer.py`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from bulkops.checkpoint import tables
from bulkops.checkpoint.batches import Call, Close
from bulkops.checkpoint.reader import open_reader
from bulkops.checkpoint.writer import Writer
from bulkops.errors import CheckpointError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from bulkops.checkpoint.batches import Hearer
    from bulkops.checkpoint.reader import CheckpointReader
    from bulkops.checkpoint.rows import OperationRow, StepRow

_CLOSE_LIMIT = 60.0
"""Seconds that a disk gets to take the last commit."""


@asynccontextmanager
async def open_checkpoint(
    path: Path, *, rescue: Path | None = None, ballast: int = 0
) -> AsyncIterator[SqliteCheckpoint]:
    """Open a checkpoint, or create it with mode 0600; leaving writes what is queued and closes it.

    A missing folder is made with mode 0700. Raises CheckpointError when it cannot be opened or written, is no
    checkpoint, is of a newer format, or does not close within a minute; and at the end when any write failed,
    also one that nobody waited for. The caller holds the run lock.

    `ballast` is how many bytes to hold back on this disk, `rescue` a folder on another one: for what becomes of
    requests that are in flight when a write fails.
    """
    writer = Writer(path, rescue, ballast)
    writer.start()
    try:
        await writer.opened
        yield SqliteCheckpoint(path, writer)
    except BaseException:
        await _close(writer, path)
        raise
    await _close(writer, path)
    writer.check()


async def _close(writer: Writer, path: Path) -> None:
    writer.close()
    try:
        async with asyncio.timeout(_CLOSE_LIMIT):
            await writer.ended.wait()
    except TimeoutError:
        raise CheckpointError(
            f"The disk did not take the end of the checkpoint {path} within {_CLOSE_LIMIT:.0f} s."
            " Check the disk, then run the same command again."
        ) from None
    except asyncio.CancelledError:
        # Cancelled, but what was promised is kept: the last commit takes milliseconds.
        writer.join(_CLOSE_LIMIT)
        raise
    writer.join(_CLOSE_LIMIT)


class SqliteCheckpoint:
    """The `Checkpoint` in a file; made by `open_checkpoint`, for the event loop that opened it."""

    def __init__(self, path: Path, writer: Writer) -> None:
        self._path = path
        self._writer = writer
        self._meta = writer.meta
        self._indexed = False

    def intend(self, step: StepRow) -> Awaitable[None]:
        """Remember a step before its request is sent; durable when that was awaited."""
        return self._writer.add(step)

    def note(self, step: StepRow) -> None:
        """Remember what is known about a step, in place of what was; durable with the next commit."""
        self._writer.note(step)

    def close_operation(self, row: OperationRow, *, keep_steps: bool) -> Awaitable[None]:
        """Remember the end of an operation, in place of an earlier one; durable when that was awaited.

        Unless `keep_steps`, its steps are forgotten in the same moment: one that has ended needs none.
        """
        return self._writer.keep(Close(row, keep_steps))

    def close_done(self, row: OperationRow, hear: Hearer) -> None:
        """Remember the end of an operation that is done, and forget its steps, without anybody waiting for it.

        `hear` is called when that is durable, or saved for the next run, or with the reason why it never will be.
        """
        self._writer.note(Close(row, keep_steps=False), hear)

    async def reopen(self, key: bytes, steps: Sequence[StepRow] = ()) -> None:
        """Forget the end of an operation and put these steps in the place of its own; durable when it returns."""
        await self._index_keys()
        await self._call(partial(tables.reopen, key=key, steps=steps))

    async def settle(self, steps: Sequence[StepRow]) -> None:
        """Remember what was found out about steps in doubt, all or nothing; durable when it returns."""
        await self._call(partial(tables.put_steps, rows=steps))

    async def steps_of(self, key: bytes) -> list[StepRow]:
        """Return the steps of an operation by number, with everything noted before."""
        found: list[StepRow] = await self._call(partial(tables.steps_of, key=key))
        return found

    async def row_of(self, key: bytes) -> OperationRow | None:
        """Return the end of an operation, None while it has none."""
        await self._index_keys()
        found: OperationRow | None = await self._call(partial(tables.row_of, key=key))
        return found

    async def records_of(self, keys: bytes) -> list[bytes]:
        """Return the records of those operations that have ended, in this order; the keys stand one after the other."""
        await self._index_keys()
        found: list[bytes] = await self._call(partial(tables.records_of, keys=keys))
        return found

    async def pin(self, key: bytes, request: bytes, reply: bytes, *, anew: bool = False) -> None:
        """Remember an answer that all operations of a line see, or one of them; durable when it returns.

        `key` is that of the line or the operation. The first answer stays, unless it is `anew`.
        """
        put = partial(tables.put_pin, line_key=key, request=request, reply=reply, anew=anew)
        await self._call(put)

    async def pinned(self, key: bytes, request: bytes) -> bytes | None:
        """Return the answer that was pinned, None before."""
        found: bytes | None = await self._call(partial(tables.pinned, line_key=key, request=request))
        return found

    async def set_meta(self, key: str, value: str) -> None:
        """Remember a word about the whole run, in place of an earlier one; durable when it returns."""
        await self._call(partial(tables.put_meta, key=key, value=value))
        self._meta[key] = value

    def meta(self, key: str) -> str | None:
        """Return a word about the whole run; `format`, `checkpoint_id` and `created` are always there."""
        return self._meta.get(key)

    async def flush(self) -> None:
        """Return when everything noted before is durable."""
        await self._writer.keep(Call(_nothing))

    async def failed(self) -> CheckpointError:
        """Return why a write has failed, as soon as one has."""
        await self._writer.failed.wait()
        return self._writer.failure()

    def reader(self) -> CheckpointReader:
        """Return a reader of what is durable by now."""
        reader = open_reader(self._path)
        if reader is None:
            raise CheckpointError(f"The checkpoint {self._path} is gone. Nothing more is sent.")
        return reader

    async def _index_keys(self) -> None:
        if not self._indexed:
            await self._call(tables.index_keys)
            self._indexed = True

    async def _call(self, act: Callable[[sqlite3.Connection], Any]) -> Any:
        call = Call(act)
        await self._writer.add(call)
        return call.result


def _nothing(_: sqlite3.Connection) -> None:
    """Be a place in the queue that is reached when everything before it is."""
