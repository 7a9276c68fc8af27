"""A job that exports the conversations of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from bulkops.api.profile import is_entity_id
from bulkops.errors import UsageError
from bulkops.jobfile.problems import nearest, shown
from bulkops.writing.places import seen_from
from bulkops.writing.rows import csv_source, of_row, open_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from bulkops.model import Json


def export_lines(ids: Path, *, start: Path, column: str | None, field: str | None) -> Iterator[bytes]:
    """Yield the lines of the job, header first, for a job file in the folder `start`.

    The ids stand in a column of a CSV file, or in a field of JSON lines, or one on each line of a plain file; the last
    are written out, each once. UsageError when the file or an id of a plain file cannot be used.
    """
    lines: Iterable[Mapping[str, Json]]
    if column is not None:
        source, columns = csv_source(ids, start)
        if column not in columns:
            raise UsageError(f"--column: there is no column {shown(column)!r}; {nearest(column, columns)}")
        lines = [{"$each": source, "line": _line(of_row(column))}]
    elif field is not None:
        with open_rows(ids):
            lines = [{"$each": {"jsonl": seen_from(start, ids)}, "line": _line(of_row(field))}]
    else:
        lines = map(_line, dict.fromkeys(_listed(ids)))
    about = f"The conversations of {ids.name}, each to a file of its own in transcripts/."
    yield orjson.dumps({"$job": {"name": f"export {ids.stem}", "about": about}})
    yield from map(orjson.dumps, lines)


def _line(id: str) -> Mapping[str, Json]:
    return {"op": "conversation.export", "id": id, "conversation_id": id}


def _listed(ids: Path) -> Iterator[str]:
    """Yield the ids of a plain file."""
    found = None
    with open_rows(ids) as file:
        for raw in file.lines():
            found = raw.raw.removeprefix(b"\xef\xbb\xbf").decode(errors="replace").strip()
            if not is_entity_id(found):
                remedy = "name the --column of a CSV file, or the --field of JSON lines"
                raise UsageError(
                    f"{ids}, line {raw.number}: {shown(found)!r} is no id of a conversation; correct it, or {remedy}"
                )
            yield found
    if found is None:
        raise UsageError(f"{ids} has no ids; write one on each line")
