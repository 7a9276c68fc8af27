"""Request bodies: chunks that pass the body gate, and multipart forms read from disk off the event loop."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from typing import TYPE_CHECKING, NoReturn

import aiofiles
import aiofiles.os
import httpx

from bulkops.errors import OperationFailed
from bulkops.sending.confining import open_upload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bulkops.model import Form
    from bulkops.sending.attempt import Gate

CHUNK = 64 * 1024
FILE_CHUNK = 2**20
"""Smaller chunks cost a thread hop each: 64 KiB ones four times the CPU of these."""


class GatedBytes(httpx.AsyncByteStream):
    """A body that is in memory already."""

    def __init__(self, content: bytes, gate: Gate) -> None:
        self._content = content
        self._gate = gate

    async def __aiter__(self) -> AsyncIterator[bytes]:
        last = max(0, (len(self._content) - 1) // CHUNK * CHUNK)
        for start in range(0, last, CHUNK):
            yield self._content[start : start + CHUNK]
        self._gate.passed = True
        yield self._content[last:]


class GatedForm(httpx.AsyncByteStream):
    """A multipart/form-data body with one file (RFC 7578), made anew for every attempt.

    The length is known beforehand. When the file turns out changed or unreadable while it is read, the gate stays
    closed and `gate.trouble` says why: the server cannot have a complete message. A file that is not below `root`,
    where one is given, is not even read.
    """

    def __init__(self, form: Form, gate: Gate, root: Path | None = None) -> None:
        self._form = form
        self._gate = gate
        self._root = root
        self._boundary = secrets.token_hex(16)
        self._head, self._tail = _frame(form, self._boundary)
        self._file = _file_of(form.path, root)

    @property
    def content_type(self) -> str:
        """The value of the Content-Type header."""
        return f"multipart/form-data; boundary={self._boundary}"

    @property
    def content_length(self) -> int:
        """The length of the whole body in bytes."""
        return len(self._head) + self._file.st_size + len(self._tail)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._head
        left = self._file.st_size
        try:
            async with aiofiles.open(self._form.path, "rb", opener=self._open) as file:
                while left > 0 and (chunk := await file.read(min(FILE_CHUNK, left))):
                    left -= len(chunk)
                    yield chunk
                now = await aiofiles.os.stat(file.fileno())
        except OSError as error:
            if error.errno == errno.ESTALE:
                self._withhold("changed while it was being sent")
            self._withhold(f"cannot be read: {error.strerror}")
        if left or _identity(now) != _identity(self._file):
            self._withhold("changed while it was being sent")
        self._gate.passed = True
        yield self._tail

    def _open(self, path: str, _flags: int) -> int:
        descriptor = open_upload(path, self._root)
        if _identity(os.fstat(descriptor)) != _identity(self._file):
            os.close(descriptor)
            raise OSError(errno.ESTALE, "it was changed")
        return descriptor

    def _withhold(self, what: str) -> NoReturn:
        message = f"{self._form.path} {what}; nothing was uploaded"
        self._gate.trouble = OperationFailed("file_changed", message)
        # Not the trouble itself: the transport wraps what is raised here, and that becomes the trouble's cause.
        raise EOFError(message)


def _file_of(path: str, root: Path | None) -> os.stat_result:
    try:
        descriptor = open_upload(path, root)
    except OSError as error:
        raise OperationFailed("no_file", f"{path} cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OperationFailed("no_file", f"{path} is not a regular file")
    return status


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """Return what changes when another file, or other content, comes to stand under a name."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _frame(form: Form, boundary: str) -> tuple[bytes, bytes]:
    """Return what stands before and after the file's bytes."""
    lines = []
    for name, value in form.fields:
        lines += [f"--{boundary}", f'Content-Disposition: form-data; name="{_quoted(name)}"', "", value]
    disposition = f'form-data; name="{_quoted(form.file_field)}"; filename="{_quoted(form.file_name)}"'
    lines += [
        f"--{boundary}",
        f"Content-Disposition: {disposition}",
        f"Content-Type: {form.content_type}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape"), f"\r\n--{boundary}--\r\n".encode()


def _quoted(name: str) -> str:
    # As browsers do (HTML standard, multipart/form-data encoding algorithm).
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
