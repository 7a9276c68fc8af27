"""Why the disk refused, and what to do about it, in words."""

from __future__ import annotations

import errno
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def explain(error: Exception, path: Path) -> str:
    """Return why a checkpoint cannot be written, and what to do, from what SQLite or the system said."""
    what, remedy = _diagnose(error)
    return (
        f"The checkpoint {path} cannot be written: {what} ({error}). Nothing more is sent."
        f" {remedy}, then run the same command again; it continues where it was."
    )


_CAUSES = {
    "SQLITE_FULL": ("the disk is full", "Free some space"),
    "SQLITE_IOERR": ("I/O error", "Check the disk and its free space"),
    "SQLITE_READONLY": ("it is read-only", "Make the folder writable"),
    "SQLITE_CANTOPEN": ("it cannot be opened", "Make the folder writable"),
    "SQLITE_BUSY": ("another process holds it", "Let that end"),
    "SQLITE_CORRUPT": ("it is damaged", "Check the disk"),
    "SQLITE_NOTADB": ("it is no checkpoint of bulkops", "Name another folder with --run-dir"),
}
_SYSTEM_CAUSES = {
    errno.ENOSPC: "SQLITE_FULL",
    errno.EDQUOT: "SQLITE_FULL",
    errno.EIO: "SQLITE_IOERR",
    errno.EROFS: "SQLITE_READONLY",
    errno.EACCES: "SQLITE_CANTOPEN",
    errno.EPERM: "SQLITE_CANTOPEN",
}


def _diagnose(error: Exception) -> tuple[str, str]:
    name = ""
    if isinstance(error, sqlite3.Error):
        name = getattr(error, "sqlite_errorname", "")
    elif isinstance(error, OSError):
        name = _SYSTEM_CAUSES.get(error.errno or 0, "")
    for cause, answer in _CAUSES.items():
        if name.startswith(cause):
            return answer
    return "it failed", "Mend that"
