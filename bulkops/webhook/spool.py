"""The spool: delivered events as JSON lines, in files that only grow and that readers may read meanwhile.

    SPOOL/post_call/day=2025-11-03/NAME.jsonl    transcripts of conversations that have ended
    SPOOL/other/day=2025-11-03/NAME.jsonl        events of every other type

The day is that of the receipt (UTC). A line is `{"received_at": …, "sha256": …, "event": …}`: when the event came
(RFC 3339), the digest of its raw body, and the body as it came. A file is written by one process and never shortened
or rewritten, so a place in it stays good. The end of a file without a newline was never acknowledged: it is being
written, or was when its writer was killed. A delivery may stand twice: its digest tells.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from bulkops.errors import UsageError
from bulkops.moments import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POST_CALL = "post_call"
OTHER = "other"
KINDS = (POST_CALL, OTHER)
SUFFIX = ".jsonl"
_DAY = re.compile(r"day=(\d{4}-\d\d-\d\d)", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BEGIN = re.compile(rb'\{"received_at":"([^"]{20,40})","sha256":"([0-9a-f]{64})","event":', re.ASCII)
_LINE_BREAKS = bytes.maketrans(b"\r\n", b"  ")


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """One file of a spool: what kind of events it has, and the day on which they came."""

    path: Path
    kind: str
    day: str


@dataclass(frozen=True, slots=True)
class Line:
    """One event of a file, where its line begins, and how long that is with its newline.

    `received_at` is in epoch seconds, `sha256` the digest of the body as it was delivered.
    """

    offset: int
    length: int
    received_at: float
    sha256: str
    event: dict[str, Any]


class SpoolDamage(UsageError):
    """A line of a spool that holds no event: bulkops has not written it so."""

    def __init__(self, file: Path, offset: int, length: int) -> None:
        super().__init__(
            f"{file}: the line at byte {offset:,} ({length:,} bytes) holds no event; somebody has changed the file, "
            "or the disk has"
        )
        self.file = file
        self.offset = offset
        self.length = length


def day_of(moment: float) -> str:
    """Return the day of a moment (epoch seconds) in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


def folder_of(spool: Path, kind: str, day: str) -> Path:
    """Return where the events of a kind and a day are."""
    return spool / kind / f"day={day}"


def line_of(received_at: float, sha256: str, body: bytes) -> bytes:
    """Return the line of an event whose body, a JSON text, is kept as it is."""
    at = datetime.fromtimestamp(received_at, UTC).isoformat(timespec="microseconds")
    # In a JSON text, these bytes are only between the values.
    event = orjson.Fragment(body.translate(_LINE_BREAKS).strip())
    line = {"received_at": f"{at.removesuffix('+00:00')}Z", "sha256": sha256, "event": event}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def parts_of(line: bytes) -> tuple[float, str, bytes] | None:
    """Return what `line_of` was given for a line that it has made; None for any other."""
    match = _BEGIN.match(line)
    at = match and moment(match[1].decode())
    return None if match is None or at is None else (at, match[2].decode(), line[match.end() : -2])


def digest_of(line: bytes) -> str | None:
    """Return the digest of a line that `line_of` has made, without looking at the event; None for any other."""
    match = _BEGIN.match(line)
    return match and match[2].decode()


def files(spool: Path, kind: str | None = None) -> list[SpoolFile]:
    """Return the files of a spool, or those of one kind: by day, and within it by when they were begun.

    UsageError where there is no spool.
    """
    if not spool.is_dir():
        raise UsageError(f"there is no spool at {spool}; `bulkops listen --spool {spool}` makes one")
    found = [file for each in ([kind] if kind else KINDS) for file in _files(spool, each)]
    return sorted(found, key=lambda file: (file.day, file.path.name, file.kind))


def _files(spool: Path, kind: str) -> Iterator[SpoolFile]:
    for day in _entries(spool / kind):
        match = _DAY.fullmatch(day.name)
        if match is None or not day.is_dir(follow_symlinks=False):
            continue
        for entry in _entries(Path(day.path)):
            if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False):
                yield SpoolFile(Path(entry.path), kind, match[1])


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def read(
    file: Path, offset: int = 0, *, problem: Callable[[SpoolDamage], None] | None = None
) -> Iterator[Line]:
    """Yield the events of a file from a place on, which is 0 or the end of a line that was read before.

    At most one line is in memory. A line that holds no event is told to `problem`, and reading goes on after it;
    without a `problem` it is raised.
    """
    for begin, raw in _whole_lines(file, offset):
        line = _line(begin, raw)
        if line is not None:
            yield line
        elif problem is None:
            raise SpoolDamage(file, begin, len(raw))
        else:
            problem(SpoolDamage(file, begin, len(raw)))


def _whole_lines(file: Path, offset: int) -> Iterator[tuple[int, bytes]]:
    with file.open("rb") as content:
        content.seek(offset)
        for raw in content:
            if not raw.endswith(b"\n"):
                return
            yield offset, raw
            offset += len(raw)


def _line(offset: int, raw: bytes) -> Line | None:
    try:
        row = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(row, dict):
        return None
    at, sha256, event = moment(row.get("received_at")), row.get("sha256"), row.get("event")
    if (
        at is None
        or not isinstance(sha256, str)
        or not _SHA256.fullmatch(sha256)
        or not isinstance(event, dict)
    ):
        return None
    return Line(offset, len(raw), at, sha256, event)
