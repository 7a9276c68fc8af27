"""The first line of a job file, where it says once what counts for all: `{"$job": {…}}`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from bulkops.errors import JobError
from bulkops.jobfile.expressions import may_hold_expressions
from bulkops.jobfile.problems import LineError, LineProblems, nearest
from bulkops.jobfile.strict import parse_object
from bulkops.jobfile.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulkops.jobfile.reading import JobFile, RawLine
    from bulkops.model import Json

MARK = "$job"
_LATER = frozenset({"accounts", "templates", "vars", "version"})
_NEVER = frozenset(
    {"api_key", "apikey", "base_url", "host", "key", "password", "secret", "token", "url", "xi-api-key"}
)
_MARKS_WITH_DEFAULT = frozenset({"account", "meta", "on_error", "tags"})


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says; without a header, nothing. The lines start at offset `start`, number `first`."""

    name: str | None = None
    about: str | None = None
    account: str | None = None
    defaults: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    may_hold_expressions: bool = False
    """Do the defaults have to be searched for expressions?"""
    start: int = 0
    first: int = 1


def read_header(file: JobFile) -> Header:
    """Return the header of a job file; JobError with everything that is wrong with it."""
    first = next(file.lines(), None)
    if first is None:
        return Header()
    try:
        written = _written(first)
        if written is None:
            return Header()
        return _header(written, first, file.after(first))
    except LineProblems as problems:
        raise JobError([file.problem(first.number, *wrong) for wrong in problems.found]) from None


def _written(first: RawLine) -> dict[str, Json] | None:
    """Return the line if it is a header; a line that cannot be read is reported where lines are parsed."""
    try:
        written = parse_object(first.raw)
    except LineError as error:
        if b'"$job"' in first.raw:
            raise LineProblems([error]) from None
        return None
    return written if MARK in written else None


def _header(written: dict[str, Json], line: RawLine, start: int) -> Header:
    problems = list(_problems(written))
    if problems:
        raise LineProblems(problems)
    said = written[MARK]
    defaults = {op: defaults for op, defaults in said.get("defaults", {}).items() if defaults}
    return Header(
        name=said.get("name"),
        about=said.get("about"),
        account=said.get("account"),
        defaults=defaults,
        may_hold_expressions=may_hold_expressions(orjson.dumps(defaults)),
        start=start,
        first=line.number + 1,
    )


def _problems(written: dict[str, Json]) -> Iterator[LineError]:
    for key in written.keys() - {MARK}:
        yield LineError(
            key, f"stands beside `{MARK}`; move it into the header's object or to a line of its own"
        )
    said = written[MARK]
    if not isinstance(said, dict):
        yield LineError(MARK, 'has to be an object, such as {"$job": {"name": "spring"}}')
        return
    for key, value in said.items():
        place = f"{MARK}.{key}"
        if key == "defaults":
            yield from _wrong_defaults(value)
        elif key in _TEXTS:
            if not isinstance(value, str) or not value:
                yield LineError(place, "has to be a text that is not empty")
        else:
            yield LineError(place, _why_not(key))


_TEXTS = ("name", "about", "account")


def _why_not(key: str) -> str:
    if key.lower() in _NEVER:
        return (
            "cannot stand in a job file: it may name an account, never a host or a key; "
            "put both into the accounts file or the environment (ELEVENLABS_API_KEY)"
        )
    if key in _LATER:
        return "is not available in this version; take it out"
    return f"is not known in a header; {nearest(key, [*_TEXTS, 'defaults'])}"


def _wrong_defaults(defaults: Json) -> Iterator[LineError]:
    if not isinstance(defaults, dict):
        yield LineError(f"{MARK}.defaults", 'has to be an object, such as {"agent.clone": {"copies": 2}}')
        return
    for op, values in defaults.items():
        place = f"{MARK}.defaults.{op}"
        if op not in TABLES:
            yield LineError(place, f"is no known kind; {nearest(op, TABLES)}")
        elif not isinstance(values, dict):
            yield LineError(place, "has to be an object with fields of that kind")
        else:
            for key, value in values.items():
                wrong = _wrong_default(op, key, value)
                if wrong is not None:
                    yield LineError(f"{place}.{key}", wrong)


def _wrong_default(op: str, key: str, value: Any) -> str | None:
    table = TABLES[op]
    if key not in table.fields and key not in _MARKS_WITH_DEFAULT:
        return f"cannot be a default of {op}; {nearest(key, [*table.fields, *_MARKS_WITH_DEFAULT])}"
    if b"${" in orjson.dumps(value):
        return None  # checked at the lines, where its expressions are read
    return table.checks[key](value)


def under(defaults: Mapping[str, Json], line: Mapping[str, Json]) -> dict[str, Json]:
    """Return a line's object with the defaults under it: objects merge, null removes a default.

    Other than in RFC 7396, a null that meets no default stays: bodies are sent as they are written.
    """
    merged = dict(defaults)
    for key, value in line.items():
        if key not in defaults:
            merged[key] = value
        elif value is None:
            del merged[key]
        elif isinstance(value, dict) and isinstance(defaults[key], dict):
            merged[key] = under(defaults[key], value)
        else:
            merged[key] = value
    return merged
