"""`where`: which rows of a source are kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bulkops.jobfile.problems import LineError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bulkops.model import Json

_WHERE: Final = "$each.where"
_NOTHING: Final = object()


def _begins(value: Any, said: Any) -> bool:
    return isinstance(value, str) and value.startswith(said)


def _ends(value: Any, said: Any) -> bool:
    return isinstance(value, str) and value.endswith(said)


def _contains(value: Any, said: Any) -> bool:
    return isinstance(value, str | list) and said in value


def _before(value: Any, said: Any) -> bool:
    return (ordered := _ordered(value, said)) is not None and ordered[0] < ordered[1]


def _since(value: Any, said: Any) -> bool:
    return (ordered := _ordered(value, said)) is not None and ordered[0] >= ordered[1]


CONDITIONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "prefix": _begins,
    "suffix": _ends,
    "contains": _contains,
    "before": _before,
    "since": _since,
    "not": lambda value, said: value is not _NOTHING and not is_one_of(value, _listed(said)),
}
"""What a value may be asked, beside what it is: by the words of `where`."""
_OF_TEXTS: Final = ("prefix", "suffix", "contains")
_ORDERED: Final = ("before", "since")


def check_where(where: Json) -> None:
    """Raise LineError for what is wrong with a `where`."""
    if where is None:
        return
    if not isinstance(where, dict):
        raise LineError(_WHERE, 'has to be an object, such as {"kind": "agent"}')
    for named, value in where.items():
        place = f"{_WHERE}.{named}"
        if isinstance(value, dict) and value:
            for word, said in value.items():
                _check_condition(f"{place}.{word}", word, said)
            continue
        if isinstance(value, dict) or _is_no_choice(value):
            known, example = ", ".join(CONDITIONS), '{"prefix": "Support "}'
            ways = f"a plain value, a list of those it may be, or what is asked of it ({known})"
            raise LineError(place, f"has to be {ways}, such as {example}")


def wanted(
    rows: Iterator[Mapping[str, Json]], where: Mapping[str, Json], columns: tuple[str, ...] | None
) -> Iterator[Mapping[str, Json]]:
    """Yield the rows that are as `where` says; LineError for a name that no row has.

    `columns` are the names in every row, None where each has its own and a dotted name leads deeper.
    """
    asked = []
    for named, value in where.items():
        if columns is not None and named not in columns:
            raise LineError(f"{_WHERE}.{named}", f"is no column of it; {nearest(named, columns)}")
        asked.append(((named,) if columns is not None else tuple(named.split(".")), _test(value)))
    return _those(rows, asked)


def is_one_of(value: Any, values: list[Json]) -> bool:
    """Tell whether a value is one of these; true is no 1."""
    return any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in values)


def _those(
    rows: Iterator[Mapping[str, Json]], asked: list[tuple[tuple[str, ...], Callable[[Any], bool]]]
) -> Iterator[Mapping[str, Json]]:
    never = {path for path, _ in asked}
    empty = True
    for row in rows:
        empty = False
        found = [_at(row, path) for path, _ in asked]
        if never:
            never -= {path for (path, _), value in zip(asked, found, strict=True) if value is not _NOTHING}
        if all(test(value) for (_, test), value in zip(asked, found, strict=True)):
            yield row
    if never and not empty:
        raise LineError(f"{_WHERE}.{'.'.join(min(never))}", "is what no row has; correct the name")


def _at(row: Mapping[str, Json], path: tuple[str, ...]) -> Any:
    value: Any = row
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return _NOTHING
        value = value[key]
    return value


def _test(said: Json) -> Callable[[Any], bool]:
    if not isinstance(said, dict):
        values = _listed(said)
        return lambda value: is_one_of(value, values)
    tests = [(CONDITIONS[word], of) for word, of in said.items()]
    return lambda value: all(holds(value, of) for holds, of in tests)


def _listed(said: Json) -> list[Json]:
    return said if isinstance(said, list) else [said]


def _is_no_choice(value: Json) -> bool:
    return not (values := _listed(value)) or any(isinstance(each, dict | list) for each in values)


def _check_condition(place: str, word: str, said: Json) -> None:
    if word not in CONDITIONS:
        raise LineError(place, f"is not known; {nearest(word, CONDITIONS)}")
    if word in _OF_TEXTS and not isinstance(said, str):
        raise LineError(place, "has to be a text")
    if word in _ORDERED and (isinstance(said, bool) or not isinstance(said, str | int | float)):
        raise LineError(place, 'has to be a number, a text, or a time such as "2026-10-01T00:00:00Z"')
    if word == "not" and _is_no_choice(said):
        raise LineError(place, "has to be a plain value, or a list of those that are not wanted")


def _ordered(value: Any, said: Any) -> tuple[Any, Any] | None:
    """Return two values that can be compared: as times where both are, else as numbers or texts; or None."""
    if isinstance(value, str) and isinstance(said, str):
        times = _time(value), _time(said)
        return times if None not in times else (value, said)
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (value, said))
    return (value, said) if numbers else None


def _time(text: str) -> float | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    # One without a zone is taken for what the API writes: UTC.
    return time.timestamp() if time.tzinfo else time.replace(tzinfo=UTC).timestamp()
