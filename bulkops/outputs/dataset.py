"""Parts of a data set: rows with typed columns as JSON lines, CSV or Parquet, written aside and renamed."""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, Self, TypeAlias, get_args

import orjson

from bulkops.errors import UsageError
from bulkops.moments import moment
from bulkops.outputs.atomic import atomic_path, atomic_write
from bulkops.outputs.parquet import Parquet
from bulkops.outputs.tables import OVER, Tabular, cell, guarded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from bulkops.checkpoint.rows import OperationRow
    from bulkops.model import Json

Format: TypeAlias = Literal["jsonl", "csv", "parquet"]
FORMATS: Final[tuple[str, ...]] = get_args(Format)
Type: TypeAlias = Literal["text", "whole", "number", "moment", "json"]
_RESULTS: Final[Mapping[str, Type]] = {
    **dict.fromkeys(("id", "op", "account", "tags", "status", "created", "files"), "text"),
    **dict.fromkeys(("error_code", "error_message", "request_id"), "text"),
    **dict.fromkeys(("line", "attempts", "http_status", "duration_ms"), "whole"),
    **dict.fromkeys(("started_at", "ended_at"), "moment"),
}
_GROUP_ROWS: Final = 2_000
INSTALL: Final = "pip install 'bulkops[parquet]'"


class Column(NamedTuple):
    """One column: `text`, `whole` (64 bits), `number` (double), `moment` (epoch seconds, UTC), or any `json`.

    Any JSON is itself in JSON lines; in CSV and Parquet a text is itself, and all else its JSON.
    """

    name: str
    type: Type


class Rows(Protocol):
    """Takes rows, in groups: each a mapping of columns' names to values, None or nothing for what is not there."""

    def add(self, rows: Sequence[Mapping[str, Json]]) -> None:
        """Write a group of rows."""


def check_format(format: str) -> None:
    """Raise UsageError for a format that cannot be written here."""
    if format == "parquet" and find_spec("pyarrow") is None:
        raise UsageError(f"--format parquet needs a package that is not installed: {INSTALL}")


class Writer:
    """Writes parts of one format; a context manager, since one of them takes a process of its own."""

    def __init__(self, format: Format) -> None:
        self._format = format
        self._parquet = Parquet()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *raised: object) -> None:
        """End what was started."""
        self._parquet.__exit__(*raised)

    @contextmanager
    def part(self, path: Path, columns: Sequence[Column]) -> Iterator[Rows]:
        """Give what takes the rows of one part; it stands under `path` when the block ends well, else not at all."""
        if self._format == "parquet":
            with atomic_path(path) as aside, self._parquet.part(aside, columns) as groups:
                yield groups
        else:
            with atomic_write(path) as file:
                yield _Lines(file, columns) if self._format == "jsonl" else _Cells(file, columns)


def write_results(
    rows: Iterable[OperationRow],
    path: Path,
    select: Sequence[str] | None = None,
    *,
    failed_only: bool = False,
) -> list[str]:
    """Write the results of a run as Parquet, with the columns of `tables.write_table`'s CSV; return what it returns.

    The fixed columns have types of their own, all others are `json`.
    """
    records = (orjson.loads(row.record) for row in rows if not failed_only or row.state not in OVER)
    table = Tabular(records, select)
    columns = [Column(name, _RESULTS.get(name, "json")) for name in table.columns]
    moments = [column.name for column in columns if column.type == "moment"]
    with Writer("parquet") as writer, writer.part(path, columns) as groups:
        told = iter(table)
        while group := list(islice(told, _GROUP_ROWS)):
            groups.add([row | {name: moment(row[name]) for name in moments} for row in group])
    return sorted(table.left_out)


def rfc3339(seconds: float) -> str:
    """Return a moment as the data set writes it: UTC, with milliseconds."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"


class _Lines:
    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        self._file = file
        self._columns = columns

    def add(self, rows: Sequence[Mapping[str, Json]]) -> None:
        for row in rows:
            fields = {column.name: _native(column, row.get(column.name)) for column in self._columns}
            self._file.write(orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE))


def _native(column: Column, value: Json) -> Json:
    return rfc3339(value) if column.type == "moment" and value is not None else value


class _Cells:
    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        self._file = file
        self._columns = columns
        self._write([[guarded(column.name) for column in columns]])

    def add(self, rows: Sequence[Mapping[str, Json]]) -> None:
        self._write([cell(_native(column, row.get(column.name))) for column in self._columns] for row in rows)

    def _write(self, rows: Iterator[list[str]] | list[list[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
        self._file.write(text.getvalue().encode("utf-8", "replace"))
