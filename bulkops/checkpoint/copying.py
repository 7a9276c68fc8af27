"""A private copy of a checkpoint, for reading where nothing can be written beside it."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from bulkops.errors import CheckpointError

_TRIES = 5


def copied(path: Path) -> tuple[TemporaryDirectory[str], Path]:
    """Copy database and log as they stand together; return the folder to clean up, and the copy in it.

    Raises CheckpointError when a run changes them each time while they are copied.
    """
    folder = TemporaryDirectory(prefix="bulkops-")
    try:
        return folder, _copy_unchanged(path, Path(folder.name))
    except BaseException:
        folder.cleanup()
        raise


def _copy_unchanged(path: Path, folder: Path) -> Path:
    log, copy, log_copy = (
        path.with_name(f"{path.name}-wal"),
        folder / "checkpoint.db",
        folder / "checkpoint.db-wal",
    )
    for _ in range(_TRIES):
        before = _marks(path, log)
        log_copy.unlink(missing_ok=True)
        shutil.copyfile(path, copy)
        if log.exists():
            shutil.copyfile(log, log_copy)
        if _marks(path, log) == before:
            return copy
    raise CheckpointError(f"The checkpoint {path} changes too quickly to be copied. Try again later.")


def _marks(*paths: Path) -> list[tuple[int, int] | None]:
    found = [path.stat() if path.exists() else None for path in paths]
    return [None if stat is None else (stat.st_size, stat.st_mtime_ns) for stat in found]
