"""JSON merge patch (RFC 7396)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkops.model import Json


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
