"""Opening the one read-write connection of a checkpoint, and making the file where there is none."""

from __future__ import annotations

import secrets
import sqlite3
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bulkops.checkpoint import schema, tables
from bulkops.checkpoint.folder import make_private_file
from bulkops.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE = 10.0
"""Seconds to wait for a reader that repairs SQLite's index of the log."""

# NORMAL would lose acknowledged commits in a power cut. The writer copies the log by itself, where nobody
# waits for it.
_PRAGMAS = (
    "synchronous=FULL",
    "wal_autocheckpoint=0",
    f"journal_size_limit={64 * 2**20}",
    "mmap_size=0",
    f"cache_size={-4 * 1024}",
)
# There fsync leaves data in the cache of the drive.
_PRAGMAS_MACOS = ("fullfsync=ON", "checkpoint_fullfsync=ON")


def open_writable(path: Path) -> sqlite3.Connection:
    """Open or create the checkpoint at a path; the connection belongs to the calling thread.

    Raises CheckpointError for what is no checkpoint or one of a newer format, and sqlite3.Error or OSError.
    """
    with suppress(FileExistsError):
        make_private_file(path)
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        timeout=_PATIENCE,
        cached_statements=256,
    )
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    fresh = schema.blank(connection)
    if not fresh:
        schema.check_format(connection, str(path))
    _configure(connection, path)
    if fresh:
        created = datetime.now(UTC).isoformat(timespec="seconds")
        schema.create(connection, [("checkpoint_id", secrets.token_hex(16)), ("created", created)])
    else:
        _index_keys(connection)


def _index_keys(connection: sqlite3.Connection) -> None:
    try:
        tables.index_keys(connection)
    except sqlite3.OperationalError:
        # It is sorted in temporary files, for which the system may have no room: then in memory, 30 bytes for each row.
        connection.execute("PRAGMA temp_store=MEMORY")
        tables.index_keys(connection)


def _configure(connection: sqlite3.Connection, path: Path) -> None:
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise CheckpointError(
            f"The file system of {path} cannot hold a checkpoint (SQLite offers no write-ahead log there,"
            f" only {mode!r}). Name a folder on a local disk with --run-dir."
        )
    for pragma in (*_PRAGMAS, *(_PRAGMAS_MACOS if sys.platform == "darwin" else ())):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def copy_log(connection: sqlite3.Connection) -> int:
    """Copy the log into the database as far as no reader needs it; return how many pages the log has."""
    _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(pages)


def close_with_checkpoint(connection: sqlite3.Connection, path: Path) -> None:
    """Copy the log and close. If that fails nothing is lost: the log stays, and is read with the database."""
    try:
        copy_log(connection)
    except sqlite3.Error:
        close_without_checkpoint(connection, path)
    else:
        connection.close()


def close_without_checkpoint(connection: sqlite3.Connection, path: Path) -> None:
    """Close after a failed write, leaving database and log as they are.

    The last connection to close would copy the log into the database; a reader that stays a moment longer
    keeps this one from being the last.
    """
    with suppress(sqlite3.Error):
        reader = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            reader.execute("SELECT count(*) FROM meta").fetchone()
        finally:
            connection.close()
            reader.close()
    connection.close()
