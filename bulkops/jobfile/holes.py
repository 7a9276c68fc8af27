"""Texts with holes: what stands in a value until its references have values, and how the holes are filled."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import orjson

from bulkops.jobfile.problems import LineError, shown
from bulkops.merging import Added
from bulkops.model import value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulkops.model import Json

_MOST_KEYS_SHOWN = 12
_LONGEST_INDEX = 9


@value
class Ref:
    """A value in the result of another line, or of one operation of it (`index` counts from 1)."""

    id: str
    index: int | None
    path: tuple[str, ...]

    def __str__(self) -> str:
        return f"${{ref:{self.source}#{'.'.join(self.path)}}}"

    @property
    def source(self) -> str:
        """What is referred to: `ID` or `ID[N]`."""
        return self.id if self.index is None else f"{self.id}[{self.index}]"


@value
class Collect:
    """A list of what the operations with a tag have as results: for each the value at the path.

    `omit` leaves out those that failed, instead of blocking the line; `union` adds the list to what is there.
    """

    tag: str
    path: tuple[str, ...]
    omit: bool = False
    union: bool = False

    def __str__(self) -> str:
        return f"$collect of @{self.tag}"


@value
class Copy:
    """The number of the copy, from 1."""


@value
class Text:
    """The text of a file of the user's; a relative path starts at the job file's folder."""

    path: str

    def __str__(self) -> str:
        return f"${{file:{self.path}}}"


LookedUp: TypeAlias = Ref | Collect | Text
"""What gets its value when the line runs: from results, or from a file."""
Part: TypeAlias = str | LookedUp | Copy


@value
class Holed:
    """A text with holes, which stands in a value in the place of the text. One part alone keeps its type."""

    parts: tuple[Part, ...]

    def __str__(self) -> str:
        return "".join(map(str, self.parts))


def resolve(value: Json, lookup: Callable[[LookedUp], Json], copy: int) -> Json:
    """Return a prepared value with its holes filled; LineError where `lookup` or the filling fails.

    `lookup` gives the value of a reference, `copy` is the number of the copy, from 1. Nothing is changed in
    place, and text that comes from `lookup` is taken as it is. What is collected within a list becomes part of it.
    """
    if isinstance(value, Holed):
        if len(value.parts) == 1:
            return _filled(value.parts[0], lookup, copy)
        return "".join(as_text(_filled(part, lookup, copy)) for part in value.parts)
    if isinstance(value, dict):
        return {key: resolve(item, lookup, copy) for key, item in value.items()}
    if isinstance(value, list):
        whole: list[Json] = []
        for item in value:
            filled = resolve(item, lookup, copy)
            whole += filled if is_collected(item) else [filled]
        return whole
    return value


def places_of(value: Json, place: str = "") -> Iterator[tuple[str, LookedUp]]:
    """Yield what is looked up for a prepared value, each with the dotted path at which it stands."""
    if isinstance(value, Holed):
        yield from ((place, part) for part in value.parts if isinstance(part, LookedUp))
        return
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield from places_of(part, f"{place}.{key}" if place else str(key))


def is_collected(value: Json) -> bool:
    """Tell whether a prepared value is a `$collect`."""
    return isinstance(value, Holed) and isinstance(value.parts[0], Collect)


def _filled(part: Part, lookup: Callable[[LookedUp], Json], copy: int) -> Json:
    if isinstance(part, Ref | Text):
        return lookup(part)
    if isinstance(part, Collect):
        return Added(tuple(lookup(part))) if part.union else lookup(part)
    return copy if isinstance(part, Copy) else part


def as_text(value: Json) -> str:
    """Return a value as a part of a text; LineError when it cannot be one."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        raise LineError(
            None, "cannot become part of a text: it nests too deep; refer to a part of it"
        ) from None


def pick(result: Json, ref: Ref) -> Json:
    """Return what a reference means in the result of its line; LineError when it is not there.

    Keys lead into objects, whole numbers from 0 into lists.
    """
    value = result
    for depth, key in enumerate(ref.path):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and _is_index(key) and int(key) < len(value):
            value = value[int(key)]
        else:
            path = shown(".".join(ref.path[: depth + 1]))
            raise LineError(None, f"`{path}` is not in the result of line {ref.source}; {_contents(value)}")
    return value


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdecimal() and len(key) <= _LONGEST_INDEX


def _contents(value: Json) -> str:
    if isinstance(value, dict) and value:
        keys = [shown(key, 40) for key in list(value)[:_MOST_KEYS_SHOWN]]
        return f"it has: {', '.join(keys)}{', …' if len(value) > _MOST_KEYS_SHOWN else ''}"
    if isinstance(value, list) and value:
        return f"there is a list, numbered 0 to {len(value) - 1}"
    return (
        "there is nothing inside"
        if isinstance(value, dict | list)
        else "there is a plain value, nothing inside"
    )
