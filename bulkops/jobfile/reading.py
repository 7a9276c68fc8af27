"""The job file as raw lines: streamed in blocks, with numbers and offsets, and read again by offset."""

from __future__ import annotations

import os
import stat
from bisect import bisect_right
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from bulkops.errors import JobError, Problem
from bulkops.jobfile.problems import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulkops.jobfile.sources import Listing

BLOCK = 256 * 2**10
LONGEST_LINE = 8 * 2**20
_FIRST_LOOK = 4 * 2**10
_CARRIAGE_RETURN = 13


_made = tuple.__new__


class RawLine(NamedTuple):
    """One line: its number from 1, where it starts in the file, its bytes without the line's end."""

    # A named tuple, since a frozen dataclass takes twice as long to make, a million times.
    number: int
    offset: int
    raw: bytes


class Unread(NamedTuple):
    """An `$each` whose rows are not known yet: its line in the job, the listing that has them, what is asked of them.

    That is `asked` by the place where it stands.
    """

    line: int
    listing: Listing
    asked: tuple[tuple[str, str], ...]


class Origins:
    """Where the lines of a file come from in which each `$each` was written out."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._from: list[tuple[int, str]] = []
        self._marks: dict[int, bytes] = {}
        self.unread: list[Unread] = []
        self.rowless = False
        """Whether there is a source without rows."""
        self.listings = False
        """Whether there is a source that the API lists: that it has no rows is no mistake."""

    def add(self, number: int, line: int, source: str = "") -> None:
        """Hear that from this number on there are lines of the job from this line on, or the rows of a source there."""
        self._starts.append(number)
        self._from.append((line, source))

    @property
    def sources(self) -> list[str]:
        """What there are rows of, by name."""
        return [source for _, source in self._from if source]

    def mark(self, rows: bytes) -> None:
        """Hear by what the rows that were added last are known: it changes with any of them."""
        self._marks[len(self._starts) - 1] = rows

    def marked(self, number: int) -> bytes | None:
        """Return that of the rows that a line belongs to; None for a line that was made of no row."""
        return self._marks.get(bisect_right(self._starts, number) - 1)

    def of(self, number: int) -> tuple[int, str]:
        """Return the number of the line in the job, and of which row of what it was made, in words."""
        place = bisect_right(self._starts, number) - 1
        line, source = self._from[place]
        after = number - self._starts[place]
        return (line, f"row {after + 1} of {source}") if source else (line + after, "")


class JobFile:
    """An open job file. It keeps no position, so threads may share it, and reading can start at any line.

    `origins` tells of a file in which `$each` has been written out where its lines came from in the one at `path`.
    """

    def __init__(self, path: Path, descriptor: int, origins: Origins | None = None) -> None:
        self.path = path
        self.name = shown(str(path), 1000)
        self._descriptor = descriptor
        self._origins = origins
        self._first_seen = self._mark()

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open a job file; JobError says why it cannot be one."""
        name = os.fspath(path)
        try:
            # Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            raise _refusal(name, _why(error)) from None
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            return cls(Path(name), descriptor)
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise _refusal(name, "is a directory; name the job file in it")
        raise _refusal(name, "is no regular file; a job is read more than once, so save it to a file first")

    @property
    def folder(self) -> Path:
        """Where the relative paths of the job start, as an absolute path."""
        return Path(os.path.abspath(self.path.parent))

    @property
    def size(self) -> int:
        """How many bytes it had when it was opened."""
        return self._first_seen[0]

    @property
    def unchanged(self) -> bool:
        """Whether the file has been left alone since it was opened, as far as its size and time of change tell."""
        try:
            return self._mark() == self._first_seen
        except OSError:
            return False

    def _mark(self) -> tuple[int, int]:
        status = os.fstat(self._descriptor)
        return status.st_size, status.st_mtime_ns

    def problem(self, number: int | None, field: str | None, message: str) -> Problem:
        """Return what is wrong with a line, at the place where the user wrote it."""
        if number is None or self._origins is None:
            return Problem(self.name, number, field, message)
        line, row = self._origins.of(number)
        if not row:
            return Problem(self.name, line, field, message)
        return Problem(self.name, line, "line" if field is None else f"line.{field}", f"{message} ({row})")

    @property
    def sources(self) -> list[str]:
        """The names of what its rows come from."""
        return [] if self._origins is None else self._origins.sources

    @property
    def unread(self) -> list[Unread]:
        """The lines of the job whose rows are not known yet."""
        return [] if self._origins is None else self._origins.unread

    @property
    def may_be_empty(self) -> bool:
        """Whether it is no mistake that there are no lines."""
        return self._origins is not None and self._origins.listings

    @property
    def rowless(self) -> bool:
        """Whether something that lines might say is missing as a source has no rows."""
        return self._origins is not None and self._origins.rowless

    def rows_of(self, number: int) -> bytes | None:
        """Return by what the rows are known, all together, of which a line was made one; None for any other line."""
        return None if self._origins is None else self._origins.marked(number)

    def template_of(self, number: int) -> int | None:
        """Return the number of the `$each` in the job that made a line of a row; None for any other line."""
        line, row = (number, "") if self._origins is None else self._origins.of(number)
        return line if row else None

    def place(self, number: int) -> str:
        """Return the words for where a line stands."""
        line, row = (number, "") if self._origins is None else self._origins.of(number)
        return f"line {line}, {row}" if row else f"line {line}"

    def fileno(self) -> int:
        """Return the file's descriptor."""
        return self._descriptor

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def lines(self, start: int = 0, number: int = 1, *, block: int = BLOCK) -> Iterator[RawLine]:
        """Yield the lines that are not blank, from the line with this number, which starts at this offset."""
        return chain.from_iterable(self.batches(start, number, block=block))

    def batches(self, start: int = 0, number: int = 1, *, block: int = BLOCK) -> Iterator[list[RawLine]]:
        """Yield the same lines in lists, one for each block that was read."""
        position = start
        carry = b""
        while data := self._read(block, position):
            position += len(data)
            pieces = data.split(b"\n")
            pieces[0] = carry + pieces[0]
            self.check_length(pieces[0], number)
            carry = pieces.pop()
            batch: list[RawLine] = []
            for piece in pieces:
                if piece and not piece.isspace():
                    raw = piece[:-1] if piece[-1] == _CARRIAGE_RETURN else piece
                    # Not `RawLine(…)`, which is a function in Python around this one.
                    batch.append(_made(RawLine, (number, start, raw)))
                number += 1
                start += len(piece) + 1
            if batch:
                yield batch
        if carry and not carry.isspace():
            yield [RawLine(number, start, carry.removesuffix(b"\r"))]

    def blocks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the file's bytes from one offset to another, or to its end, as they stand there now."""
        while data := self._read(BLOCK if end is None else min(BLOCK, end - start), start):
            yield data
            start += len(data)

    def line_at(self, offset: int, number: int) -> RawLine:
        """Return the line that starts at this offset, as it stands there now."""
        found = b""
        size = _FIRST_LOOK
        while data := self._read(size, offset + len(found)):
            end = data.find(b"\n")
            found += data if end < 0 else data[:end]
            self.check_length(found, number)
            if end >= 0:
                break
            size = BLOCK
        return RawLine(number, offset, found.removesuffix(b"\r"))

    def after(self, line: RawLine) -> int:
        """Return the offset at which the next line starts."""
        end = line.offset + len(line.raw)
        return end + 1 + (self._read(1, end) == b"\r")

    def check_length(self, line: bytes, number: int) -> None:
        """Raise JobError for a line that is too long to be read."""
        if len(line) > LONGEST_LINE:
            limit = LONGEST_LINE // 2**20
            raise JobError(
                [Problem(self.name, number, None, f"the line is longer than {limit} MiB; split it up")]
            )

    def _read(self, size: int, position: int) -> bytes:
        try:
            return os.pread(self._descriptor, size, position)
        except OSError as error:
            raise _refusal(os.fspath(self.path), _why(error)) from None


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file; check the path"
    if isinstance(error, PermissionError):
        return "you are not allowed to read it; change its permissions (chmod u+r) or run as its owner"
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"it cannot be read ({reason}); check the path and the disk"


def _refusal(name: str, message: str) -> JobError:
    return JobError([Problem(shown(name, 1000), None, None, message)])
