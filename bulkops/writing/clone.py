"""A job that clones an agent for every row of a CSV file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from bulkops.api.profile import is_entity_id
from bulkops.errors import UsageError
from bulkops.jobfile.problems import nearest, shown
from bulkops.writing.rows import csv_source, of_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bulkops.model import Json

_PATH = re.compile(r"(?:conversation_config|platform_settings)(?:\.[A-Za-z0-9_-]+)+")
"""A column of this name says what stands there in the agent's configuration."""


def clone_lines(csv: Path, agent: str, *, start: Path, id: str | None, name: str | None) -> Iterator[bytes]:
    """Yield the lines of the job, header first, for a job file in the folder `start`.

    `id` and `name` are columns: of the ids of the lines (the first one, unless given) and the names of the agents
    (`name`, unless given, where there is one). UsageError when the file or a column cannot be used.
    """
    if not is_entity_id(agent):
        raise UsageError(f"--agent: {shown(agent)!r} is no id of an agent")
    source, columns = csv_source(csv, start)
    of_id = _known(id, "--id", columns) or columns[0]
    of_name = _known(name, "--name", columns) or ("name" if "name" in columns else None)
    others = [column for column in columns if column not in {of_id, of_name}]
    settings = [column for column in others if _PATH.fullmatch(column)]
    line: dict[str, Json] = {"op": "agent.clone", "id": of_row(of_id), "agent_id": agent}
    if of_name is not None:
        line["name"] = of_row(of_name)
    if settings:
        line["set"] = _nested(settings)
    if len(others) > len(settings):
        line["meta"] = {column: of_row(column) for column in others if column not in settings}
    about = f"A clone of {agent} for every row of {csv.name}. Rows can be added later: run it again."
    yield orjson.dumps({"$job": {"name": f"clone {csv.stem}", "about": about}})
    yield orjson.dumps({"$each": source, "line": line})


def _known(column: str | None, option: str, columns: Iterable[str]) -> str | None:
    if column is not None and column not in columns:
        raise UsageError(f"{option}: there is no column {shown(column)!r}; {nearest(column, columns)}")
    return column


def _nested(paths: Iterable[str]) -> dict[str, Any]:
    """Return the object in which each row's values stand at these dotted paths."""
    whole: dict[str, Any] = {}
    for path in paths:
        *folders, last = path.split(".")
        place = whole
        for key in folders:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise UsageError(f"the column {path!r} stands within another column; rename one of them")
        if last in place:
            raise UsageError(f"another column stands within the column {path!r}; rename one of them")
        place[last] = of_row(path)
    return whole
