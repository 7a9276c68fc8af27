"""The files of the run folder that are made from the checkpoint: always whole, rebuilt at will."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

import orjson

from bulkops.api import PROFILES
from bulkops.checkpoint import spelled
from bulkops.model import State
from bulkops.operations import KINDS
from bulkops.outputs.atomic import atomic_write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from bulkops.checkpoint.rows import OperationRow, StepRow
    from bulkops.model import Json

TO_REPEAT = frozenset({State.FAILED, State.BLOCKED})
_AT_ONCE = 2**16
"""Records of so many bytes are searched and written together."""
_MADE = b'"created":[{'
_EXISTED = b'"existed":true'
_DOUBLED = b'"possible_duplicate":true'


_MAPS = (b'"source":{', b'"source_id":')


def write_results(
    records: Iterable[bytes],
    results: Path,
    created: Path,
    under_way: Iterable[StepRow] = (),
    *,
    own: str | None = None,
) -> int:
    """Write one line per operation, its record, and one line per entity that was made.

    Also what was made by operations that failed later, or have not ended (`under_way`), is told. One pass for
    both: records are read from disk. Return how many operations may have made something twice.

    `id_map.jsonl` beside them tells which id takes the place of which: of what was cloned, and of what was made by
    lines whose `meta.source_id` says so; where `if_exists` found one, that. `own` is the name of the run's own account.
    None is written without pairs.
    """
    doubled = 0
    pairs = _id_map(created.with_name("id_map.jsonl"), own)
    with atomic_write(results) as of_operations, atomic_write(created) as of_entities, pairs as add_pairs:
        for some in _together(records):
            text = b"\n".join([*some, b""])
            of_operations.write(text)
            if text.find(_DOUBLED) >= 0:
                doubled += sum(record.find(_DOUBLED) >= 0 for record in some)
            # Most records of a large job tell of nothing made; they are not worth parsing.
            if text.find(_MADE) >= 0:
                of_entities.writelines(map(_created, some))
            if _may_map(text):
                add_pairs(some)
        for step in under_way:
            if step.entity is not None:
                of_entities.write(_made_by(step))
                of_entities.write(b"\n")
    return doubled


@contextmanager
def _id_map(path: Path, own: str | None) -> Iterator[Callable[[Iterable[bytes]], None]]:
    """Give what writes the pairs of ids that records tell of to a file, which begins to be with the first one."""
    with ExitStack() as opened:
        files: list[BinaryIO] = []

        def add(records: Iterable[bytes]) -> None:
            for record in records:
                pair = _pair(orjson.loads(record), own) if _may_map(record) else None
                if pair is not None:
                    if not files:
                        files.append(opened.enter_context(atomic_write(path)))
                    files[0].write(orjson.dumps(pair, option=orjson.OPT_APPEND_NEWLINE))

        yield add


def _may_map(text: bytes) -> bool:
    """Tell whether records may tell of a pair, without parsing them."""
    made = text.find(_MADE) >= 0 or text.find(_EXISTED) >= 0
    return made and any(text.find(mark) >= 0 for mark in _MAPS)


def _pair(record: Mapping[str, Json], own: str | None) -> dict[str, Json] | None:
    """Return what an operation made, or found in its place, and the id whose place that takes, if it does."""
    new = _new_of(record)
    old = None if new is None else _source_of(record, new["kind"])
    if old is None or new is None:
        return None
    return {"old": old, "new": new["id"], "kind": new["kind"], "account": record.get("account", own)}


def _new_of(record: Mapping[str, Json]) -> dict[str, str] | None:
    """Return what an operation made, or what there was already that it took instead."""
    if record["created"]:
        made: dict[str, str] = record["created"][0]
        return made
    kind, result = record["op"].partition(".")[0], record["result"]
    found = result.get(f"{kind}_id") if isinstance(result, dict) and result.get("existed") is True else None
    return {"kind": kind, "id": found} if isinstance(found, str) else None


def _source_of(record: Mapping[str, Json], kind: str) -> str | None:
    """Return the id whose place is taken by what an operation made."""
    said = (record["meta"] or {}).get("source_id")
    result = record["result"]
    source = result.get("source") if isinstance(result, dict) else None
    if said is None and record["op"].endswith(".clone") and isinstance(source, dict):
        said = source.get(f"{kind}_id")
    return said if isinstance(said, str) and said else None


def write_failed(rows: Iterable[OperationRow], path: Path) -> None:
    """Write the original line of what failed or is blocked, once each; rows come in order of their lines.

    A line without an id gets one made from its identity, by which it is recognised when it was corrected.
    """
    _write_lines(map(_line_to_repeat, _once_per_line(rows)), path)


def write_in_doubt(rows: Iterable[OperationRow], path: Path, command: Callable[[str], str]) -> None:
    """Write what is held: since when, why, what to look for in the account, and what settles it.

    `command` makes, of the id by which an operation is named, the command that settles it by hand.
    """
    _write_lines((doubt(row, command) for row in rows if row.state is State.IN_DOUBT), path)


def write_summary(summary: Mapping[str, Json], path: Path) -> None:
    """Write the summary of a run, laid out for people too."""
    with atomic_write(path) as file:
        file.write(orjson.dumps(dict(summary), option=orjson.OPT_INDENT_2) + b"\n")


def with_id(raw: bytes, line_key: bytes) -> bytes:
    """Return a line with an id as its first key, and all its other bytes; one that has an id as it is."""
    line = orjson.loads(raw)
    if not line.keys().isdisjoint({"id", "custom_id"}):
        return raw
    # A JSON object has nothing but blanks before its first brace.
    before, _, after = raw.partition(b"{")
    return b'%b{"id": "~%b"%b%b' % (before, line_key.hex().encode(), b", " if line else b"", after)


def _write_lines(lines: Iterable[bytes], path: Path) -> None:
    with atomic_write(path) as file:
        for line in lines:
            file.write(line)
            file.write(b"\n")


def _once_per_line(rows: Iterable[OperationRow]) -> Iterator[OperationRow]:
    """Leave out further operations of a line; what was seen is remembered for one line number at a time."""
    number, seen = -1, set[bytes]()
    for row in rows:
        if row.line != number:
            number, seen = row.line, set()
        if row.state in TO_REPEAT and row.raw is not None and row.line_key not in seen:
            seen.add(row.line_key)
            yield row


def _line_to_repeat(row: OperationRow) -> bytes:
    raw = (row.raw or b"").removesuffix(b"\n")
    return raw if row.id is not None else with_id(raw, row.line_key)


def _together(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield records in lists: what is done to many at once costs each next to nothing."""
    some: list[bytes] = []
    size = 0
    for record in records:
        some.append(record)
        size += len(record)
        if size >= _AT_ONCE:
            yield some
            some, size = [], 0
    yield some


def _created(of_operation: bytes) -> bytes:
    """Return a line for each thing that an operation made."""
    if of_operation.find(_MADE) < 0:
        return b""
    record = orjson.loads(of_operation)
    lines = []
    for made in record["created"]:
        told = {
            "kind": made["kind"],
            "id": made["id"],
            "custom_id": record["id"],
            "line": record["line"],
            "op": record["op"],
            "ended_at": record["ended_at"],
        }
        if "account" in record:
            told["account"] = record["account"]
        lines.append(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
    return b"".join(lines)


def _made_by(step: StepRow) -> bytes:
    """Return the line of what an operation made that has not ended: which one it is, its end will tell."""
    kind = KINDS.get(step.endpoint)
    made = {
        "kind": (None if kind is None else kind.makes) or step.endpoint.partition(".")[0],
        "id": step.entity,
        "custom_id": None,
        "line": None,
        "op": step.endpoint,
        "ended_at": None,
    }
    return orjson.dumps(made)


def doubt(row: OperationRow, command: Callable[[str], str]) -> bytes:
    """Return the line of `in_doubt.jsonl` of an operation that is held."""
    record = orjson.loads(row.record)
    name = record["id"] or spelled(row.line_key) + (f"[{row.index + 1}]" if "copy" in record else "")
    return orjson.dumps(
        {
            "id": record["id"],
            "line": record["line"],
            "op": record["op"],
            "since": record["ended_at"],
            "reason": (record["error"] or {}).get("message"),
            "look_for": _look_for(row, record),
            "evidence": record.get("evidence"),
            "settle": f"{command(name)} --adopt ID | --retry | --skip",
            "created": record["created"],
        }
    )


def _look_for(row: OperationRow, record: Mapping[str, Json]) -> str:
    kind = KINDS.get(row.kind)
    thing = kind.makes if kind is not None else None
    span = f"between {record['started_at']} and {record['ended_at']}"
    if thing is not None:
        name = _name(row.raw)
        called = f" named {name}" if name else ""
        article = "an" if thing[0] in "aeiou" else "a"
        return f"{article} {thing}{called} that was made {span}"
    return f"signs in the account that {row.kind} took effect {span}"


_NAMES: Final = (
    ("name",),
    *dict.fromkeys(
        each.sent_name
        for api in PROFILES.values()
        for each in api.listings().values()
        if each.sent_name != ("name",)
    ),
)
"""Where a body may say the name of what it makes, in the words of any API."""


def _at(value: Json, place: tuple[str, ...]) -> Json:
    for key in place:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _name(raw: bytes | None) -> str | None:
    """Return the name that a line gives to what it makes; what is still a reference says nothing."""
    line = orjson.loads(raw) if raw is not None else {}
    body = line.get("body")
    name = line.get("name") or next(filter(None, (_at(body, place) for place in _NAMES)), None)
    return orjson.dumps(name).decode() if isinstance(name, str) and "${" not in name else None
