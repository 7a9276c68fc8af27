"""Templates: fields that the header says once, under a name, for the lines that `use` it."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from bulkops.jobfile.marks import wrong_use
from bulkops.jobfile.merging import under
from bulkops.jobfile.problems import LineError, nearest, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulkops.model import Json

    Fields = Mapping[str, Json]


def used_by(line: Fields, templates: Mapping[str, Fields], problems: list[LineError]) -> list[Fields]:
    """Return the templates that a line uses, in order; what it names and is not there is added to the problems."""
    use = line.get("use")
    if use is None or wrong_use(use):
        return []
    used = []
    for name in [use] if isinstance(use, str) else use:
        if name in templates:
            used.append(templates[name])
        else:
            problems.append(_unknown(name, templates))
    return used


def kind_of(line: Fields, used: Sequence[Fields]) -> Json:
    """Return what a line does: what it says itself, else the last of its templates that says it."""
    for said in (line, *reversed(used)):
        if "op" in said:
            return said["op"]
    return None


def beneath(defaults: Fields, used: Sequence[Fields]) -> Fields:
    """Return what stands under a line: the defaults of its kind, and over them its templates in order."""
    return reduce(under, used, defaults)


def _unknown(name: str, templates: Mapping[str, Fields]) -> LineError:
    hint = nearest(name, templates) if templates else "the header has none; add it to `templates` there"
    return LineError("use", f"names {shown(name)!r}, which is no template; {hint}")
