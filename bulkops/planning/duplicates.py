"""What stands in a job several times, and perhaps should not: equal lines, equal names, equal files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.checkpoint import KeyIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulkops.jobfile import Line

_64_BITS = 2**64 - 1


class Duplicates:
    """Counts what comes again: 8 bytes for a line, 8 for each that makes something with a name or sends a file.

    Two that are different can be taken for equal, once in some billions of pairs.
    """

    def __init__(self) -> None:
        self._lines = KeyIndex()
        self._named = KeyIndex()
        self._files = KeyIndex()
        self._copied = 0

    def add(self, line: Line, files: Sequence[str]) -> None:
        """Look at a line that is to be done; `files` are those of its fields that name files."""
        raw = line.raw
        if line.id is not None:
            raw = raw.replace(b'"%b"' % line.id.encode(), b"", 1)
        self._lines.put(hash(raw) & _64_BITS)
        for field in files:
            self._files.put(hash(line.fields[field]) & _64_BITS)
        if line.kind.makes == "agent":
            fields = line.fields
            body = fields.get("body")
            name = body.get("name") if isinstance(body, dict) else fields.get("name")
            if isinstance(name, str):
                self._named.put(hash(name) & _64_BITS)
            # Copies whose name does not tell their number have one name.
            self._copied += line.count > 1 and (name is None or isinstance(name, str))

    def counts(self) -> dict[str, int]:
        """Return how many lines, names of agents to be made, and files stand there more than once."""
        found = {}
        for word, index in (("lines", self._lines), ("names", self._named), ("files", self._files)):
            index.freeze()
            found[word] = len(index.duplicates())
        found["names"] += self._copied
        return found
