"""Pages by cursor: they never say how many there are, and a cursor says nothing to who has it."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import orjson

from bulkops.emulator.answers import Refusal

from .refusing import invalid, one_of, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bulkops.emulator.endpoints import Call

T = TypeVar("T")
Place: TypeAlias = "tuple[Any, str]"
"""Where a row stands in a listing: what it is sorted by, and its id."""
_LARGEST = 100
_USUAL = 30


def page(
    call: Call,
    rows: Iterable[T],
    name_of: Callable[[T], str],
    sorts: Mapping[str, Callable[[T], Any]],
) -> tuple[list[T], dict[str, Any]]:
    """Cut the page that is asked for; also give what the answer says of it.

    `sorts` are the ways to sort, the usual one first; newest first, and names from A on, unless the query says
    otherwise. A place is that of the last row told, so what comes and goes meanwhile shifts nothing. There is a cursor
    even after the last page: only `has_more` tells the end.
    """

    def following(by: str, last: Place | None, direction: str) -> Iterable[T]:
        def place(row: T) -> Place:
            return sorts[by](row), name_of(row)

        down = direction == "desc"
        for row in sorted(rows, key=place, reverse=down):
            if last is None or (place(row) < last if down else place(row) > last):
                yield row

    return cut(call, following, name_of, sorts)


def cut(
    call: Call,
    following: Callable[[str, Place | None, str], Iterable[T]],
    name_of: Callable[[T], str],
    sorts: Mapping[str, Callable[[T], Any]],
) -> tuple[list[T], dict[str, Any]]:
    """Cut a page as `page` does, of rows that are kept in order.

    `following` gives those after a place, sorted in one of the ways, in a direction (`asc`, `desc`).
    """
    size = whole(call, "page_size", default=_USUAL, least=1, most=_LARGEST)
    by = call.query.get("sort_by", next(iter(sorts)))
    wrong = one_of(by, tuple(sorts), ["query", "sort_by"])
    direction = call.query.get("sort_direction", "asc" if by == "name" else "desc")
    wrong += one_of(direction, ("asc", "desc"), ["query", "sort_direction"])
    if wrong:
        raise invalid(wrong)
    cursor = call.query.get("cursor")
    last = _read(cursor, by) if cursor else None
    told = list(islice(following(by, last, direction), size + 1))
    more = len(told) > size
    del told[size:]
    place = _write(by, (sorts[by](told[-1]), name_of(told[-1]))) if told else None
    return told, {"next_cursor": place, "has_more": more}


def _write(by: str, place: Place) -> str:
    return urlsafe_b64encode(orjson.dumps([by, *place])).decode().rstrip("=")


def _read(cursor: str, by: str) -> Place:
    try:
        way, value, name = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if way == by and isinstance(name, str) and isinstance(value, str) == (by == "name"):
            return value, name
    except ValueError:
        pass
    raise Refusal(400, "invalid_cursor", "the cursor is not one of this listing")
