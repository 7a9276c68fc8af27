"""The tables of a checkpoint in SQLite: every statement that reads or writes them; their shape is in `schema.py`.

All functions take a connection and do no more than their statements; who may write, and when it is durable,
is for `writer.py` and `reader.py`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from bulkops.checkpoint.identity import KEY_SIZE
from bulkops.checkpoint.rows import LineChecks, OperationRow, StateRow, StepRow, StepState
from bulkops.checkpoint.sums import meta_sum, operation_sum, pin_sum, step_sum
from bulkops.model import State

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Iterator, Sequence

STATE_CODES: Final = {
    State.NOT_STARTED: 0,
    State.DONE: 1,
    State.FAILED: 2,
    State.BLOCKED: 3,
    State.SKIPPED: 4,
    State.IN_DOUBT: 5,
}
_STATES: Final = {code: state for state, code in STATE_CODES.items()}

_STEP: Final = "key, number, endpoint, attempt, state, entity, reply, reason, at, request, since, evidence"
_STATE_ROW: Final = "key, state, digest, line"
_OPERATION: Final = (
    "key, line_key, line, idx, id, (SELECT name FROM kind WHERE code = operation.kind), state, digest,"
    " record, raw, passed"
)

_SORTING_KIB: Final = 1024
BY_KEY: Final = "CREATE UNIQUE INDEX IF NOT EXISTS operation_by_key ON operation (key)"


# Writing
#
# Blobs are bound as bytearray and NULL as an empty text: for `bytes` and None the module sqlite3 looks for an
# adapter each time, in vain and by way of exceptions, which takes longer than the whole insertion.

_STEP_PLACES: Final = "(?,?,?,?,?,nullif(?,''),nullif(?,''),nullif(?,''),?,?,?,nullif(?,''),?)"
_OPERATION_PLACES: Final = "(?,?,?,?,nullif(?,''),?,?,?,?,nullif(?,''),nullif(?,''),?)"


def put_steps(connection: sqlite3.Connection, rows: Iterable[StepRow]) -> None:
    """Insert or replace steps by (key, number); no pair may occur twice."""
    values = [
        (
            bytearray(r.key),
            r.number,
            r.endpoint,
            r.attempt,
            int(r.state),
            r.entity or "",
            bytearray(r.reply) if r.reply is not None else "",
            r.reason or "",
            r.at,
            bytearray(r.request),
            r.since,
            bytearray(r.evidence) if r.evidence is not None else "",
            step_sum(r),
        )
        for r in rows
    ]
    _execute_many(connection, "REPLACE INTO step VALUES ", _STEP_PLACES, "", values)


def put_operations(connection: sqlite3.Connection, rows: Iterable[OperationRow]) -> None:
    """Insert or replace operations by key; no key may occur twice.

    Without the index by key nothing is replaced; `index_keys` makes up for that.
    """
    code = _KindCodes(connection).of
    values = [
        (
            bytearray(r.key),
            bytearray(r.line_key),
            r.line,
            r.index,
            r.id or "",
            code(r.kind),
            STATE_CODES[r.state],
            bytearray(r.digest),
            bytearray(r.record),
            bytearray(r.raw) if r.raw is not None else "",
            int(r.passed) if r.passed is not None else "",
            operation_sum(
                r.key, r.line_key, r.line, r.index, r.id, r.kind, r.state, r.digest, r.record, r.raw, r.passed
            ),
        )
        for r in rows
    ]
    _execute_many(connection, "REPLACE INTO operation VALUES ", _OPERATION_PLACES, "", values)


def index_keys(connection: sqlite3.Connection) -> None:
    """Make the index by key, unless it is there; of several rows of an operation the last one stays.

    Keys are hashes, so each row that is added to the index writes a page of it, a third of what writing costs. A
    first run does without as long as it looks for no key: to make the index at its end takes 1 µs for each row.
    """
    cache = _value(connection, "PRAGMA cache_size")
    # As much as the cache is what SQLite sorts in memory, and twice: memory is not to grow with the job.
    connection.execute(f"PRAGMA cache_size={-_SORTING_KIB}")
    try:
        connection.execute(BY_KEY)
    except sqlite3.IntegrityError:
        connection.execute(
            "DELETE FROM operation WHERE rowid NOT IN (SELECT max(rowid) FROM operation GROUP BY key)"
        )
        connection.execute(BY_KEY)
    finally:
        connection.execute(f"PRAGMA cache_size={cache}")


def has_index_of_keys(connection: sqlite3.Connection) -> bool:
    """Tell whether an operation is found by its key without a look at all of them."""
    return "operation_by_key" in {name for _, name, *_ in connection.execute("PRAGMA index_list(operation)")}


def drop_steps(connection: sqlite3.Connection, keys: Iterable[bytes]) -> None:
    """Forget all steps of these operations."""
    _execute_many(
        connection, "DELETE FROM step WHERE key IN (", "?", ")", [(bytearray(key),) for key in keys]
    )


def reopen(connection: sqlite3.Connection, key: bytes, steps: Sequence[StepRow]) -> None:
    """Forget an operation's end and its steps, and put these steps in their place."""
    connection.execute("DELETE FROM operation WHERE key = ?", (key,))
    drop_steps(connection, [key])
    put_steps(connection, steps)


def put_pin(
    connection: sqlite3.Connection, line_key: bytes, request: bytes, reply: bytes, *, anew: bool = False
) -> None:
    """Remember an answer unless one is remembered already, or `anew` in its place."""
    connection.execute(
        f"INSERT OR {'REPLACE' if anew else 'IGNORE'} INTO pin VALUES (?, ?, ?, ?)",
        (line_key, request, reply, pin_sum(line_key, request, reply)),
    )


def put_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    """Insert or replace one entry of `meta`."""
    connection.execute("REPLACE INTO meta VALUES (?, ?, ?)", (key, value, meta_sum(key, value)))


class _KindCodes:
    """The number that stands for the name of a kind; a new name gets the next one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._codes: dict[str, int] = {}

    def of(self, name: str) -> int:
        code = self._codes.get(name)
        if code is None:
            self._connection.execute("INSERT OR IGNORE INTO kind (name) VALUES (?)", (name,))
            code = int(_value(self._connection, "SELECT code FROM kind WHERE name = ?", name))
            self._codes[name] = code
        return code


# Several rows in one call: each call into SQLite gives the GIL away and has to wait until a busy event loop
# gives it back. Powers of two keep the number of different statements small, so that each is parsed once.


def _execute_many(
    connection: sqlite3.Connection, head: str, places: str, tail: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    start = 0
    while left := len(rows) - start:
        size = min(64, 1 << (left.bit_length() - 1))
        values = tuple(chain.from_iterable(rows[start : start + size]))
        connection.execute(_statement(head, places, tail, size), values)
        start += size


@cache
def _statement(head: str, places: str, tail: str, size: int) -> str:
    return head + ",".join([places] * size) + tail


# Reading


def meta(connection: sqlite3.Connection) -> dict[str, str]:
    """Return all entries of `meta`."""
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


def pinned(connection: sqlite3.Connection, line_key: bytes, request: bytes) -> bytes | None:
    """Return the answer remembered for a request of a line."""
    row = connection.execute(
        "SELECT reply FROM pin WHERE line_key = ? AND request = ?", (line_key, request)
    ).fetchone()
    return None if row is None else bytes(row[0])


def pins_of(connection: sqlite3.Connection, key: bytes) -> list[tuple[bytes, bytes]]:
    """Return what is pinned under a key: request and answer, in the order of time."""
    rows = connection.execute("SELECT request, reply FROM pin WHERE line_key = ? ORDER BY rowid", (key,))
    return [(bytes(request), bytes(reply)) for request, reply in rows]


def steps_of(connection: sqlite3.Connection, key: bytes) -> list[StepRow]:
    """Return the steps of one operation in order."""
    sql = f"SELECT {_STEP} FROM step WHERE key = ? ORDER BY number"
    return list(map(_step, connection.execute(sql, (key,))))


def open_steps(connection: sqlite3.Connection) -> Iterator[StepRow]:
    """Yield the steps of operations that have no row, by operation and number."""
    sql = f"""SELECT {_STEP} FROM step
        WHERE length(key) = {KEY_SIZE}
        AND key NOT IN (SELECT key FROM operation WHERE key IN (SELECT key FROM step))
        ORDER BY key, number"""
    return map(_step, _stream(connection, sql))


def steps_of_run(connection: sqlite3.Connection) -> Iterator[StepRow]:
    """Yield the steps of the run itself, by account and number."""
    sql = f"SELECT {_STEP} FROM step WHERE length(key) <> {KEY_SIZE} ORDER BY key, number"
    return map(_step, _stream(connection, sql))


def steps(connection: sqlite3.Connection) -> Iterator[StepRow]:
    """Yield all steps, by operation and number."""
    return map(_step, _stream(connection, f"SELECT {_STEP} FROM step ORDER BY key, number"))


def row_of(connection: sqlite3.Connection, key: bytes) -> OperationRow | None:
    """Return the row of one operation."""
    sql = f"SELECT {_OPERATION} FROM operation WHERE key = ?"
    row = connection.execute(sql, (key,)).fetchone()
    return None if row is None else _operation(row)


def records_of(connection: sqlite3.Connection, keys: bytes) -> list[bytes]:
    """Return the records of operations that have rows, in the order of their keys, each of which has 16 bytes."""
    sql = "SELECT record FROM operation WHERE key = ?"
    each = (keys[start : start + KEY_SIZE] for start in range(0, len(keys), KEY_SIZE))
    found = (connection.execute(sql, (key,)).fetchone() for key in each)
    return [bytes(row[0]) for row in found if row is not None]


def states(connection: sqlite3.Connection, wanted: Collection[State] | None) -> Iterator[StateRow]:
    """Yield key, state, digest and line of every operation that has a row, or of those in the wanted states."""
    where = "" if wanted is None else f"WHERE state IN ({_codes(wanted)})"
    return _states(_stream(connection, f"SELECT {_STATE_ROW} FROM operation {where}"))


def state_of(connection: sqlite3.Connection, key: bytes) -> StateRow | None:
    """Return the same of one operation."""
    found = connection.execute(f"SELECT {_STATE_ROW} FROM operation WHERE key = ?", (key,))
    return next(_states(found), None)


def states_on(connection: sqlite3.Connection, line: int) -> Iterator[StateRow]:
    """Yield the same of the operations that were on a line."""
    return _states(_stream(connection, f"SELECT {_STATE_ROW} FROM operation WHERE line = ?", line))


def count_on(connection: sqlite3.Connection, line: int) -> int:
    """Return how many operations that have a row were on a line."""
    return int(_value(connection, "SELECT count(*) FROM operation WHERE line = ?", line))


def lines(connection: sqlite3.Connection) -> Iterator[int]:
    """Yield the numbers of the lines in order, each once; from the index alone, which is small."""
    sql = "SELECT DISTINCT line FROM operation INDEXED BY operation_by_line ORDER BY line"
    return (line for (line,) in _stream(connection, sql))


def rows(connection: sqlite3.Connection, wanted: Collection[State] | None) -> Iterator[OperationRow]:
    """Yield rows by line and index: all, or those in the wanted states."""
    chosen = set(State if wanted is None else wanted)
    # Few rows are not done: found by state and sorted. The done ones are too many to sort: walked by line.
    index = "operation_by_line" if State.DONE in chosen else "operation_by_state"
    sql = f"""SELECT {_OPERATION} FROM operation INDEXED BY {index}
        WHERE state IN ({_codes(chosen)}) ORDER BY line, idx, key"""
    return map(_operation, _stream(connection, sql))


def in_time(connection: sqlite3.Connection) -> Iterator[tuple[int, OperationRow]]:
    """Yield all rows in the order of ending, each with its place in it."""
    sql = f"SELECT rowid, {_OPERATION} FROM operation ORDER BY rowid"
    return ((place, _operation(tuple(row))) for place, *row in _stream(connection, sql))


def at(connection: sqlite3.Connection, place: int) -> OperationRow:
    """Return the row at a place in the order of ending."""
    sql = f"SELECT {_OPERATION} FROM operation WHERE rowid = ?"
    return _operation(connection.execute(sql, (place,)).fetchone())


def records(connection: sqlite3.Connection) -> Iterator[bytes]:
    """Yield all records by line and index; a quarter of the price of whole rows."""
    sql = "SELECT record FROM operation INDEXED BY operation_by_line ORDER BY line, idx, key"
    return chain.from_iterable(_stream(connection, sql))


def owners(connection: sqlite3.Connection, ids: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the ids that operations have made, with the key of the operation; a look at every row."""
    places = ",".join("?" * len(ids))
    # A BLOB would be taken for binary JSON.
    ended = f"""SELECT made.value ->> 'id', operation.key
        FROM operation, json_each(CAST(operation.record AS TEXT), '$.created') AS made
        WHERE made.value ->> 'id' IN ({places})"""
    under_way = f"SELECT entity, key FROM step WHERE entity IN ({places})"
    for sql in (ended, under_way):
        yield from _stream(connection, sql, *ids)


def counts(connection: sqlite3.Connection) -> Iterator[tuple[str, State, int]]:
    """Yield how many operations of each kind are in each state."""
    sql = """SELECT (SELECT name FROM kind WHERE code = operation.kind), state, count(*)
        FROM operation GROUP BY state, kind"""
    return ((name, _STATES[code], count) for name, code, count in _stream(connection, sql))


def checks(connection: sqlite3.Connection) -> Iterator[LineChecks]:
    """Yield the passed and all checks of each line that has some, in line order."""
    sql = """SELECT line_key, sum(passed), count(*), record, min(idx)
        FROM operation INDEXED BY operation_checks WHERE passed IS NOT NULL
        GROUP BY line_key ORDER BY line, line_key"""
    return (LineChecks(*row[:4]) for row in _stream(connection, sql))


def _stream(connection: sqlite3.Connection, sql: str, *values: Any) -> Iterator[tuple[Any, ...]]:
    """Yield rows as they are found; left early, the read transaction ends with the iterator."""
    with closing(connection.cursor()) as cursor:
        cursor.arraysize = 256
        yield from cursor.execute(sql, values)


def _value(connection: sqlite3.Connection, sql: str, *values: Any) -> Any:
    return connection.execute(sql, values).fetchone()[0]


def _step(row: tuple[Any, ...]) -> StepRow:
    key, number, endpoint, attempt, state, *others = row
    return StepRow(key, number, endpoint, attempt, StepState(state), *others)


def _states(rows: Iterator[tuple[Any, ...]]) -> Iterator[StateRow]:
    known = _STATES
    for key, code, digest, line in rows:
        yield StateRow(key, known[code], digest, line)


def _codes(states: Collection[State]) -> str:
    return ", ".join(str(STATE_CODES[state]) for state in states)


def _operation(row: tuple[Any, ...]) -> OperationRow:
    key, line_key, line, index, id_, kind, state, digest, record, raw, passed = row
    checked = None if passed is None else bool(passed)
    return OperationRow(key, line_key, line, index, id_, kind, _STATES[state], digest, record, raw, checked)


# Checking


def unlike(connection: sqlite3.Connection) -> Generator[str]:
    """Yield, in words, every row that does not have its sum."""
    # The names are looked up here: SQLite would do so for each row.
    kinds = dict(connection.execute("SELECT code, name FROM kind").fetchall())
    states = {code: str(state) for state, code in STATE_CODES.items()}
    truths = {None: None, 0: False, 1: True}
    ends = _stream(
        connection,
        "SELECT key, line_key, line, idx, id, kind, state, digest, record, raw, passed, sum FROM operation",
    )
    for key, line_key, line, index, id_, kind, state, digest, record, raw, passed, total in ends:
        kind, state, passed = kinds[kind], states[state], truths[passed]  # noqa: PLW2901 - their names for their codes
        found = operation_sum(key, line_key, line, index, id_, kind, state, digest, record, raw, passed)
        if found != total:
            yield f"the end of the operation {key.hex()}"
    for *fields, total in _stream(connection, f"SELECT {_STEP}, sum FROM step"):
        if step_sum(_step(tuple(fields))) != total:
            yield f"a step of the operation {fields[0].hex()}"
    for line_key, request, reply, total in _stream(
        connection, "SELECT line_key, request, reply, sum FROM pin"
    ):
        if pin_sum(line_key, request, reply) != total:
            yield f"a pinned answer of the line {line_key.hex()}"
    for key, text, total in _stream(connection, "SELECT key, value, sum FROM meta"):
        if meta_sum(key, text) != total:
            yield f"the entry {key!r} about the run"
