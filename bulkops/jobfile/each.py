"""`{"$each": SOURCE, "line": {…}}`: the line that it makes of a row."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

import orjson

from bulkops.jobfile.marks import MARKS
from bulkops.jobfile.problems import LineError, LineProblems, nearest, shown
from bulkops.jobfile.reading import LONGEST_LINE
from bulkops.jobfile.sources import likely_delimiter
from bulkops.jobfile.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bulkops.model import Json

EACH = "$each"
_LINE = "line"
_COLUMN = re.compile(r"\$\$\{|\$\{row:([^{}]*)\}|(\$\{row:)")
_IN_FILE = re.compile(r"\$\{file:[^{}]*\$\{row:")
_FILES = frozenset(name for table in TABLES.values() for name in table.files)
_MOST_NAMES_SHOWN = 12

Fill: TypeAlias = "Callable[[Mapping[str, Json]], Json]"


class RowTemplate:
    """The `line` of an `$each`, read once; `fill` makes the line of a row.

    Every text of it may hold `${row:COLUMN}`; other expressions stay for later. What comes from a row is never read
    as an expression: in the fields of the kind, where expressions are read, its `${` is written as `$${`. What is
    `listed` by the API names no file.
    """

    def __init__(self, line: Json, columns: tuple[str, ...] | None, *, listed: bool = False) -> None:
        self._columns = columns
        self.asked: list[tuple[str, str]] = []
        """What it asks of rows that may each have names of their own: where, and the name."""
        self._problems: list[LineError] = []
        if not isinstance(line, dict) or not line:
            raise LineProblems([LineError(_LINE, 'has to be an object, such as {"op": "agent.get", …}')])
        for key in line:
            if key.startswith("$"):
                raise LineProblems(
                    [LineError(f"{_LINE}.{key}", "cannot stand within an `$each`; take it out")]
                )
        self._fields: list[tuple[str, Fill | None, Json]] = [
            (key, self._filler(value, f"{_LINE}.{key}", escape=key not in MARKS), value)
            for key, value in line.items()
        ]
        if listed:
            self._refuse_files(line, _LINE)
        if self._problems:
            raise LineProblems(self._problems)

    def fill(self, row: Mapping[str, Json]) -> bytes:
        """Return the line of a row as JSON; LineError for what the row does not have."""
        line = {key: value if fill is None else fill(row) for key, fill, value in self._fields}
        try:
            raw = orjson.dumps(line)
        except orjson.JSONEncodeError as error:
            raise LineError(None, f"cannot be written as JSON ({error}); look into the row") from None
        if len(raw) > LONGEST_LINE:
            raise LineError(None, f"becomes longer than {LONGEST_LINE // 2**20} MiB; split it up")
        return raw

    def _refuse_files(self, value: Json, field: str) -> None:
        """Note where what the API lists would decide which file is read."""
        if isinstance(value, dict | list):
            for key, part in value.items() if isinstance(value, dict) else enumerate(value):
                self._refuse_files(part, f"{field}.{key}")
        elif isinstance(value, str) and "${row:" in value:
            of_file = field.removeprefix(f"{_LINE}.") in _FILES
            if of_file or _IN_FILE.search(value):
                what = "takes the name of a file from a listing, and nothing that the API tells decides which is read"
                self._problems.append(LineError(field, f"{what}; name the files in a CSV"))

    def _filler(self, value: Json, field: str, *, escape: bool) -> Fill | None:
        """Return what fills a value in; None where nothing is to be filled in."""
        if isinstance(value, str):
            return self._of_text(value, field, escape=escape) if "${row:" in value else None
        if isinstance(value, dict):
            keyed = {key: self._filler(item, f"{field}.{key}", escape=escape) for key, item in value.items()}
            if not any(keyed.values()):
                return None
            return lambda row: {
                key: item if (fill := keyed[key]) is None else fill(row) for key, item in value.items()
            }
        if isinstance(value, list):
            placed = [
                self._filler(item, f"{field}.{place}", escape=escape) for place, item in enumerate(value)
            ]
            if not any(placed):
                return None
            return lambda row: [
                item if fill is None else fill(row) for fill, item in zip(placed, value, strict=True)
            ]
        return None

    def _of_text(self, text: str, field: str, *, escape: bool) -> Fill | None:
        parts = self._parts(text, field)
        if not any(isinstance(part, tuple) for part in parts):
            return None
        if len(parts) == 1 and isinstance(alone := parts[0], tuple):
            return lambda row: _escaped(_of_row(row, alone, field), escape=escape)

        def filled(row: Mapping[str, Json]) -> str:
            texts = [
                part if isinstance(part, str) else _as_text(_of_row(row, part, field), part, field)
                for part in parts
            ]
            whole = "".join(texts)
            # Most have no expression that the line does not have.
            return whole if not escape or whole.count("$") == dollars else _joined(parts, texts, field)

        dollars = text.count("$") - sum(isinstance(part, tuple) for part in parts)
        return filled

    def _parts(self, text: str, field: str) -> list[str | tuple[str, ...]]:
        """Return what stands there as it is, and the paths into the row."""
        parts: list[str | tuple[str, ...]] = []
        end = 0
        for match in _COLUMN.finditer(text):
            if match[0] == "$${":
                if text.startswith("row:", match.end()):
                    what = "holds `$${row:`, which is a plain `${row:` and no value of the row"
                    self._problems.append(
                        LineError(field, f"{what}; a dollar sign before it has to be in the row")
                    )
                continue
            if match[2]:
                self._problems.append(LineError(field, "holds `${row:` without its `}`; close it"))
                return []
            if end < match.start():
                parts.append(text[end : match.start()])
            parts.append(self._path(match[1], field))
            end = match.end()
        if end < len(text):
            parts.append(text[end:])
        return parts

    def _path(self, named: str, field: str) -> tuple[str, ...]:
        if self._columns is None:
            path = tuple(named.split("."))
            if not all(path):
                self._problems.append(
                    LineError(
                        field,
                        f"holds {shown(f'${{row:{named}}}')}; write ${{row:NAME}}, or ${{row:NAME.PART}}",
                    )
                )
            self.asked.append((field, path[0]))
            return path
        if named not in self._columns:
            what = f"asks for {shown(f'${{row:{named}}}')}, and the rows have no such column"
            hint = nearest(named, self._columns)
            if apart := likely_delimiter(self._columns):
                hint += f'; is {apart!r} what its columns are kept apart by? Give it as "delimiter"'
            self._problems.append(LineError(field, f"{what}; {hint}"))
        return (named,)


def _joined(parts: Sequence[str | tuple[str, ...]], texts: Sequence[str], field: str) -> str:
    """Join texts, of which those of a row are escaped, also where they meet others."""
    whole = ""
    for part, text in zip(parts, texts, strict=True):
        own = text if isinstance(part, str) else text.replace("${", "$${")
        if whole[-1:] == "$" and own[:2] == "${":
            what = "has a `$` of the row right before an expression, which together mean a plain `${`"
            raise LineError(field, f"{what}; put something between them")
        whole += "$" + own if own[:1] == "{" and whole[-1:] == "$" else own
    return whole


def _of_row(row: Mapping[str, Json], path: tuple[str, ...], field: str) -> Json:
    if len(path) == 1 and path[0] in row:
        return row[path[0]]
    value: Json = row
    for depth, key in enumerate(path):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isascii() and key.isdecimal() and int(key[:9]) < len(value):
            value = value[int(key[:9])]
        else:
            named = shown(".".join(path[: depth + 1]))
            names = (
                [shown(name, 40) for name in list(value)[:_MOST_NAMES_SHOWN]]
                if isinstance(value, dict)
                else []
            )
            has = f"it has: {', '.join(names)}" if names else "there is nothing inside"
            raise LineError(field, f"asks for `{named}`, which is not in the row; {has}")
    return value


def _as_text(value: Json, path: tuple[str, ...], field: str) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        raise LineError(field, f"needs `{shown('.'.join(path))}` within a text, and it is null; fill it in")
    return orjson.dumps(value).decode()


def _escaped(value: Json, *, escape: bool) -> Json:
    """Return a value of a row so that reading its expressions gives it back."""
    if not escape:
        return value
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: _escaped(item, escape=True) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item, escape=True) for item in value]
    return value
