"""The files that a line names: found, readable, and really files, before anything is sent."""

from __future__ import annotations

import hashlib
import os
import stat
from functools import lru_cache
from typing import TYPE_CHECKING

import orjson

from bulkops.jobfile.problems import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.model import Json

LARGEST_READ = 8 * 2**20
"""Bytes of a file that is read, rather than sent."""
_LONGEST_PATH = 300


def wrong_file(path: str) -> str | None:
    """Return what is wrong with an absolute path that is to be uploaded."""
    name = repr(shown(path, _LONGEST_PATH))
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return f"names {name}, which does not exist; a relative path starts at the job file's folder"
    except (OSError, ValueError) as error:
        return f"names {name}, which cannot be read: {getattr(error, 'strerror', error)}; check it"
    if not stat.S_ISREG(mode):
        return f"names {name}, which is no regular file; name the file itself"
    if not os.access(path, os.R_OK):
        return f"names {name}, which you are not allowed to read; change its permissions"
    return None


def wrong_object(path: str) -> str | None:
    """Return what is wrong with an absolute path of a file that is to hold a JSON object."""
    return _unfit(path, object_of)


def wrong_text(path: str) -> str | None:
    """Return what is wrong with an absolute path of a file that is to hold text."""
    return wrong_file(path) or _unfit(path, text_of)


def object_of(content: bytes) -> Json:
    """Return the JSON object that a file holds; ValueError says, as the end of a sentence, why it holds none."""
    _check_size(content)
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error})") from None
    if not isinstance(found, dict):
        raise ValueError("holds no JSON object")  # noqa: TRY004 - as everything that is wrong with the file
    return found


def text_of(content: bytes) -> str:
    """Return the text that a file holds, without a mark of its encoding; ValueError as `object_of` raises it."""
    _check_size(content)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 (byte {error.start:,})") from None


def _check_size(content: bytes) -> None:
    if len(content) > LARGEST_READ:
        raise ValueError(f"has more than {LARGEST_READ:,} bytes")


def _unfit(path: str, read: Callable[[bytes], Json]) -> str | None:
    try:
        status = os.stat(path)
        wrong = _why_unfit(path, read, status.st_mtime_ns, status.st_size)
    except OSError as error:
        wrong = f"cannot be read: {error.strerror}"
    return (
        None if wrong is None else f"names {shown(path, _LONGEST_PATH)!r}, which {wrong}; name another file"
    )


@lru_cache(maxsize=64)
def _why_unfit(path: str, read: Callable[[bytes], Json], _changed: int, _size: int) -> str | None:
    # One file may stand on every line.
    try:
        with open(path, "rb") as file:
            read(file.read(LARGEST_READ + 1))
    except ValueError as wrong:
        return str(wrong)
    return None


def content_digest(path: str) -> str:
    """Return the SHA-256 of a file's bytes, in hex digits; OSError when it cannot be read."""
    # A pipe that has taken the file's place would keep us waiting for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
