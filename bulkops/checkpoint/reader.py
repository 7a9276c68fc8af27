"""Reading a checkpoint without writing to it and without an event loop, also while a run goes on."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Self

from bulkops.checkpoint import schema, tables
from bulkops.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path
    from tempfile import TemporaryDirectory
    from types import TracebackType

    from bulkops.checkpoint.rows import LineChecks, OperationRow, StateRow, StepRow
    from bulkops.model import State

_PATIENCE = 10.0
"""Seconds to wait while the writer closes or SQLite repairs its index of the log."""

_MOST_VALUES = 500
"""So many values fit into one statement, also with an old SQLite."""


def open_reader(path: Path) -> CheckpointReader | None:
    """Open a checkpoint for reading; None where nothing is remembered yet.

    Where SQLite cannot make its shared-memory file (read-only media, a folder of somebody else), a private
    copy is read instead. Raises CheckpointError for what is no checkpoint, or one of a newer format.
    """
    with _translated(path):
        if not path.exists() or path.stat().st_size == 0 or _unmade(path):
            return None
        try:
            return _checked(CheckpointReader(path, _connect(path)))
        except sqlite3.OperationalError as error:
            if not _unwritable(error):
                raise
        return _checked(_copied(path))


def _unmade(path: Path) -> bool:
    """Tell whether a crash came while the file was made a database with a log: before anything was remembered.

    SQLite keeps a rollback journal for that moment only. A reader may not roll back, and without it a torn first
    page looks like no database at all; the next writer does.
    """
    return path.with_name(f"{path.name}-journal").exists()


class CheckpointReader:
    """The `Reader` of a file; a context manager. One thread at a time. Errors are CheckpointError."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, copy: TemporaryDirectory[str] | None = None
    ) -> None:
        self._path = path
        self._connection = connection
        self._copy = copy

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of the file, and of the copy if there is one."""
        self._connection.close()
        if self._copy is not None:
            self._copy.cleanup()

    def meta(self, key: str) -> str | None:
        """Return a word about the whole run."""
        return self.all_meta().get(key)

    def all_meta(self) -> dict[str, str]:
        """Return all words about the whole run."""
        with _translated(self._path):
            return tables.meta(self._connection)

    def indexed(self) -> bool:
        """Tell whether the end of an operation is found by its key without a look at all of them."""
        with _translated(self._path):
            return tables.has_index_of_keys(self._connection)

    def damage(self) -> str | None:
        """Return what is wrong with the file, in words; None when every page and every row is as it was written."""
        try:
            if (found := schema.structure(self._connection)) != "ok":
                return found
            if schema.other_schema(self._connection):
                return "its tables are not those of a checkpoint"
            with closing(tables.unlike(self._connection)) as unlike:
                return next(unlike, None)
        except (sqlite3.Error, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # Its words may be those of the damage itself, which are for no terminal.
            return f"a row cannot be read as what it should be ({type(error).__name__})"

    def states(self, states: Collection[State] | None = None) -> Iterator[StateRow]:
        """Yield what is known of where ended operations stand, in no order: of all, or of those in some states."""
        with _translated(self._path):
            yield from tables.states(self._connection, states)

    def state_of(self, key: bytes) -> StateRow | None:
        """Return the same of one operation, None while it has not ended."""
        with _translated(self._path):
            return tables.state_of(self._connection, key)

    def states_on(self, line: int) -> Iterator[StateRow]:
        """Yield the same of the ended operations that were on the line with this number."""
        with _translated(self._path):
            yield from tables.states_on(self._connection, line)

    def count_on(self, line: int) -> int:
        """Return how many operations have ended that were on the line with this number."""
        with _translated(self._path):
            return tables.count_on(self._connection, line)

    def lines(self) -> Iterator[int]:
        """Yield the numbers of the lines with ended operations in order, each once."""
        with _translated(self._path):
            yield from tables.lines(self._connection)

    def open_steps(self) -> Iterator[StepRow]:
        """Yield the steps of operations that have not ended, by operation and number."""
        with _translated(self._path):
            yield from tables.open_steps(self._connection)

    def steps_of_run(self) -> Iterator[StepRow]:
        """Yield the steps of the run itself, which are no operation's."""
        with _translated(self._path):
            yield from tables.steps_of_run(self._connection)

    def rows(self, states: Collection[State] | None = None) -> Iterator[OperationRow]:
        """Yield the ended operations by line and index: all, or those in some states."""
        with _translated(self._path):
            yield from tables.rows(self._connection, states)

    def records(self) -> Iterator[bytes]:
        """Yield the record of every ended operation, by line and index."""
        with _translated(self._path):
            yield from tables.records(self._connection)

    def in_time(self) -> Iterator[tuple[int, OperationRow]]:
        """Yield the ended operations in the order of ending, each with its place in it."""
        with _translated(self._path):
            yield from tables.in_time(self._connection)

    def at(self, place: int) -> OperationRow:
        """Return the ended operation at a place in that order."""
        with _translated(self._path):
            return tables.at(self._connection, place)

    def pins_of(self, key: bytes) -> list[tuple[bytes, bytes]]:
        """Return what is pinned under the key of an operation or a line: requests and answers, in order of time."""
        with _translated(self._path):
            return tables.pins_of(self._connection, key)

    def owners(self, ids: Collection[str]) -> dict[str, bytes]:
        """Return which of these ids operations have made, and which operation."""
        found: dict[str, bytes] = {}
        wanted = sorted(ids)
        with _translated(self._path):
            for start in range(0, len(wanted), _MOST_VALUES):
                found |= tables.owners(self._connection, wanted[start : start + _MOST_VALUES])
        return found

    def row_of(self, key: bytes) -> OperationRow | None:
        """Return the end of an operation, None while it has none."""
        with _translated(self._path):
            return tables.row_of(self._connection, key)

    def counts(self) -> dict[State, int]:
        """Return how many operations have ended in which state; states of none are left out."""
        total: Counter[State] = Counter()
        for by_state in self.counts_by_kind().values():
            total.update(by_state)
        return dict(total)

    def counts_by_kind(self) -> dict[str, dict[State, int]]:
        """Return the same for each kind of operation."""
        found: dict[str, dict[State, int]] = {}
        with _translated(self._path):
            for kind, state, count in tables.counts(self._connection):
                found.setdefault(kind, {})[state] = count
        return found

    def checks(self) -> Iterator[LineChecks]:
        """Yield, in line order, how the checks of each line that has some came out."""
        with _translated(self._path):
            yield from tables.checks(self._connection)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
        # A damaged file can make SQLite complain in words that are no text.
        raise CheckpointError(f"The checkpoint {path} cannot be read: {error}.") from error


def _connect(path: Path) -> sqlite3.Connection:
    # mode=ro never checkpoints: two connections that do can corrupt a WAL database before SQLite 3.51.3.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        timeout=_PATIENCE,
        check_same_thread=False,
    )
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _unwritable(error: sqlite3.OperationalError) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))


def _checked(reader: CheckpointReader) -> CheckpointReader | None:
    connection = reader._connection  # noqa: SLF001 - made here, a few lines above
    try:
        if schema.blank(connection):
            reader.close()
            return None
        schema.check_format(connection, str(reader._path))  # noqa: SLF001 - made here, a few lines above
    except BaseException:
        reader.close()
        raise
    return reader


def _copied(path: Path) -> CheckpointReader:
    from bulkops.checkpoint.copying import copied

    folder, copy = copied(path)
    try:
        return CheckpointReader(path, _connect(copy), folder)
    except BaseException:
        folder.cleanup()
        raise
