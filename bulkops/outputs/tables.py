"""Results as a table: JSON lines for programs, CSV for spreadsheets."""

from __future__ import annotations

import csv
import re
import unicodedata
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal, TextIO

import orjson

from bulkops.jobfile import nearest
from bulkops.model import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bulkops.checkpoint.rows import OperationRow
    from bulkops.model import Json

COLUMNS = (
    "id", "line", "op", "account", "tags", "status", "attempts", "http_status", "error_code", "error_message",
    "request_id", "started_at", "ended_at", "duration_ms", "passed", "possible_duplicate", "created", "files",
)  # fmt: skip
OVER = frozenset({State.DONE, State.SKIPPED})
LOOKED_AT = 1000
"""The columns of a CSV without `select` are the union of the fields of so many rows."""
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BLANKS = re.compile(r"[\s\ufeff\u200b\u200c\u200d\u2060\x00]*")
"""What a reader, or a spreadsheet, does not see at the begin of a cell."""
_MISSING = object()


def write_table(
    rows: Iterable[OperationRow],
    out: TextIO,
    format: Literal["jsonl", "csv"],
    select: Sequence[str] | None = None,
    *,
    failed_only: bool = False,
) -> list[str]:
    """Write the results as JSON lines or CSV; return the fields that did not become columns.

    Fields of the result are named by their key, one level down as `key.sub`, or any deeper path in `select`;
    where the name is that of a fixed column, as `result.key`. Fields of `meta` are `meta.key`. With `select`
    there is nothing else, in that order. A CSV without it has the fields of the first 1,000 rows as columns;
    which later fields that leaves out is returned. `failed_only` leaves out what is done or skipped.
    """
    wanted = (row.record for row in rows if not failed_only or row.state not in OVER)
    if format == "csv":
        return _write_csv(map(orjson.loads, wanted), out, select)
    for record in wanted:
        out.write((record if select is None else _reduced(record, select)).decode())
        out.write("\n")
    return []


def unknown_fields(rows: Iterable[OperationRow], select: Sequence[str]) -> dict[str, str]:
    """Return of `select` what none of the first 1,000 rows has, each with what helps; nothing without rows."""
    records = [orjson.loads(row.record) for row in islice(rows, LOOKED_AT)]
    known = {*COLUMNS, *chain.from_iterable(map(_fields, records))}
    return {
        name: nearest(name, known)
        for name in select
        if records and name not in known and not any(_has(record, name) for record in records)
    }


def cell(value: Json) -> str:
    """Return a value as the text of a CSV cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    return guarded(value if isinstance(value, str) else orjson.dumps(value).decode())


def guarded(text: str) -> str:
    """Put a `'` before what a spreadsheet could take for a formula.

    That is a text with `=`, `+`, `-`, `@` (also in their wide forms), a tab or a line end at its begin, or
    after blanks; numbers stay.
    """
    if _NUMBER.fullmatch(text):
        return text
    blanks = _BLANKS.match(text)[0]  # type: ignore[index] # it matches the empty text, too
    sign = unicodedata.normalize("NFKC", text[len(blanks) : len(blanks) + 1])
    formula = sign[:1] in {"=", "+", "-", "@"}
    return f"'{text}" if formula or not {"\t", "\r", "\n"}.isdisjoint(blanks) else text


def _write_csv(records: Iterator[Json], out: TextIO, select: Sequence[str] | None) -> list[str]:
    table = Tabular(records, select)
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(map(guarded, table.columns))
    for row in table:
        writer.writerow(map(cell, row.values()))
    return sorted(table.left_out)


class Tabular:
    """Records as rows with one value for each column; `left_out` are fields that came too late to become columns."""

    def __init__(self, records: Iterator[Json], select: Sequence[str] | None) -> None:
        first = [] if select is not None else list(islice(records, LOOKED_AT))
        names = select if select is not None else chain(COLUMNS, *map(_fields, first))
        self.columns = list(dict.fromkeys(names))
        self.left_out: dict[str, None] = {}
        self._records = chain(first, records)
        self._selected = select is not None

    def __iter__(self) -> Iterator[dict[str, Json]]:
        """Yield the rows, in order of the columns; once."""
        for record in self._records:
            fields = _fields(record)
            if not self._selected:
                self.left_out.update(dict.fromkeys(fields.keys() - self.columns))
            fixed = {**_fixed(record), **_listed(record)}
            yield {
                name: fixed[name] if name in fixed else _picked(record, fields, name) for name in self.columns
            }


def _fixed(record: Mapping[str, Json]) -> dict[str, Json]:
    """Return the values of the fixed columns."""
    error = record["error"] or {}
    told = {
        "http_status": error.get("http_status"),
        "error_code": error.get("code"),
        "error_message": error.get("message"),
        "request_id": error.get("request_id"),
    }
    return {name: told[name] if name in told else record.get(name) for name in COLUMNS}


def _listed(record: Mapping[str, Json]) -> dict[str, Json]:
    """Return the fixed columns that are lists, as one cell each."""
    return {
        "created": " ".join(f"{made['kind']}:{made['id']}" for made in record["created"]),
        "files": " ".join(file["path"] for file in record["files"]),
        "tags": " ".join(record.get("tags") or ()),
    }


def _fields(record: Mapping[str, Json]) -> dict[str, Json]:
    """Return the fields of result and meta by the names of their columns."""
    fields: dict[str, Json] = {}
    for key, value in (record["result"] or {}).items():
        name = f"result.{key}" if key in COLUMNS else key
        if isinstance(value, dict):
            fields.update((f"{name}.{sub}", inner) for sub, inner in value.items())
        else:
            fields[name] = value
    meta = record["meta"]
    if isinstance(meta, dict):
        fields.update((f"meta.{key}", value) for key, value in meta.items())
    elif meta is not None:
        fields["meta"] = meta
    return fields


def _picked(record: Mapping[str, Json], fields: Mapping[str, Json], name: str) -> Json:
    """Return the field of this name, else what the path leads to in the result, else None."""
    if name in fields:
        return fields[name]
    found = _walked(record["result"], name.removeprefix("result."))
    return None if found is _MISSING else found


def _has(record: Mapping[str, Json], name: str) -> bool:
    return _walked(record["result"], name.removeprefix("result.")) is not _MISSING


def _walked(value: Json, path: str) -> Json:
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            return _MISSING
        value = value[key]
    return value


def _reduced(raw: bytes, select: Sequence[str]) -> bytes:
    record = orjson.loads(raw)
    fields, fixed = _fields(record), _fixed(record)
    return orjson.dumps(
        {name: fixed[name] if name in fixed else _picked(record, fields, name) for name in select}
    )
