"""What is saved when the checkpoint cannot be written any more, and how the next run takes it up.

On a full disk the ballast is given back, and what has become of the requests in flight is committed after all.
Where that is not the cause, or not enough, a rescue file in another folder takes it: a small checkpoint of its
own, under a name that only those can know who may read the checkpoint, and found by the very next run only.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from bulkops.checkpoint import tables
from bulkops.checkpoint.opening import close_with_checkpoint, open_writable
from bulkops.errors import CheckpointError
from bulkops.model import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bulkops.checkpoint.batches import Command
    from bulkops.checkpoint.rows import OperationRow, StepRow

CLEAN = "clean"
"""`yes` in `meta` when the last opening ended as it should, with everything written."""
OPENING = "opening"
"""How many times the checkpoint was opened for writing: the word of `meta` that a rescue file is named after."""


class Rescue:
    """Where things go once a write has failed: the checkpoint without its ballast, or a file in another folder.

    `error` is why the write failed, `apply` commits commands to a connection, `folder` is None for no file.
    Nothing goes to the checkpoint again unless its disk was merely full: after an I/O error nobody knows what a
    second attempt would make of the first.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        error: Exception,
        meta: Mapping[str, str],
        folder: Path | None,
        apply: Callable[[sqlite3.Connection, Sequence[Command]], object],
    ) -> None:
        self._checkpoint = connection if _is_full(error) else None
        self._file: sqlite3.Connection | None = None
        self._meta = meta
        self._folder = folder
        self._apply = apply
        self.told = ""
        """Where things are, as a sentence; empty when they are in the checkpoint."""

    def save(self, commands: Sequence[Command]) -> None:
        """Make commands durable; CheckpointError, sqlite3.Error or OSError when that cannot be done anywhere."""
        if commands and not self._saved_in_place(commands):
            if self._file is None:
                self._file = self._made()
            self._apply(self._file, commands)

    def close(self) -> None:
        """Close the rescue file, if there is one."""
        if self._file is not None:
            self._file.close()

    def _saved_in_place(self, commands: Sequence[Command]) -> bool:
        if self._checkpoint is None:
            return False
        try:
            if self._checkpoint.in_transaction:
                self._checkpoint.execute("ROLLBACK")
            self._apply(self._checkpoint, commands)
        except sqlite3.Error:
            self._checkpoint = None
            return False
        return True

    def _made(self) -> sqlite3.Connection:
        if self._folder is None:
            raise CheckpointError("there is no folder for a rescue file")
        path = rescue_path(self._meta, self._folder)
        path.unlink(missing_ok=True)
        connection = open_writable(path)
        tables.index_keys(connection)
        self.told = (
            f" What became of the requests in flight is in {path}; the next run of the job takes it up."
        )
        return connection


def _is_full(error: Exception) -> bool:
    return getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"


def rescue_path(meta: Mapping[str, str], folder: Path) -> Path:
    """Return where the rescue file of a checkpoint is, or would be, that was opened so many times."""
    name = f"{meta['checkpoint_id']} {meta.get(OPENING, '0')}".encode()
    mark = blake2b(name, digest_size=8, person=b"bulkops rescue").hexdigest()
    return folder / f"bulkops-rescue-{mark}.db"


def usual_folder() -> Path:
    """Return the system's folder for temporary files.

    Not `tempfile.gettempdir`: that writes to it, and fails where a disk is full.
    """
    return Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - what we put there nobody else can name or open


def absorb(path: Path, meta: Mapping[str, str], folder: Path) -> int:
    """Take up what the last run had to save elsewhere; return how many operations and steps that were.

    `meta` is that of the checkpoint at `path`. The rescue file is removed when all of it is durable. Raises
    CheckpointError, sqlite3.Error and OSError.
    """
    source = rescue_path(meta, folder)
    if not _is_ours(source):
        return 0
    with closing(open_writable(source)) as rescue:
        if any(tables.unlike(rescue)):
            raise CheckpointError(
                f"{source}, where the last run saved what was in flight, is damaged. Nothing was sent. Remove it to"
                " go on; what was in flight is in doubt then."
            )
        steps, ends = list(tables.steps(rescue)), list(tables.rows(rescue, None))
    _merge(path, steps, ends)
    for name in (source.name, f"{source.name}-wal", f"{source.name}-shm"):
        source.with_name(name).unlink(missing_ok=True)
    return len(steps) + len(ends)


def _is_ours(path: Path) -> bool:
    """Tell whether a file is there that only we can have written."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _merge(path: Path, steps: Sequence[StepRow], ends: Sequence[OperationRow]) -> None:
    connection = open_writable(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        # What the last run knew of an operation that is done is in its end; of any other, in its steps as well.
        tables.drop_steps(connection, [row.key for row in ends if row.state is State.DONE])
        tables.put_steps(connection, steps)
        tables.put_operations(connection, ends)
        connection.execute("COMMIT")
    finally:
        close_with_checkpoint(connection, path)
