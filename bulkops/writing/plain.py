"""Values as a job file has to write them to mean just that."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkops.model import Json


def plain(value: Json) -> Json:
    """Return a value with no text in it that would be read for expressions."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
