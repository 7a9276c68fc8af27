"""`{"$collect": {"tag": …, "field": …}}`: what is written, read into a hole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bulkops.jobfile.holes import Collect
from bulkops.jobfile.marks import TAG_RULE, is_tag
from bulkops.jobfile.problems import LineError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.model import Json

COLLECT: Final = "$collect"
_EXAMPLE = '{"tag": "handbook", "field": "document_id"}'
_WORDS: Mapping[str, tuple[str, ...]] = {"on_failed": ("block", "omit"), "merge": ("replace", "union")}
_KEYS = ("tag", "field", *_WORDS)
_VAR = re.compile(r"\$\{var:([^{}]*)\}")


def collect_of(
    written: Mapping[str, Json], vars: Mapping[str, Json] | None, problems: list[LineError]
) -> Collect | None:
    """Return what an object with a `$collect` means; None, with problems noted, where that cannot be told.

    The field of a problem is its place within the object. `vars` serve a tag that is a var.
    """
    said = written[COLLECT]
    others = [key for key in written if key != COLLECT]
    if others:
        what = f"stands beside `{COLLECT}`, which stands for a whole list; take it out"
        problems += [LineError(key, what) for key in others]
        return None
    if not isinstance(said, dict):
        problems.append(LineError(COLLECT, f"has to be an object, such as {_EXAMPLE}"))
        return None
    found = [
        LineError(f"{COLLECT}.{key}", f"is not known; {nearest(key, _KEYS)}")
        for key in said.keys() - {*_KEYS}
    ]
    tag = _tag(said.get("tag"), vars)
    if not is_tag(tag):
        found.append(
            LineError(f"{COLLECT}.tag", f"has to be a tag of other lines: {TAG_RULE}, such as {_EXAMPLE}")
        )
    field = said.get("field")
    path = tuple(field.split(".")) if isinstance(field, str) else ()
    if not path or not all(path) or "$" in str(field):
        what = (
            "has to name what is taken of each result, such as `document_id`, or `a.b` for what lies deeper"
        )
        found.append(LineError(f"{COLLECT}.field", what))
    for key, words in _WORDS.items():
        if said.get(key) is not None and said[key] not in words:
            found.append(LineError(f"{COLLECT}.{key}", f"has to be one of {', '.join(words)}"))
    problems += found
    if found:
        return None
    return Collect(tag, path, omit=said.get("on_failed") == "omit", union=said.get("merge") == "union")


def _tag(tag: Json, vars: Mapping[str, Json] | None) -> Json:
    """Return the tag that is written, or that a var says."""
    if isinstance(tag, str) and (match := _VAR.fullmatch(tag)):
        return (vars or {}).get(match[1])
    return tag
