"""The manifest of a partition: which conversations it has, in which part and file, and a digest of each.

JSON lines: one for each row, and at the end one that sums up. Without that line it is not whole.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import orjson

from bulkops.errors import CheckpointError
from bulkops.model import value
from bulkops.outputs.atomic import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

NAME: Final = "_manifest.jsonl"
"""Readers of partitioned data sets pass over names with `_` in front."""
_LONGEST_SUMMARY: Final = 2**22


@value
class Entry:
    """One row: the conversation, which version of it, the part that has the row, and the file with the whole of it.

    `source` is where its content came from: `webhook`, `api` or `run`. `file` is relative to the folder of the exports.
    """

    conversation_id: str
    version: int
    part: str
    source: str
    file: str
    bytes: int
    sha256: str
    content: str
    """What tells the version from others, in hex."""
    created: float | None = None
    """When the conversation began, in epoch seconds."""
    text: str | None = None
    """The digest of the file with the transcript as text, where there is one."""
    seen: Sequence[str] = ()
    """Who has named the conversation by then: `webhook`, `listing`, `named` (a file or a run)."""


@value
class Part:
    """One file of rows."""

    name: str
    rows: int
    bytes: int
    sha256: str


@value
class Summary:
    """What a partition comes to."""

    day: str
    parts: tuple[Part, ...]
    rows: int
    sources: dict[str, int]


def read_summary(path: Path) -> Summary | None:
    """Return the last line; None where there is no manifest. CheckpointError for one that is not whole."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LONGEST_SUMMARY))
        last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
    try:
        told: dict[str, Any] = orjson.loads(last)
        parts = tuple(Part(**part) for part in told["parts"])
        return Summary(told["day"], parts, told["rows"], told["sources"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise CheckpointError(f"{path} is damaged: its last line does not sum it up; {_REMEDY}") from None


_REMEDY: Final = "put back a copy of it"


def entries(path: Path) -> Iterator[Entry]:
    """Yield the entries of a manifest. CheckpointError for one that is damaged."""
    with path.open("rb") as file:
        before = None
        for number, line in enumerate(file, 1):
            if before is not None:
                yield _entry(before, path, number - 1)
            before = line


def _entry(line: bytes, path: Path, number: int) -> Entry:
    try:
        return Entry(**orjson.loads(line))
    except (orjson.JSONDecodeError, TypeError):
        raise CheckpointError(f"{path}, line {number}: this is no entry of a manifest; {_REMEDY}") from None


class Extended:
    """A manifest that is being extended by one part."""

    def __init__(self, file: BinaryIO, before: Summary | None, day: str) -> None:
        self._file = file
        self._before = before or Summary(day, (), 0, {})
        self._rows = 0
        self._sources = dict(self._before.sources)

    def add(self, entry: Entry) -> None:
        """Add the entry of a row of the new part."""
        self._file.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        self._rows += 1
        self._sources[entry.source] = self._sources.get(entry.source, 0) + 1

    def end(self, part: Part) -> None:
        """Sum it up, with the new part."""
        before = self._before
        told = Summary(before.day, (*before.parts, part), before.rows + self._rows, self._sources)
        self._file.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))


@contextmanager
def extended(path: Path, day: str) -> Iterator[Extended]:
    """Give a manifest to extend; what it was before stands until the block ends well."""
    before = read_summary(path)
    with atomic_write(path) as file:
        if before is not None:
            with path.open("rb") as old:
                last = None
                for line in old:
                    if last is not None:
                        file.write(last)
                    last = line
        yield Extended(file, before, day)
