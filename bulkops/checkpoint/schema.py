"""The shape of a checkpoint in SQLite: making it, knowing it again, and seeing that it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bulkops.checkpoint.tables import BY_KEY, put_meta
from bulkops.errors import CheckpointError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

FORMAT: Final = 2
"""The format that this code writes and reads."""
AFTER_DAMAGE: Final = (
    "Nothing was sent. Put back a copy of the run folder that is whole, or go on as docs/checkpoint.md says under"
    " `A damaged checkpoint`."
)
APPLICATION: Final = 0x626B6F70
"""`bkop`: marks a database as a checkpoint of ours."""

# `operation` keeps its rows in order of ending, and gets its index by key when somebody looks for a key: see
# `tables.index_keys`. `by_state` answers the counts without a look at the rows. No
# NOT NULL: a statement that could fail half-way makes SQLite copy every page it touches first, which doubles the
# price of a row. `sum` is that of `sums.py` over the fields of the row.
SCHEMA: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE kind (code INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE operation (
        key BLOB, line_key BLOB, line INTEGER, idx INTEGER, id TEXT, kind INTEGER, state INTEGER,
        digest BLOB, record BLOB, raw BLOB, passed INTEGER, sum INTEGER)""",
    "CREATE INDEX operation_by_line ON operation (line, idx)",
    "CREATE INDEX operation_by_state ON operation (state, kind)",
    "CREATE INDEX operation_checks ON operation (line_key, idx) WHERE passed IS NOT NULL",
    """CREATE TABLE step (
        key BLOB NOT NULL, number INTEGER NOT NULL, endpoint TEXT NOT NULL, attempt INTEGER NOT NULL,
        state INTEGER NOT NULL, entity TEXT, reply BLOB, reason TEXT, at REAL NOT NULL,
        request BLOB NOT NULL, since REAL NOT NULL, evidence BLOB, sum INTEGER NOT NULL,
        PRIMARY KEY (key, number)) WITHOUT ROWID""",
    """CREATE TABLE pin (line_key BLOB NOT NULL, request BLOB NOT NULL, reply BLOB NOT NULL,
        sum INTEGER NOT NULL, PRIMARY KEY (line_key, request))""",
)


def create(connection: sqlite3.Connection, meta: Iterable[tuple[str, str]]) -> None:
    """Make the tables and the first entries of `meta`, all or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION}")
    for key, text in [("format", str(FORMAT)), *meta]:
        put_meta(connection, key, text)
    connection.execute("COMMIT")


def blank(connection: sqlite3.Connection) -> bool:
    """Say whether a database has no content: it is new, or a crash came before its first commit."""
    return int(_value(connection, "SELECT count(*) FROM sqlite_master")) == 0


def check_format(connection: sqlite3.Connection, path: str) -> None:
    """Raise CheckpointError unless this is a checkpoint that this code can read."""
    if _value(connection, "PRAGMA application_id") != APPLICATION:
        raise CheckpointError(f"{path} is no checkpoint of bulkops. Name another folder with --run-dir.")
    row = connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    if row is None or not str(row[0]).isdecimal():
        raise CheckpointError(f"The checkpoint {path} is damaged: it does not say its format. {AFTER_DAMAGE}")
    written = int(row[0])
    if written < FORMAT:
        raise CheckpointError(
            f"{path} was written by an earlier bulkops (format {written}; this one reads format {FORMAT})."
            " Finish the job with that version, or begin anew with another --run-dir."
        )
    if written > FORMAT:
        raise CheckpointError(
            f"{path} was written by a newer bulkops (format {written}; this one reads format {FORMAT})."
            " Update bulkops, then run the same command again."
        )


def other_schema(connection: sqlite3.Connection) -> bool:
    """Tell whether the tables are not those that `create` makes."""
    found = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
    # Earlier versions had a primary key in the place of the index.
    shapes = {sql.replace("key BLOB PRIMARY KEY, line_key", "key BLOB, line_key") for (sql,) in found}
    return shapes - {_made(BY_KEY)} != set(SCHEMA)


def structure(connection: sqlite3.Connection) -> str:
    """Return what SQLite finds wrong with pages and indexes, `ok` when nothing is."""
    # Each row is looked for in each index, here and there: with the 2 MB that SQLite takes of itself, a quarter slower.
    connection.execute("PRAGMA cache_size=-16384")
    return str(_value(connection, "PRAGMA integrity_check(1)"))


def _made(statement: str) -> str:
    """Return a statement as SQLite remembers it."""
    return statement.replace("IF NOT EXISTS ", "")


def _value(connection: sqlite3.Connection, sql: str) -> Any:
    return connection.execute(sql).fetchone()[0]
