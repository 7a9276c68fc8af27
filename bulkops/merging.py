"""JSON merge patches (RFC 7396): applying, finding and taking back one; comparing; lists that are added to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from bulkops import model
from bulkops.errors import OperationFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulkops.model import Json


@model.value
class Added:
    """Stands in a body for a list: these values are added to what is there, where the API would replace it."""

    values: tuple[Json, ...]


def merge_patch(target: Json, patch: Json) -> Json:
    """Return `target` with `patch` applied; neither is changed.

    An object merges key by key, null removes a key, everything else replaces (RFC 7396, section 2).
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def adds(body: Json) -> bool:
    """Tell whether a body has lists that are added to what is there."""
    if isinstance(body, dict):
        return any(map(adds, body.values()))
    return isinstance(body, Added)


def added_to(body: Json, current: Json, path: str = "") -> Json:
    """Return a body in which each list that is added to what is there is the whole list.

    `current` is what is there. Its order stays, and what it has is not added again. OperationFailed where something
    else than a list is there.
    """
    if isinstance(body, Added):
        if not isinstance(current, list | None):
            raise OperationFailed("no_list", f"nothing can be added to `{path}`: it is no list")
        whole = list(current or ())
        known = {orjson.dumps(item, option=orjson.OPT_SORT_KEYS) for item in whole}
        for item in body.values:
            mark = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
            if mark not in known:
                known.add(mark)
                whole.append(item)
        return whole
    if isinstance(body, dict):
        there = current if isinstance(current, dict) else {}
        return {
            key: added_to(item, there.get(key), f"{path}.{key}" if path else key)
            for key, item in body.items()
        }
    return body


def patch_between(old: Json, new: Json) -> Json:
    """Return the merge patch that makes `new` of `old`; what `old` alone has is null in it.

    A null in a value cannot be told from its absence in such a patch.
    """
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    patch = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key not in old or not same(old[key], value):
            patch[key] = patch_between(old[key], value) if key in old else value
    return patch


def restored(now: Json, patch: Json, before: Json) -> Json:
    """Return `now` with what a merge patch names put back to what it was `before` it was applied."""
    if not (isinstance(patch, dict) and isinstance(now, dict) and isinstance(before, dict)):
        return before
    back = dict(now)
    for key, value in patch.items():
        if key not in before:
            back.pop(key, None)
        elif key in back:
            back[key] = restored(back[key], value, before[key])
        else:
            back[key] = before[key]
    return back


def unlike(expected: Json, found: Json, path: str = "") -> Iterator[str]:
    """Yield the dotted paths at which something does not read as expected.

    Of objects, only the keys count that are expected; everything else has to be equal. An expected null may be missing.
    """
    if not isinstance(expected, dict):
        if not same(expected, found):
            yield path
        return
    if not isinstance(found, dict):
        yield path
        return
    for key, value in expected.items():
        if value is not None or found.get(key) is not None:
            yield from unlike(value, found.get(key), f"{path}.{key}" if path else key)


def same(one: Json, other: Json) -> bool:
    """Tell whether two values are the same JSON; to Python, true is 1 as well."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
