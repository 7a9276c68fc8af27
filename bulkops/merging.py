"""JSON merge patch (RFC 7396), and lists that are added to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from bulkops import model
from bulkops.errors import OperationFailed

if TYPE_CHECKING:
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
