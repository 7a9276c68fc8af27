"""The thread that owns the only read-write connection, and commits what arrived during the commit before."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from bulkops.checkpoint import tables
from bulkops.checkpoint.ballast import Ballast
from bulkops.checkpoint.batches import Batch, commit, commit_all, end, is_known
from bulkops.checkpoint.explaining import explain
from bulkops.checkpoint.folder import sync_folder
from bulkops.checkpoint.opening import (
    close_with_checkpoint,
    close_without_checkpoint,
    copy_log,
    open_writable,
)
from bulkops.checkpoint.rescue import CLEAN, OPENING, Rescue
from bulkops.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulkops.checkpoint.batches import Command, Hearer


_LOG_PAGES = 1024
"""Pages of 4 KiB in the log from which on it is copied into the database."""
_BATCH_RECORDS = 1024
"""So many commands at most are committed together."""


class Writer:
    """The thread and its queue. Methods are for the event loop's thread; the first failed write ends all.

    One commit is under way at a time. What comes meanwhile goes into the next one, along with what those have to say
    that the first has woken.
    After a failed write nothing begins any more; what has become of that which had begun is still saved, as `Rescue`
    can. `rescue` is the folder for that, `ballast` the bytes held back on the checkpoint's own disk.
    """

    def __init__(self, path: Path, rescue: Path | None = None, ballast: int = 0) -> None:
        self._path = path
        self._rescue_folder = rescue
        self._ballast = Ballast(path.with_name("ballast"), ballast)
        self._loop = asyncio.get_running_loop()
        self._gathered: Batch | None = None
        self._under_way = 0
        """How many batches the thread has; more than one only where one was full."""
        self._queue: SimpleQueue[Batch | None] = SimpleQueue()
        self._closing = False
        self._failure: str | None = None
        self._lost: str | None = None
        self._thread = threading.Thread(target=self._run, name="bulkops-checkpoint", daemon=True)
        self._in_hand: Batch | None = None
        self.meta: dict[str, str] = {}
        self.opened = self._loop.create_future()
        """Done when `meta` is there."""
        self._opening = Batch()
        self._opening.waiting.append(self.opened)
        self.ended = asyncio.Event()
        self.failed = asyncio.Event()
        """Set when a write has failed."""

    def start(self) -> None:
        """Start the thread; it opens the file first."""
        self._thread.start()

    def add(self, command: Command) -> asyncio.Future[None]:
        """Queue a command, unless a write has failed; return what to await.

        It ends when the command is durable, with CheckpointError when it never will be.
        """
        # A future of its own for each: cancelling one who waits touches no other. A coroutine, or an Event for
        # all, would cost 5 µs more.
        waiting = self._loop.create_future()
        if self._failure is not None:
            waiting.set_exception(self.failure())
            return waiting
        batch = self._gathered
        if batch is None or len(batch.commands) >= _BATCH_RECORDS:
            batch = self._new_batch()
        batch.commands.append(command)
        batch.waiting.append(waiting)
        return waiting

    def note(self, command: Command, hear: Hearer | None = None) -> None:
        """Queue what is true already, also once a write has failed; CheckpointError if it cannot be saved anywhere."""
        if self._lost is not None:
            raise CheckpointError(self._lost)
        batch = self._gathered
        if batch is None or len(batch.commands) >= _BATCH_RECORDS:
            batch = self._new_batch()
        batch.commands.append(command)
        if hear is not None:
            batch.hearers.append(hear)

    def keep(self, command: Command) -> asyncio.Future[None]:
        """Do the same, and return what to await: it ends when that is durable or saved, else with CheckpointError."""
        waiting = self._loop.create_future()
        hear = partial(end, waiting)
        try:
            self.note(command, hear)
        except CheckpointError as lost:
            hear(lost)
        return waiting

    def _new_batch(self) -> Batch:
        """Return the batch for what comes next."""
        if self._closing:
            raise CheckpointError(f"The checkpoint {self._path} is closed.")
        self._hand_over()
        self._loop.call_soon(self._commit_next)
        self._gathered = Batch()
        return self._gathered

    def _commit_next(self) -> None:
        if not self._under_way:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._gathered is not None:
            self._under_way += 1
            self._queue.put(self._gathered)
            self._gathered = None

    def _finish(self, batch: Batch) -> None:
        self._under_way -= 1
        batch.finish()
        # After those have run that this has woken.
        self._loop.call_soon(self._commit_next)

    def close(self) -> None:
        """Let the thread end after what is queued; `ended` tells when."""
        self._hand_over()
        self._closing = True
        self._queue.put(None)

    def check(self) -> None:
        """Raise CheckpointError once a write has failed."""
        if self._failure is not None:
            raise self.failure()

    def failure(self) -> CheckpointError:
        """Return why nothing is written any more."""
        return CheckpointError(str(self._failure))

    def join(self, seconds: float) -> bool:
        """Wait for the end of the thread, blocking; return whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    # From here on: the thread.

    def _run(self) -> None:
        try:
            connection = open_writable(self._path)
        except Exception as error:  # noqa: BLE001 - told to those who wait, whatever it is
            self._fail(error)
        else:
            self._serve(connection)
        self._tell(self.ended.set)

    def _serve(self, connection: sqlite3.Connection) -> None:
        try:
            self.meta = _begun(connection)
            # The log has its name by now. SQLite syncs the folder as well, and does not mind when that fails.
            sync_folder(self._path.parent)
            with self._ballast:
                self._commit_all(connection)
            tables.put_meta(connection, CLEAN, "yes")
            with suppress(sqlite3.Error):  # for want of room, say: the next run makes it
                tables.index_keys(connection)
        except Exception as error:  # noqa: BLE001 - told to those who wait, whatever it is
            self._fail(error)
            self._save_rest(Rescue(connection, error, self.meta, self._rescue_folder, commit_all))
            close_without_checkpoint(connection, self._path)
        else:
            close_with_checkpoint(connection, self._path)

    def _save_rest(self, rescue: Rescue) -> None:
        """After a failed write: save what becomes of that which was in flight, until the run has ended."""
        batch = self._in_hand or self._next()
        while batch is not None:
            self._save(batch, rescue)
            batch = self._next()
        rescue.close()
        self._failure = self._lost or f"{self._failure}{rescue.told}"

    def _save(self, batch: Batch, rescue: Rescue) -> None:
        batch.failure = self._failure
        try:
            rescue.save([command for command in batch.commands if is_known(command)])
        except (CheckpointError, sqlite3.Error, OSError) as error:
            self._lost = (
                f"{self._failure} What became of the requests in flight could not be saved ({error}):"
                " they will be in doubt."
            )
        batch.lost = self._lost
        self._tell(partial(self._finish, batch))

    def _commit_all(self, connection: sqlite3.Connection) -> None:
        log = _Log(connection)
        self._tell(self._opening.finish)
        while (batch := self._next()) is not None:
            self._in_hand = batch
            commit(connection, batch)
            self._in_hand = None
            self._tell(partial(self._finish, batch))
            log.grew(batch)

    def _next(self) -> Batch | None:
        """Wait for the next batch; None at the end, however often that is asked for."""
        batch = self._queue.get()
        if batch is None:
            self._queue.put(None)
        return batch

    def _fail(self, error: Exception) -> None:
        self._failure = str(error) if isinstance(error, CheckpointError) else explain(error, self._path)
        self._tell(self.failed.set)
        self._opening.failure = self._failure
        self._tell(self._opening.finish)

    def _tell(self, hear: Callable[[], None]) -> None:
        # A loop that is closed already has nobody left who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(hear)


def _begun(connection: sqlite3.Connection) -> dict[str, str]:
    """Count the opening, which has not ended cleanly yet; return what is known about the whole run."""
    meta = tables.meta(connection)
    meta[OPENING] = str(int(meta.get(OPENING, "0")) + 1)
    meta[CLEAN] = "no"
    connection.execute("BEGIN IMMEDIATE")
    for key in (OPENING, CLEAN):
        tables.put_meta(connection, key, meta[key])
    connection.execute("COMMIT")
    return meta


class _Log:
    """Keeps SQLite's log short: copies it into the database when it has about `_LOG_PAGES` pages.

    SQLite tells the length of the log only when it copies, so the pages that a record takes are learnt then.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._records = 0.0
        self._pages_per_record = 1.0

    def grew(self, batch: Batch) -> None:
        self._records += len(batch.commands) + batch.size / 4096
        if self._records * self._pages_per_record >= _LOG_PAGES:
            pages = copy_log(self._connection)
            self._pages_per_record = min(4.0, max(0.05, pages / self._records))
            self._records = 0.0
