"""What the rows of an `$each` come from: a file of CSV or of JSON lines, a pattern of names, a listing of the API."""

from __future__ import annotations

import codecs
import csv
import glob
import os
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TextIO

import orjson

from bulkops.errors import JobError, Problem
from bulkops.jobfile.exact import parse_exactly
from bulkops.jobfile.marks import MARKS
from bulkops.jobfile.problems import LineError, nearest, shown
from bulkops.jobfile.reading import LONGEST_LINE, JobFile
from bulkops.jobfile.strict import parse_object
from bulkops.jobfile.wanted import check_where, wanted
from bulkops.operations import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bulkops.model import Json

OPTIONS: Final = {
    "csv": ("delimiter", "encoding", "types", "where"),
    "jsonl": ("where",),
    "glob": ("where",),
    "op": ("account", "query", "where"),
}
LISTINGS: Final = tuple(name for name, kind in KINDS.items() if kind.lists)
"""The kinds whose rows an `$each` may have."""
FILE_COLUMNS: Final = ("path", "name", "stem", "suffix", "folder")
"""What a row of a pattern has: the path as the job would write it, and its parts."""
MOST_PROBLEMS: Final = 1000
"""So many wrong rows of one source are told."""
_LONGEST_NAME: Final = 200
_UNDECODABLE: Final = "\udc80"
"""Half of a pair, which no text has that could be decoded."""
_MARKING: Final = "bulkops.undecodable"
codecs.register_error(_MARKING, lambda error: (_UNDECODABLE, error.end))  # type: ignore[attr-defined]


class Source(NamedTuple):
    """Rows to read: `columns` are the names in every row, None where each row has its own."""

    name: str
    columns: tuple[str, ...] | None
    rows: Iterator[Mapping[str, Json]]

    def only(self, where: Mapping[str, Json]) -> Source:
        """Return the rows that are as `where` says; LineError for a column that is not there."""
        name = f"the wanted rows of {self.name}"
        return Source(name, self.columns, wanted(self.rows, where, self.columns))


@contextmanager
def opened(said: Json, base: Path, listed: Path | None = None) -> Iterator[Source | None]:
    """Open what an `$each` names; relative paths start at `base`, and the rows of listings are in `listed`.

    None stands for a listing whose rows are not known yet. LineError says what is wrong with the words; JobError, also
    while rows are read, what is wrong with the file.
    """
    kind = _kind_of(said)
    assert isinstance(said, dict)
    with _source(kind, said, base, listed) as source:
        yield source.only(said["where"]) if source is not None and said.get("where") else source


class Listing(NamedTuple):
    """A listing of the API that an `$each` names, whose it is (None: the run's own account), and what else is asked."""

    op: str
    account: str | None
    query: tuple[tuple[str, str], ...] = ()

    def file(self, listed: Path) -> Path:
        """Return where its rows are in the folder that has those of all."""
        # A name of an account may hold what no file's name does.
        told = self.account or ""
        if self.query:
            told = orjson.dumps([self.account, self.query]).decode()
        of = f".{blake2b(told.encode(), digest_size=6).hexdigest()}" if told else ""
        return listed / f"{self.op}{of}.jsonl"

    def __str__(self) -> str:
        named = self.op if self.account is None else f"{self.op} of {shown(self.account)}"
        asked = ", ".join(f"{shown(name)}={shown(text)}" for name, text in self.query)
        return f"{named} with {asked}" if asked else named


def listing_of(said: Json) -> Listing | None:
    """Return the listing that an `$each` names, None for other sources; LineError with what is wrong."""
    return _listing(said) if _kind_of(said) == "op" else None


def _listing(said: Mapping[str, Any]) -> Listing:
    return Listing(said["op"], said.get("account"), tuple((said.get("query") or {}).items()))


@contextmanager
def _source(kind: str, said: Mapping[str, Any], base: Path, listed: Path | None) -> Iterator[Source | None]:
    named = said[kind]
    if kind == "glob":
        yield Source(shown(named, _LONGEST_NAME), FILE_COLUMNS, _files(named, base))
        return
    path = base / named
    if kind == "op":
        listing = _listing(said)
        named = str(listing)
        if listed is None or not (path := listing.file(listed)).exists():
            yield None
            return
    with _file_at(path, kind, named) as file:
        if kind in ("jsonl", "op"):
            yield Source(shown(named, _LONGEST_NAME), None, _objects(file))
            return
        types = said.get("types") or {}
        with open(os.dup(file.fileno()), encoding=_encoding(said), newline="") as text:
            table = _Table(file.name, text, said.get("delimiter") or ",", types)
            yield Source(shown(named, _LONGEST_NAME), table.columns, table.rows())


def likely_delimiter(columns: Sequence[str]) -> str | None:
    """Return what seems to keep the columns apart where they were read as one; None where nothing does."""
    return min(set(columns[0]) & set(";\t|"), default=None) if len(columns) == 1 else None


def _file_at(path: Path, kind: str, named: str) -> JobFile:
    try:
        return JobFile.open(path)
    except JobError as refused:
        why = refused.problems[0].message
        raise LineError(f"$each.{kind}", f"names {shown(named, _LONGEST_NAME)!r}: {why}") from None


def _kind_of(said: Json) -> str:
    """Return which kind of source is named; LineError with what is wrong."""
    example = (
        '{"csv": "customers.csv"}, {"jsonl": "rows.jsonl"}, {"glob": "docs/**/*.md"} or {"op": "agent.list"}'
    )
    if not isinstance(said, dict):
        raise LineError("$each", f"has to name a source: {example}")
    if "spool" in said:
        raise LineError(
            "$each.spool",
            "is no source of rows; `bulkops export conversations --ids-from SPOOL` exports what it has",
        )
    kinds = [key for key in said if key in OPTIONS]
    if len(kinds) != 1:
        if said and not kinds:
            key = str(next(iter(said)))
            raise LineError(f"$each.{key}", f"is no source; {nearest(key, OPTIONS)}")
        raise LineError("$each", f"has to name one source: {example}")
    kind = str(kinds[0])
    for key in said:
        if key != kind and key not in OPTIONS[kind]:
            raise LineError(f"$each.{key}", f"is not known; {nearest(key, [kind, *OPTIONS[kind]])}")
    named = said[kind]
    if not isinstance(named, str) or not named or "\0" in named:
        raise LineError(f"$each.{kind}", f"has to be a text that is not empty, such as {example}")
    if kind == "op":
        _check_listing(said)
    if kind == "csv":
        _check_options(said)
    check_where(said.get("where"))
    return kind


def _check_listing(said: Mapping[str, Json]) -> None:
    if said["op"] not in LISTINGS:
        raise LineError("$each.op", f"is no listing; {nearest(said['op'], LISTINGS)}")
    account = said.get("account")
    if account is not None and (wrong := MARKS["account"](account)):
        raise LineError("$each.account", wrong)
    query = said.get("query")
    if query is not None and not isinstance(query, dict):
        raise LineError("$each.query", 'has to be an object of texts, such as {"search": "Support"}')
    for name, text in (query or {}).items():
        if not isinstance(text, str):
            what = 'has to be a text, which is asked for as it stands: write "true" for true, and "5" for 5'
            raise LineError(f"$each.query.{name}", what)


def _check_options(said: Mapping[str, Json]) -> None:
    delimiter = said.get("delimiter")
    if delimiter is not None and (
        not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n'
    ):
        raise LineError("$each.delimiter", 'has to be one character, such as ";"')
    _encoding(said)
    types = said.get("types")
    if types is None:
        return
    if not isinstance(types, dict):
        raise LineError("$each.types", 'has to be an object, such as {"copies": "integer"}')
    for column, name in types.items():
        if not isinstance(name, str) or name not in TYPES:
            raise LineError(f"$each.types.{column}", f"has to be one of {', '.join(TYPES)}")


def _encoding(said: Mapping[str, Json]) -> str:
    encoding = said.get("encoding")
    if encoding is None:
        encoding = "utf-8"
    if isinstance(encoding, str):
        try:
            "".encode(encoding)
        except (LookupError, UnicodeError, ValueError):
            pass
        else:
            # A mark at the beginning says what is known already.
            return "utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else str(encoding)
    raise LineError("$each.encoding", 'has to name an encoding of text, such as "utf-8" or "cp1252"')


def _whole(text: str) -> Json:
    value = _number(text)
    if not isinstance(value, int):
        raise TypeError(text)
    return value


def _number(text: str) -> Json:
    value = parse_exactly(text.encode())
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(text)
    return value


def _truth(text: str) -> Json:
    return {"true": True, "false": False}[text.lower()]


def _json(text: str) -> Json:
    return parse_exactly(text.encode())


TYPES: Final[Mapping[str, Callable[[str], Json]]] = {
    "text": str,
    "integer": _whole,
    "number": _number,
    "boolean": _truth,
    "json": _json,
}


class _Table:
    """The rows of a CSV file (RFC 4180), whose first line names the columns."""

    def __init__(self, name: str, text: TextIO, delimiter: str, types: Mapping[str, str]) -> None:
        csv.field_size_limit(LONGEST_LINE)
        self._name = name
        self._text = text
        self._reader = csv.reader(text, delimiter=delimiter, strict=True)
        first = next(self._cells(), None)
        if first is None:
            raise JobError(
                [Problem(name, None, None, "the file is empty; its first line has to name the columns")]
            )
        # Not every encoding takes the mark at the beginning off.
        self.columns = tuple(cell.removeprefix("\ufeff").strip() for cell in first)
        wrong = [column for column in self.columns if not column or self.columns.count(column) > 1]
        if wrong:
            what = f"the column {shown(wrong[0])!r} is named twice" if wrong[0] else "a column has no name"
            raise JobError([Problem(name, 1, None, f"{what}; give each column a name of its own")])
        for column in types:
            if column not in self.columns:
                raise LineError(
                    f"$each.types.{column}", f"is no column of it; {nearest(column, self.columns)}"
                )
        self._typed = [
            (place, TYPES[types[name]], types[name])
            for place, name in enumerate(self.columns)
            if name in types
        ]

    def rows(self) -> Iterator[Mapping[str, Json]]:
        """Yield the rows; JobError with all that are wrong, after the good ones."""
        columns, typed = self.columns, self._typed
        problems: list[Problem] = []
        for cells in self._cells():
            if len(cells) != len(columns):
                what = f"has {len(cells)} cells, and the first line names {len(columns)} columns"
                self._note(
                    problems, f"{what}; correct the row (a comma within a cell wants quotes around it)"
                )
                continue
            row: dict[str, Json] = dict(zip(columns, cells, strict=True))
            for place, typed_as, name in typed:
                cell = cells[place]
                try:
                    row[columns[place]] = typed_as(cell) if cell else None
                except (ValueError, TypeError, KeyError, LineError):
                    column = shown(columns[place])
                    self._note(
                        problems, f"has {shown(cell)!r} in {column!r}, which is no {name}; correct the cell"
                    )
            yield row
        if problems:
            raise JobError(problems)

    def _note(self, problems: list[Problem], message: str) -> None:
        if len(problems) < MOST_PROBLEMS:
            problems.append(Problem(self._name, self._reader.line_num, None, f"the row {message}"))

    def _cells(self) -> Iterator[list[str]]:
        """Yield the cells of each row that is not blank; JobError where the file cannot be read as CSV."""
        try:
            for cells in self._reader:
                if cells:
                    yield cells
        except UnicodeError as error:
            exact = _undecodable(self._text)
            where = "near here" if exact is None else "here"
            what = f"is not {getattr(error, 'encoding', 'what `encoding` says')} {where}"
            remedy = 'save it as UTF-8, or say what it is, such as "encoding": "cp1252"'
            number = self._reader.line_num + 1 if exact is None else exact
            raise JobError([Problem(self._name, number, None, f"{what}; {remedy}")]) from None
        except csv.Error as error:
            look = "look for a quote that is not closed, or name the delimiter"
            what = f"cannot be read as CSV ({error}; a cell has {LONGEST_LINE // 2**20} MiB at most); {look}"
            raise JobError([Problem(self._name, self._reader.line_num, None, what)]) from None
        except OSError as error:
            what = f"it cannot be read ({error.strerror}); check the path and the disk"
            raise JobError([Problem(self._name, None, None, what)]) from None


def _undecodable(text: TextIO) -> int | None:
    """Return the number of the first line with a byte that cannot be decoded; None where that cannot be told.

    Text is decoded some thousand bytes at a time, so whoever reads lines hears of it before they have come to the line.
    """
    # The number is looked for when it is needed, so that rows which can be read cost nothing more.
    with open(os.dup(text.fileno()), encoding=text.encoding, errors=_MARKING, newline="") as again:
        try:
            again.seek(0)
            return next((number for number, line in enumerate(again, 1) if _UNDECODABLE in line), None)
        except (UnicodeError, OSError):
            return None


def _objects(file: JobFile) -> Iterator[Mapping[str, Json]]:
    """Yield the objects of a file of JSON lines; JobError with all that are wrong, after the good ones."""
    problems: list[Problem] = []
    for raw in file.lines():
        try:
            row = parse_object(raw.raw.removeprefix(b"\xef\xbb\xbf") if raw.number == 1 else raw.raw)
        except LineError as error:
            if len(problems) < MOST_PROBLEMS:
                problems.append(Problem(file.name, raw.number, error.field, error.message))
            continue
        yield row
    if problems:
        raise JobError(problems)


def _each_once(base: Path, paths: Iterable[str]) -> list[str]:
    """Return paths in order, and of those that lead to one name in one folder, through links say, the shortest."""
    folders: dict[str, tuple[int, int]] = {}
    found: dict[tuple[tuple[int, int], str], str] = {}
    for path in sorted(paths, key=lambda path: (path.count("/"), path)):
        folder, name = os.path.split(path)
        if folder not in folders:
            status = os.stat(base / folder)
            folders[folder] = (status.st_dev, status.st_ino)
        found.setdefault((folders[folder], name), path)
    return sorted(found.values())


def _check_folders(pattern: str, base: Path) -> None:
    """Raise LineError for a folder that may not be read: its files would be missing without a word."""
    start = base / pattern.partition("*")[0].rpartition("/")[0]

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            where = shown(str(error.filename), _LONGEST_NAME)
            raise LineError(
                "$each.glob", f"has to look into {where}, which cannot be read; change its permissions"
            )

    for _, folders, _ in os.walk(start, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]


def _files(pattern: str, base: Path) -> Iterator[Mapping[str, Json]]:
    """Yield the files that a pattern matches, in the order of their paths; LineError when there is none."""
    if "**" in pattern:
        _check_folders(pattern, base)
    found = _each_once(
        base,
        (path for path in glob.iglob(pattern, root_dir=base, recursive=True) if os.path.isfile(base / path)),
    )
    if not found:
        where = "" if os.path.isabs(pattern) else f" in {shown(str(base), _LONGEST_NAME)}"
        raise LineError(
            "$each.glob", f"matches no file{where}; `**` stands for any folders, `*` for any name"
        )
    for path in found:
        try:
            path.encode()
        except UnicodeEncodeError:
            raise LineError(
                "$each.glob", f"matches {shown(path)!r}, whose name is not UTF-8; rename it"
            ) from None
        parts = PurePosixPath(Path(path).as_posix())
        yield {
            "path": path,
            "name": parts.name,
            "stem": parts.stem,
            "suffix": parts.suffix,
            "folder": str(parts.parent),
        }
