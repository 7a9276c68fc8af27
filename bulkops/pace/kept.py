"""A small file that several processes read and write in turn, under a kernel lock; whole, or as it was before.

Two places in it are written in turn, and then the head, which says which place holds and what its checksum is. A
process that is killed at any moment thus leaves what was there before. The kernel takes the lock back from whoever
dies. Nothing is flushed to disk: after a power cut a new boot begins, and with it a new account of things.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from struct import Struct
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = Struct("<8sQII")
"""A mark, the number of the writing, the length of the body, its checksum."""
_MARK = b"bulkops\n"
_PLACES = (4096, 4096 + (1 << 20))
_NOTE = Struct("<qd")
_TRIES = 20
_BETWEEN = 0.00025
"""Seconds between two tries at the lock. Whoever holds it is done within a tenth of a millisecond, or was stopped."""


class KeptFile:
    """The file at a path, made with mode 0600 if it is missing. Raises OSError as its calls do."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._seen = -1
        """The number of the writing that was read or written last,"""
        self._head: bytes | None = None
        """and its head; None where that cannot be read."""

    def lock(self) -> bool:
        """Take the lock; False when somebody holds it for long (a process that was stopped in its midst)."""
        for _ in range(_TRIES):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_BETWEEN)
            else:
                return True
        return False

    def unlock(self) -> None:
        """Let the lock go."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def changed(self) -> bool:
        """Tell whether somebody has written since we last read or wrote; needs no lock."""
        return os.pread(self._file, _HEAD.size, 0) != self._head

    def read(self) -> bytes | None:
        """Return what is in it; None when that is known already; nothing when it cannot be read. Under the lock."""
        head = os.pread(self._file, _HEAD.size, 0)
        mark, number, length, checksum = _HEAD.unpack(head) if len(head) == _HEAD.size else (b"", 0, 0, 0)
        if mark == _MARK and number == self._seen:
            return None
        self._seen, self._head = number, head
        body = os.pread(self._file, min(length, _PLACES[1]), _PLACES[number % 2])
        if mark == _MARK and len(body) == length and crc32(body) == checksum:
            return body
        # Begun anew, at a number that nobody has seen.
        self._seen, self._head = secrets.randbits(62), None
        return b""

    def write(self, body: bytes) -> None:
        """Put this into it, under the lock and after a read."""
        number = (self._seen + 1) % (1 << 63)
        os.pwrite(self._file, body, _PLACES[number % 2])
        head = _HEAD.pack(_MARK, number, len(body), crc32(body))
        os.pwrite(self._file, head, 0)
        self._seen, self._head = number, head

    def close(self) -> None:
        """Close it, and with that let the lock go."""
        os.close(self._file)


class Alive:
    """A file that shows, by a lock on it, that its process lives; others see when that is over, and what it noted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def note(self, count: int, time: float) -> None:
        """Note a count and a time; cheap, and nobody else's lock is needed."""
        os.pwrite(self._file, _NOTE.pack(count, time), 0)

    def close(self) -> None:
        """Be no more, and leave nothing behind."""
        self._path.unlink(missing_ok=True)
        self.drop()

    def drop(self) -> None:
        """Be no more, as if killed."""
        os.close(self._file)


def noted(path: Path) -> tuple[int, float] | None:
    """Return what the process of such a file has noted last, if anything; it may be dead."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        note = os.pread(file, _NOTE.size, 0)
    finally:
        os.close(file)
    return _NOTE.unpack(note) if len(note) == _NOTE.size else None


def is_dead(path: Path) -> bool:
    """Tell whether the process of such a file is no more; the file then goes too."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True
