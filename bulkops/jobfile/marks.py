"""What every line may carry beside its kind's fields: id, needs, tags, account, on_error, meta."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bulkops.jobfile.problems import shown
from bulkops.operation import MOST_OPERATIONS_PER_LINE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.operation import Check

ID_LENGTH = 200
WAYS_ON_ERROR = ("block", "continue", "halt")

_SIGNS = re.compile(r"[#\[\]{}]")
_MADE_ID = re.compile(r"~[0-9a-f]{32}")
_NEED = re.compile(r"([^\[\]]+)(?:\[([1-9][0-9]{0,5})\])?")
NAME_RULE = f"1 to {ID_LENGTH} printable characters without # [ ] {{ }}, no blank at either end"
TAG_RULE = f"a text of {NAME_RULE}, no @ in front"
TAG_MARK = "@"
"""In front of the name of a tag it says, where ids stand as well, that a tag is meant."""


def wrong_id(value: Any) -> str | None:
    """Check an id: see `Check`."""
    if not is_plain_name(value) or value[0] == "@":
        return f"has to be a text of {NAME_RULE}, no @ in front"
    if value[0] == "~" and not _MADE_ID.fullmatch(value):
        return "must not start with ~: such ids are kept for the lines that bulkops writes; choose another"
    return None


def read_need(need: str) -> tuple[str, int | None] | None:
    """Return what `ID` or `ID[N]` names: the id, and the number of one of its operations, from 1; or `@TAG` itself."""
    if need.startswith(TAG_MARK):
        return (need, None) if is_tag(need[1:]) else None
    match = _NEED.fullmatch(need)
    if match is None or wrong_id(match[1]):
        return None
    number = int(match[2]) if match[2] else None
    return None if number is not None and number > MOST_OPERATIONS_PER_LINE else (match[1], number)


def is_tag(value: Any) -> bool:
    """Tell whether a value keeps the rule of tags."""
    return is_plain_name(value) and value[0] != TAG_MARK


def is_plain_name(value: Any) -> bool:
    """Tell whether a value keeps the rule of names."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= ID_LENGTH
        and value.isprintable()
        and value.strip() == value
        and not _SIGNS.search(value)
    )


def _wrong_needs(value: Any) -> str | None:
    if not isinstance(value, list) or not all(isinstance(need, str) for need in value):
        return 'has to be a list of ids and tags, such as ["tenant-1", "@handbook"]'
    for need in value:
        if read_need(need) is None:
            what = "write ID, ID[N] for the line's Nth operation, or @TAG for all lines with a tag"
            return f"holds {shown(need)!r}, which is no id and no tag; {what}"
    return None


def _wrong_tags(value: Any) -> str | None:
    if not isinstance(value, list):
        return 'has to be a list of texts, such as ["handbook"]'
    for tag in value:
        if not is_tag(tag):
            return f"holds a tag that is not {TAG_RULE}"
    return None


def _wrong_account(value: Any) -> str | None:
    if not isinstance(value, str) or not value:
        return "has to be the name of an account, a text that is not empty"
    return "has to be written out: an expression cannot stand here" if "${" in value else None


def _wrong_on_error(value: Any) -> str | None:
    return None if value in WAYS_ON_ERROR else f"has to be one of {', '.join(WAYS_ON_ERROR)}"


def _wrong_meta(value: Any) -> str | None:
    return None if isinstance(value, dict) else "has to be a JSON object"


def wrong_use(value: Any) -> str | None:
    """Check what a line uses: see `Check`."""
    names = value if isinstance(value, list) else [value]
    if all(isinstance(name, str) for name in names):
        return None
    return 'has to be the name of a template, or a list of names, such as ["copy", "german"]'


def _wrong_op(_: Any) -> None:
    """Accept: the kind has been looked up already."""


MARKS: Mapping[str, Check] = {
    "op": _wrong_op,
    "id": wrong_id,
    "custom_id": wrong_id,
    "needs": _wrong_needs,
    "tags": _wrong_tags,
    "use": wrong_use,
    "account": _wrong_account,
    "on_error": _wrong_on_error,
    "meta": _wrong_meta,
}
"""The reserved keys of a line, each with its check."""
