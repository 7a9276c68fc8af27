"""Files that appear whole or not at all: written aside in the same folder, synced, renamed."""

from __future__ import annotations

import ctypes
import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bulkops.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = ".bulkops-"
_BUFFER = 2**16
_SHOWN = 40
"""So many characters of the final name are in the temporary one; with 4 bytes each they still fit a name."""


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write; when the block ends well, it durably stands under `path`, else nothing changed.

    Its mode is 0600. What the disk refuses ends as `CheckpointError`.
    """
    with disk_errors(path):
        with written_aside(path) as file:
            yield file
        sync_folder(path.parent)


@contextmanager
def written_aside(path: Path, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Do what `atomic_write` does, with another mode if given, except that the caller syncs the folder."""
    temporary = beside(path)
    try:
        with os.fdopen(open_private(temporary, mode=mode), "wb", _BUFFER) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Do what `atomic_write` does, for another process to write: give the path of an empty file."""
    with disk_errors(path):
        temporary = beside(path)
        try:
            os.close(open_private(temporary))
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into the error that stops the run: it is no fault of one operation."""
    try:
        yield
    except OSError as refused:
        raise CheckpointError(f"{path} cannot be written: {refused.strerror or refused}") from refused


def beside(path: Path) -> Path:
    """Return a temporary name of ours in the same folder, which ends in no suffix that somebody looks for."""
    return path.with_name(f"{PREFIX}{secrets.token_hex(8)}-{path.name[:_SHOWN]}.part")


def open_private(path: str | Path, flags: int = os.O_WRONLY, mode: int = 0o600) -> int:
    """Create a file that did not exist, readable by its owner only unless told; return its descriptor."""
    return os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)


def make_folder(path: Path) -> None:
    """Make sure that a folder is there, durably; a new one is its owner's alone."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make what was renamed in a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(folder: Path) -> None:
    """Make all that was written to the file system of a folder survive a power cut: one flush for thousands of files.

    Linux has a call for one file system (syncfs); elsewhere all of them are flushed.
    """
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> int:
    """Remove the temporary files that a killed run left in a folder; return how many there were."""
    if not folder.is_dir():
        return 0
    with os.scandir(folder) as entries:
        stale = [e.path for e in entries if e.name.startswith(PREFIX) and e.is_file(follow_symlinks=False)]
    for path in stale:
        Path(path).unlink(missing_ok=True)
    return len(stale)
