"""Which lines of an undo wait for which: what was used is deleted only after what used it."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from bulkops.jobfile.marks import TAG_MARK, is_tag
from bulkops.writing.undoing import Left

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

    from bulkops.model import Json

_STAYS = "what uses it is left as it is"


class Uses:
    """Remembers, in a scratch database, by what lines of a run were referred to, and what became of those who did.

    The lines of an undo are told in their order. One whose operations referred to a line, or to all with a tag, gets
    a tag that says so; a later one, of what such a line made, waits for that tag. So there are as many names as the
    run's own job has, and no two lines wait for each other.
    """

    def __init__(self, scratch: sqlite3.Connection) -> None:
        self._scratch = scratch
        self.any = False
        """Whether anything is used: otherwise nothing is remembered."""
        scratch.execute(
            "CREATE TABLE used (tag TEXT PRIMARY KEY, line INTEGER, stays INTEGER, closed INTEGER) WITHOUT ROWID"
        )

    def stays(self, by: Iterable[Mapping[str, Json]], more: Iterable[str] = ()) -> None:
        """Hear that what operations with these records did is left as it is; `more` are further tags of theirs."""
        for tag in {tag for record in by for tag in _referred(record)}.union(more):
            self._note(tag, "stays")

    def placed(
        self, line: dict[str, Json], by: Iterable[Mapping[str, Json]], more: Iterable[str] = ()
    ) -> dict[str, Json] | Left:
        """Return the next line with its tags and what it needs; Left when what used the thing is left as it is."""
        if not self.any:
            return line
        records = list(by)
        own = {tag for record in records if record["created"] for tag in _names(record)}
        known = {tag: self._known(tag) for tag in sorted(own)}
        if any(stays for _, stays, _ in known.values()):
            return Left(_STAYS)
        needs = [TAG_MARK + tag for tag, (waited, _, _) in known.items() if waited]
        referred = {tag for record in records for tag in _referred(record)}.union(more) - own
        tags = [tag for tag in sorted(referred) if not self._known(tag)[2]]
        for tag in tags:
            self._note(tag, "line")
        for tag in own:
            self._note(tag, "closed")
        return {**line, **({"needs": needs} if needs else {}), **({"tags": tags} if tags else {})}

    def last(self, line: dict[str, Json], tag: str) -> dict[str, Json] | Left:
        """Return a line that is waited for by none, and waits for those with a tag; otherwise as `placed`."""
        waited, stays, _ = self._known(tag)
        if stays:
            return Left(_STAYS)
        return {**line, "needs": [TAG_MARK + tag]} if waited else line

    def _known(self, tag: str) -> tuple[int, int, int]:
        found = self._scratch.execute("SELECT line, stays, closed FROM used WHERE tag = ?", (tag,)).fetchone()
        return found or (0, 0, 0)

    def _note(self, tag: str, column: str) -> None:
        self._scratch.execute("INSERT OR IGNORE INTO used VALUES (?, 0, 0, 0)", (tag,))
        self._scratch.execute(f"UPDATE used SET {column} = 1 WHERE tag = ? AND NOT {column}", (tag,))  # noqa: S608 - our own words


def tag_of(word: str) -> str:
    """Return the tag of the lines that use what is called so: an id, `ID[N]`, or `@TAG`."""
    tag = f"uses:{word.replace('[', '(').replace(']', ')')}"
    return tag if is_tag(tag) else f"uses:{blake2b(word.encode(), digest_size=16).hexdigest()}"


def _referred(record: Mapping[str, Json]) -> Iterator[str]:
    return map(tag_of, record.get("refers_to") or ())


def _names(record: Mapping[str, Json]) -> Iterator[str]:
    """Yield the tags of those who may have referred to what an operation made."""
    if record["id"] is not None:
        yield tag_of(record["id"])
        if "copy" in record:
            yield tag_of(record["id"].rpartition("[")[0])
    for tag in record.get("tags") or ():
        yield tag_of(TAG_MARK + tag)
