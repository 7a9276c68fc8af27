"""What is known of each conversation: where it was seen, whether it is exported, and what waits to be written."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from enum import IntEnum, IntFlag
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from bulkops.errors import CheckpointError, UsageError
from bulkops.moments import END

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from bulkops.exporting.window import Window

APPLICATION: Final = 0x626B6F78
"""`bkox`: marks a database as a catalogue of ours."""
FORMAT: Final = 1
STATE: Final = ".bulkops"
"""The folder, within that of the exports, with what exports remember of each other;"""
CATALOGUE: Final = "catalogue.db"
"""and the name of this file there."""
NO_DAY: Final = "unknown"
_SCHEMA: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE conversation (
        id TEXT PRIMARY KEY, created REAL, day TEXT NOT NULL, seen INTEGER NOT NULL, first_seen REAL NOT NULL,
        state INTEGER NOT NULL, reason TEXT, gone INTEGER, version INTEGER NOT NULL DEFAULT 0,
        named INTEGER NOT NULL DEFAULT 0, tried INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID""",
    # What is not exported is asked for each time, and is little.
    "CREATE INDEX conversation_open ON conversation (state, first_seen) WHERE state <> 1",
    "CREATE TABLE version (id TEXT, number INTEGER, content BLOB, PRIMARY KEY (id, number)) WITHOUT ROWID",
    "CREATE INDEX conversation_named ON conversation (named) WHERE named > 0",
    """CREATE TABLE staged (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL, created REAL, day TEXT NOT NULL, source TEXT NOT NULL,
        path TEXT NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL)""",
    "CREATE INDEX staged_by_day ON staged (day, number)",
    "CREATE INDEX staged_by_id ON staged (id)",
    "CREATE TABLE spool (path TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE partition (day TEXT PRIMARY KEY, parts INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE watermark (name TEXT PRIMARY KEY, stands REAL NOT NULL) WITHOUT ROWID",
    "CREATE TABLE extra (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
)


class Seen(IntFlag):
    """Where a conversation was seen."""

    WEBHOOK = 1
    LISTING = 2
    NAMED = 4
    """In a file of ids or an earlier run."""

    @property
    def words(self) -> tuple[str, ...]:
        """Return the names of the columns of `Day` that count it."""
        return tuple(str(each.name).lower() for each in type(self) if each in self)


def seen_as(words: Iterable[str]) -> Seen:
    """Return what has those `words`; others are passed over."""
    return Seen(sum(each for each in Seen if str(each.name).lower() in set(words)))


class State(IntEnum):
    """What has become of a conversation."""

    OPEN = 0
    """Seen, and not asked for yet."""
    EXPORTED = 1
    PENDING = 2
    """It was not over when it was asked for."""
    MISSING = 3
    """It was asked for in vain."""
    GIVEN_UP = 4
    """The API does not have it, and the user said to leave it at that."""


class Sight(NamedTuple):
    """A conversation that was seen somewhere; `created` in epoch seconds, None where that is not known."""

    id: str
    seen: Seen
    created: float | None = None


class Staged(NamedTuple):
    """A conversation whose content is on disk, in bytes of a file, and waits to be written into the data set.

    `source` is `webhook`, `api` or `run`.
    """

    id: str
    created: float | None
    source: str
    path: str
    offset: int
    length: int


class Version(NamedTuple):
    """A version of a conversation: its number, what tells it from others, and when the conversation began."""

    id: str
    number: int
    content: bytes
    created: float | None


class Day(NamedTuple):
    """The conversations of one day (of those wanted), counted by where they were seen and by what became of them."""

    day: str
    seen: int
    webhook: int
    listing: int
    named: int
    exported: int
    pending: int
    missing: int
    given_up: int


class Left(NamedTuple):
    """A conversation that is not exported."""

    id: str
    created: float | None
    state: State
    reason: str | None


def day_of(created: float | None) -> str:
    """Return the day (UTC) of a moment; `unknown` without one."""
    if created is None or not 0 <= created < END:
        return NO_DAY
    return datetime.fromtimestamp(created, UTC).date().isoformat()


class Catalogue:
    """A SQLite file; a context manager. What the disk refuses ends as CheckpointError.

    It can be thrown away: the manifests tell what is exported, and the sources what there is.
    What SQLite refuses inside its `with` ends as CheckpointError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _translated(path):
            new = not path.exists()
            if new:
                os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA cache_size=-2048")
            if not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                with self.together():
                    for statement in _SCHEMA:
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA application_id={APPLICATION}")
                    self._db.execute(f"PRAGMA user_version={FORMAT}")
            if self._db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
                raise UsageError(f"{path} is no catalogue of exports; name another folder with --out")
            if self._db.execute("PRAGMA user_version").fetchone()[0] > FORMAT:
                raise UsageError(f"{path} was written by a newer bulkops; update bulkops")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; what the disk, or SQLite, refused in the block is told as such."""
        with _translated(self._path):
            self._db.close()
            if isinstance(error, sqlite3.Error):
                raise error

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make what is changed in the block durable as a whole when it ends well, and not at all otherwise."""
        with _translated(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def rest(self) -> None:
        """Give back the memory for pages: it will not be asked for a while."""
        self._db.execute("PRAGMA shrink_memory")

    def meta(self, name: str) -> str | None:
        """Return a word about all exports."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, name: str, value: str) -> None:
        """Remember a word about all exports."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    # What there is

    def see(self, sights: Iterable[Sight], now: float, export: int = 0, again: float = -inf) -> None:
        """Note that conversations were seen; with the number of an export, that they are named in it.

        Of what is exported that is noted only where it is young enough to be looked at `again`.
        """
        self._db.executemany(
            f"""INSERT INTO conversation (id, created, day, seen, first_seen, state, named) VALUES (?, ?, ?, ?, ?, 0, ?)
            ON CONFLICT (id) DO UPDATE SET seen = seen | excluded.seen, named = max(named, excluded.named),
                day = iif(created IS NULL AND version = 0, excluded.day, day),
                created = coalesce(created, excluded.created)
            WHERE seen <> seen | excluded.seen OR created IS NULL AND excluded.created IS NOT NULL
                OR named < excluded.named AND state = 1 AND created >= {max(again, -1e300)!r}""",
            ((s.id, s.created, day_of(s.created), s.seen, now, export) for s in sights),
        )

    def stage(self, found: Iterable[Staged]) -> None:
        """Note what waits to be written; each has to be seen already."""
        # The day of what is in the data set stays, whatever another source says of its age.
        self._db.executemany(
            """INSERT INTO staged (id, created, day, source, path, offset, length)
            SELECT :id, coalesce(created, :created), iif(version > 0 OR created IS NOT NULL, day, :day), :source, :path,
                :offset, :length FROM conversation WHERE id = :id""",
            ({**s._asdict(), "day": day_of(s.created)} for s in found),
        )

    def offset(self, path: str) -> int:
        """Return how far a file of a spool was read."""
        row = self._db.execute("SELECT offset FROM spool WHERE path = ?", (path,)).fetchone()
        return 0 if row is None else int(row[0])

    def read_to(self, path: str, offset: int) -> None:
        """Note how far a file of a spool was read."""
        self._db.execute("INSERT OR REPLACE INTO spool VALUES (?, ?)", (path, offset))

    # What is to be done

    def take(self, window: Window, export: int, most: int) -> int:
        """Choose what the API is to be asked for, what was pending first; note that it is tried, return how many.

        Those are the wanted that are not exported and not on disk already, and of the exported the ones named in this
        export that are young enough to be looked at again. Each comes once in an export. `taken` yields them.
        """
        # In a table: as objects, so many ids are more than all else that an export has in memory.
        self._db.execute("CREATE TEMP TABLE IF NOT EXISTS taken (id TEXT)")
        self._db.execute("DELETE FROM taken")
        found = self._db.execute(
            f"""INSERT INTO taken SELECT id FROM conversation AS c WHERE {_OPEN} AND tried < :export AND {_WANTED}
                AND NOT EXISTS (SELECT 1 FROM staged WHERE staged.id = c.id)
            ORDER BY CASE state WHEN 2 THEN 0 WHEN 0 THEN 1 ELSE 2 END, first_seen, id LIMIT :most""",
            {**_bounds(window), "export": export, "most": most},
        ).rowcount
        if found < most:
            found += self._db.execute(
                """INSERT INTO taken SELECT id FROM conversation WHERE named = :export AND named > 0 AND state = 1
                AND tried < :export AND created >= :again AND created < :until ORDER BY created, id LIMIT :most""",
                {**_bounds(window), "export": export, "most": most - found},
            ).rowcount
        self._db.execute("UPDATE conversation SET tried = ? WHERE id IN (SELECT id FROM taken)", (export,))
        return found

    def taken(self) -> Iterator[str]:
        """Yield what was taken last, in order."""
        for (entity,) in self._db.execute("SELECT id FROM taken ORDER BY rowid"):
            yield entity

    def left_to_take(self, window: Window, export: int) -> int:
        """Return how many conversations `take` would return in all."""
        bounds = {**_bounds(window), "export": export}
        row = self._db.execute(
            f"""SELECT (SELECT count(*) FROM conversation AS c WHERE {_OPEN} AND tried < :export
                AND {_WANTED} AND NOT EXISTS (SELECT 1 FROM staged WHERE staged.id = c.id))
            + (SELECT count(*) FROM conversation WHERE named = :export AND named > 0 AND state = 1 AND tried < :export
                AND created >= :again AND created < :until)""",
            bounds,
        ).fetchone()
        return int(row[0])

    def staged_days(self) -> list[str]:
        """Return the days of which something waits to be written, in order."""
        return [day for (day,) in self._db.execute("SELECT DISTINCT day FROM staged ORDER BY day")]

    def staged(self, day: str, window: Window) -> Iterator[list[tuple[int, Staged]]]:
        """Yield what of a day waits to be written and is wanted, in order of arrival, some at a time.

        Each with its number; rows may be changed meanwhile.
        """
        last = 0
        while rows := self._db.execute(
            f"""SELECT s.number, s.id, s.created, s.source, s.path, s.offset, s.length
            FROM staged AS s WHERE s.day = :day AND s.number > :last AND {_WANTED.replace("created", "s.created")}
            ORDER BY s.number LIMIT 1000""",
            {**_bounds(window), "day": day, "last": last},
        ).fetchall():
            yield [(number, Staged(*fields)) for number, *fields in rows]
            last = rows[-1][0]

    def versions(self, ids: Collection[str]) -> dict[str, list[bytes]]:
        """Return which of these conversations are in the data set: the contents of their versions, in order."""
        marks = ", ".join("?" * len(ids))
        found: dict[str, list[bytes]] = {}
        rows = self._db.execute(
            f"SELECT id, content FROM version WHERE id IN ({marks}) ORDER BY id, number", tuple(ids)
        )
        for entity, content in rows:
            found.setdefault(entity, []).append(content)
        return found

    def seen(self, ids: Collection[str]) -> dict[str, Seen]:
        """Return where each of these conversations was seen."""
        marks = ", ".join("?" * len(ids))
        rows = self._db.execute(f"SELECT id, seen FROM conversation WHERE id IN ({marks})", tuple(ids))
        return {entity: Seen(seen) for entity, seen in rows}

    def exported(self, day: str, found: Sequence[Version]) -> None:
        """Note that versions of conversations are in the data set."""
        self._db.executemany(
            "INSERT OR REPLACE INTO version VALUES (?, ?, ?)", ((v.id, v.number, v.content) for v in found)
        )
        self._db.executemany(
            """INSERT INTO conversation (id, created, day, seen, first_seen, state, version)
            VALUES (?, ?, ?, 0, 0, 1, ?)
            ON CONFLICT (id) DO UPDATE SET state = 1, reason = NULL, gone = NULL, day = excluded.day,
                version = max(version, excluded.version), created = coalesce(created, excluded.created)""",
            ((v.id, v.created, day, v.number) for v in found),
        )

    def unstage(self, numbers: Iterable[int]) -> None:
        """Forget what waited to be written."""
        self._db.executemany("DELETE FROM staged WHERE number = ?", ((number,) for number in numbers))

    def parts(self, day: str) -> int:
        """Return how many parts a day has."""
        row = self._db.execute("SELECT parts FROM partition WHERE day = ?", (day,)).fetchone()
        return 0 if row is None else int(row[0])

    def set_parts(self, day: str, parts: int) -> None:
        """Note how many parts a day has."""
        self._db.execute("INSERT OR REPLACE INTO partition VALUES (?, ?)", (day, parts))

    def days(self) -> list[str]:
        """Return the days that have parts, in order."""
        return [day for (day,) in self._db.execute("SELECT day FROM partition ORDER BY day")]

    def not_exported(
        self, id: str, state: State, reason: str, created: float | None = None, *, gone: bool = False
    ) -> None:
        """Note what became of a conversation that was asked for in vain; one that is exported stays so.

        `gone`: the API does not have it, which is not the same as that it could not be had.
        """
        self._db.execute(
            """UPDATE conversation SET state = :state, reason = :reason, gone = :gone,
                created = coalesce(created, :created), day = iif(created IS NULL, :day, day)
            WHERE id = :id AND state <> 1""",
            {
                "id": id, "state": state, "reason": reason, "gone": gone, "created": created,
                "day": day_of(created),
            },
        )  # fmt: skip

    def give_up(self, window: Window) -> int:
        """Leave what is wanted, and what the API does not have, at that; return how many those are."""
        return self._db.execute(
            f"UPDATE conversation SET state = 4 WHERE state = 3 AND state <> 1 AND gone AND {_WANTED}",
            _bounds(window),
        ).rowcount

    # What it comes to

    def by_day(self, window: Window) -> Iterator[Day]:
        """Yield the days of what is wanted, in order, `unknown` last."""
        rows = self._db.execute(
            f"""SELECT day, count(*), total(seen & 1 > 0), total(seen & 2 > 0), total(seen & 4 > 0), total(state = 1),
                total(state = 2), total(state IN (0, 3)), total(state = 4)
            FROM conversation WHERE {_WANTED} GROUP BY day ORDER BY day""",
            _bounds(window),
        )
        for day, *counts in rows:
            yield Day(day, *map(int, counts))

    def left(self, window: Window, *states: State) -> Iterator[Left]:
        """Yield the wanted conversations in some states, by age."""
        marks = ", ".join(str(int(state)) for state in states)
        rows = self._db.execute(
            f"""SELECT id, created, state, reason FROM conversation
            WHERE state IN ({marks}) AND state <> 1 AND {_WANTED} ORDER BY created, id""",
            _bounds(window),
        )
        for entity, created, state, reason in rows:
            yield Left(entity, created, State(state), reason)

    def watermark(self, name: str) -> float | None:
        """Return where a watermark stands, in epoch seconds; None for one that is new."""
        row = self._db.execute("SELECT stands FROM watermark WHERE name = ?", (name,)).fetchone()
        return None if row is None else float(row[0])

    def move(self, name: str, to: float) -> float | None:
        """Move a watermark as far as nothing older is left, at most to a moment; return where it stands.

        It never moves back. None where it cannot be set yet, since the age of something that is left is not known.
        """
        stands = self.watermark(name)
        unknown, oldest = self._db.execute(
            f"SELECT total(created IS NULL), min(created) FROM conversation WHERE {_OPEN}"
        ).fetchone()
        if unknown:
            return stands
        reached = to if oldest is None else min(to, oldest)
        if stands is None or reached > stands:
            stands = reached
            self._db.execute("INSERT OR REPLACE INTO watermark VALUES (?, ?)", (name, reached))
        return stands

    def extras(self) -> list[str]:
        """Return the names of the columns beside the usual ones."""
        return [name for (name,) in self._db.execute("SELECT name FROM extra ORDER BY number")]

    def add_extra(self, name: str) -> None:
        """Note another column."""
        self._db.execute("INSERT OR IGNORE INTO extra (name) VALUES (?)", (name,))


_OPEN: Final = "state IN (0, 2, 3) AND state <> 1"
"""What is not exported and not given up; the second half is for the index, as SQLite does not see it in the first."""
_WANTED: Final = "(created IS NULL OR (created >= :since AND created < :until))"


def _bounds(window: Window) -> dict[str, float]:
    return {"since": window.since, "until": window.until, "again": window.again}


def parts_known(path: Path) -> list[tuple[str, int]]:
    """Return how many parts each day has by a catalogue that may be in use; nothing where there is none."""
    if not path.exists():
        return []
    with _translated(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        return db.execute("SELECT day, parts FROM partition ORDER BY day").fetchall()


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        remedy = ""
        if not isinstance(error, OSError | sqlite3.OperationalError):
            remedy = "; remove it to have it made again from the manifests: only watermarks are lost"
        raise CheckpointError(f"{path} cannot be used: {error}{remedy}") from error
