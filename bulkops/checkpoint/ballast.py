"""Room on the disk that is held back for the end: given up when the disk is full, so that the end can be written."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from bulkops.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

_LEAST = 2**20
_PER_REQUEST = 3 * 64 * 2**10
_PER_OPERATION = 500
"""Bytes that an operation takes at the very least in the checkpoint and in the results."""


def ballast_size(in_flight: int) -> int:
    """Return how many bytes to hold back for the ends of so many requests in flight."""
    return max(_LEAST, in_flight * _PER_REQUEST)


def check_room(folder: Path, operations: int) -> None:
    """Raise CheckpointError when a folder's disk cannot even hold the least that so many operations take."""
    disk = os.statvfs(folder)
    free, needed = disk.f_bavail * disk.f_frsize, operations * _PER_OPERATION
    if free < needed:
        raise CheckpointError(
            f"{folder} has no room for what {operations:,} operations leave: that is {needed / 2**20:,.0f} MiB at"
            f" least, and {free / 2**20:,.0f} MiB are free. Nothing was sent. Free some space, or name another"
            " folder with --run-dir, then run the same command again."
        )


class Ballast:
    """A file that holds room on the disk; made when entered, given back at the latest when left."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    def __enter__(self) -> Self:
        """Take the room; CheckpointError when there is not so much."""
        if self._size:
            self._take()
        return self

    def __exit__(self, *raised: object) -> None:
        """Give it back."""
        self.drop()

    def drop(self) -> None:
        """Give the room back, as far as the disk lets us."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _take(self) -> None:
        try:
            descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                _allocate(descriptor, self._size)
            finally:
                os.close(descriptor)
        except OSError as error:
            self.drop()
            raise CheckpointError(
                f"{self._path.parent} has no room for a run: {self._size / 2**20:.0f} MiB cannot be set aside for"
                f" the end of the requests in flight ({error.strerror}). Nothing was sent. Free some space, or name"
                " another folder with --run-dir, then run the same command again."
            ) from error


def _allocate(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    # macOS has no such call; what was written is there.
    piece = bytes(2**20)
    while (left := size - os.lseek(descriptor, 0, os.SEEK_CUR)) > 0:
        os.write(descriptor, piece[:left])
