"""Ids by other ids, as files tell them that a header names: `id_map.jsonl` of other runs, and tables of one's own."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bulkops.api.profile import is_entity_id
from bulkops.errors import JobError, OperationFailed, Problem
from bulkops.jobfile.problems import LineError, shown
from bulkops.jobfile.sources import likely_delimiter, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
    from pathlib import Path

    from bulkops.model import Json


class Ids(dict[str, str]):
    """Ids by other ids. One that several take the place of cannot be asked for: OperationFailed names them."""

    def __init__(self) -> None:
        super().__init__()
        self.several: dict[str, str] = {}
        """What is said of such ids."""

    def __getitem__(self, old: str) -> str:
        if (told := self.several.get(old)) is not None:
            raise OperationFailed("ambiguous", told)
        return super().__getitem__(old)


def several(ids: Mapping[str, str], old: str) -> str | None:
    """Return what is said of an id that several take the place of; None for all others."""
    try:
        ids.get(old)
    except OperationFailed as ambiguous:
        return ambiguous.message
    return None


@dataclass(slots=True)
class IdMaps:
    """Ids of one account by ids of others; of rows that do not name their account, under None."""

    of: dict[str | None, Ids] = field(default_factory=dict)

    def over(self, own: Mapping[str, str], account: str | None) -> Mapping[str, str]:
        """Return what is said of an account, under what a line says itself."""
        maps: list[MutableMapping[str, str]] = [dict(own)]
        maps += [self.of[name] for name in dict.fromkeys((account, None)) if name in self.of]
        return ChainMap(*maps)


def read_id_maps(
    paths: Iterable[str], folder: Path, problems: list[Problem], wrong: Callable[[str], Problem]
) -> IdMaps:
    """Return what files say, whose relative paths start at a folder; what is wrong with them goes to `problems`.

    A file that ends in `.csv` has columns `old` and `new`; any other one has objects with these, one on a line. Where
    `account` stands beside them, only for that account they hold. An id that is mapped to two, such as that of
    an agent with two copies, is wrong only for who needs it. `wrong` makes a problem of what is wrong with the name of
    a file.
    """
    found, places = IdMaps(), dict[tuple[str | None, str], str]()
    for path in paths:
        kind, name = "csv" if path.lower().endswith(".csv") else "jsonl", shown(path, 1000)
        try:
            with opened({kind: path}, folder) as source:
                assert source is not None, "only a listing has no rows yet"
                if (unfit := _wrong_columns(source.columns)) is not None:
                    problems.append(Problem(name, 1, None, unfit))
                    continue
                for number, row in enumerate(source.rows, 2 if kind == "csv" else 1):
                    place = f"{path}, row {number}"
                    try:
                        account, old, new = _read(row)
                    except LineError as error:
                        problems.append(Problem(name, number, error.field, error.message))
                        continue
                    ids = found.of.setdefault(account, Ids())
                    if old not in ids:
                        ids[old], places[account, old] = new, place
                    elif old not in ids.several and ids[old] != new:
                        ids.several[old] = (
                            f"{shown(old)} is mapped to {ids[old]} ({shown(places[account, old], 1000)}) and to {new}"
                            f" ({shown(place, 1000)}); keep one of these rows, or say which in the line's `map`"
                        )
        except LineError as error:
            problems.append(wrong(error.message))
        except JobError as unreadable:
            problems += unreadable.problems
    return found


def _wrong_columns(columns: Sequence[str] | None) -> str | None:
    """Return what is wrong with the headings of a CSV file, if it is one."""
    missing = [name for name in ("old", "new") if columns is not None and name not in columns]
    if columns is None or not missing:
        return None
    named = " and ".join(f"`{name}`" for name in missing)
    has = ", ".join(shown(column, 40) for column in columns)
    remedy = "its first line has to name `old` and `new`, and may name `account`"
    if (apart := likely_delimiter(columns)) is not None:
        remedy += f"; keep the columns apart by commas, not by {apart!r}"
    return f"has no column {named}, it has: {has}; {remedy}"


def _read(row: Mapping[str, Json]) -> tuple[str | None, str, str]:
    """Return account, old and new id of a row."""
    old, account = row.get("old"), row.get("account") or None
    new: Any = row.get("new")
    if not isinstance(old, str) or not old:
        raise LineError("old", "is missing: each row says an id, and in `new` the one that takes its place")
    if not is_entity_id(new):
        raise LineError(
            "new", f"has to be the id that takes the place of {shown(old)}, and is {shown(str(new))!r}"
        )
    if account is not None and not isinstance(account, str):
        raise LineError("account", "has to be the name of an account")
    return account, old, new
