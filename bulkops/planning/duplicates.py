"""What stands in a job several times, and perhaps should not: equal lines, equal names, equal files."""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulkops.jobfile import Line


class Duplicates:
    """Counts what comes again: 8 bytes for a line, 8 for each that makes something with a name or sends a file.

    What is remembered are hashes: two things that are different are taken for equal once in some billions of pairs.
    """

    def __init__(self) -> None:
        self._lines, self._named, self._files = _buckets(), _buckets(), _buckets()
        self._copied = 0
        self._counts: dict[str, int] | None = None

    def add(self, line: Line, files: Sequence[str]) -> None:
        """Look at a line that is to be done; `files` are those of its fields that name files."""
        # Of a million lines each microsecond is a second, so no helper puts the hashes where they belong.
        raw, line_id = line.raw, line.id
        if line_id is not None:
            raw = raw.replace(f'"{line_id}"'.encode(), b"", 1)
        mark = hash(raw)
        self._lines[mark & 255].append(mark)
        for field in files:
            mark = hash(line.fields[field])
            self._files[mark & 255].append(mark)
        if line.kind.makes == "agent":
            fields = line.fields
            body = fields.get("body")
            name = body.get("name") if isinstance(body, dict) else fields.get("name")
            if isinstance(name, str):
                mark = hash(name)
                self._named[mark & 255].append(mark)
            if line.count > 1 and (name is None or isinstance(name, str)):
                # Copies whose name does not tell their number have one name.
                self._copied += 1

    def counts(self) -> dict[str, int]:
        """Return how many lines, names of agents to be made, and files stand there more than once."""
        if self._counts is None:
            self._counts = {
                "lines": _repeated(self._lines),
                "names": _repeated(self._named) + self._copied,
                "files": _repeated(self._files),
            }
        return self._counts


def _buckets() -> list[array[int]]:
    """Return room for hashes, by their last byte: what sorting takes is then small."""
    return [array("q") for _ in range(256)]


def _repeated(buckets: list[array[int]]) -> int:
    return sum(
        len({mark for mark, following in pairwise(sorted(bucket)) if mark == following}) for bucket in buckets
    )
