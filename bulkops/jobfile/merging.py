"""One object of a job over another: a line over what is said once, and one such thing over the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.model import Json


def under(lower: Mapping[str, Json], upper: Mapping[str, Json]) -> dict[str, Json]:
    """Return the upper object with the lower one under it: objects merge, null removes what is under it.

    Other than in RFC 7396, a null that meets nothing stays: bodies are sent as they are written.
    """
    merged = dict(lower)
    for key, value in upper.items():
        if key not in lower:
            merged[key] = value
        elif value is None:
            del merged[key]
        elif isinstance(value, dict) and isinstance(lower[key], dict):
            merged[key] = under(lower[key], value)
        else:
            merged[key] = value
    return merged
