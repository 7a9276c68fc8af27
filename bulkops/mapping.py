"""Ids of one account in what is copied to another: where they stand, and which take their places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bulkops.api.profile import IdPath, Profile
    from bulkops.model import Json


def mapped(value: Json, ids: Mapping[str, str]) -> Json:
    """Return a value in which every whole text that is an id of the map is what the map says; nothing is changed."""
    if isinstance(value, str):
        return ids.get(value, value)
    if isinstance(value, dict):
        return {key: mapped(part, ids) for key, part in value.items()}
    if isinstance(value, list):
        return [mapped(part, ids) for part in value]
    return value


def replaced(value: Json, ids: Mapping[str, str | None]) -> Json:
    """Return a value in which every whole text that is an id of the map is what the map says; nothing is changed.

    In lists an id that the map has null for is taken out, and one that is there already is not put in again; so it is
    with objects that say theirs in `id`.
    """
    if isinstance(value, str):
        return ids.get(value) or value
    if isinstance(value, dict):
        return {key: replaced(part, ids) for key, part in value.items()}
    if not isinstance(value, list):
        return value
    there = {_named(part) for part in value}
    kept: list[Json] = []
    for part in value:
        named = _named(part)
        if named is not None and named in ids:
            new = ids[named]
            if new is None or (new in there and new != named):
                continue
            there.add(new)
        kept.append(replaced(part, ids))
    return kept


def _named(part: Json) -> str | None:
    named = part.get("id") if isinstance(part, dict) else part
    return named if isinstance(named, str) else None


def sendable(api: Profile, agent: Mapping[str, Json]) -> dict[str, Json]:
    """Return an agent without what only a server says of it, and whose it was: what is sent to have one like it."""
    taken = agent.keys() if api.agent_taken is None else api.agent_taken
    kept = {key: part for key, part in agent.items() if key in taken and key not in api.agent_assigned}
    return dict(api.agent_list.unstamped(without(kept, api.agent_unsent), seen=False))


def without(value: Json, paths: Iterable[str]) -> Any:
    """Return an object without what stands at dotted paths; one that leads nowhere takes nothing away."""
    for path in paths:
        value = _without(value, path.split("."))
    return value


def _without(value: Json, keys: Sequence[str]) -> Json:
    first, *rest = keys
    if not isinstance(value, dict) or first not in value:
        return value
    if not rest:
        return {key: part for key, part in value.items() if key != first}
    return {**value, first: _without(value[first], rest)}


def ids_at(places: Iterable[IdPath], whole: Json) -> Iterator[tuple[str, str, str]]:
    """Yield the ids in a configuration, each with its path and the kind of thing that it names.

    A place holds an id, a list of them, or a list of objects that say theirs in `id`.
    """
    for place in places:
        value = whole
        for key in place.path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        rows = value if isinstance(value, list) else [value]
        for number, row in enumerate(rows):
            found = row.get("id") if isinstance(row, dict) else row
            if isinstance(found, str) and found:
                yield f"{place.path}.{number}" if isinstance(value, list) else place.path, place.kind, found


def agents_at(field: str, whole: Json, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield, as `ids_at` does, what stands under a field of this name, wherever that is: there ids of agents stand."""
    inside = whole.items() if isinstance(whole, dict) else enumerate(whole) if isinstance(whole, list) else ()
    for key, part in inside:
        here = f"{path}.{key}" if path else str(key)
        if key == field and isinstance(part, str) and part:
            yield here, "agent", part
        else:
            yield from agents_at(field, part, here)


def texts_at(value: Json, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every whole text of a value with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from texts_at(part, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from texts_at(part, f"{path}.{number}")
