"""What an operation has changed, as the pins of a checkpoint keep it: how it was before, and each change."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import orjson

from bulkops.model import Changed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulkops.model import Json

_MARK = b"changed:"
"""What the requests of changes begin with; those of answers are digests of another length."""


def as_pin(change: Changed) -> tuple[bytes, bytes]:
    """Return what a change is pinned as: the place of a request, and that of its answer."""
    told = orjson.dumps([change.id, change.patch])
    return _MARK + blake2b(told, digest_size=8).digest(), told


def changes_of(pins: Iterable[tuple[bytes, bytes]]) -> tuple[list[Json], list[Changed]]:
    """Return, of the pins of an operation, the answers and the changes, each in the order of time."""
    answers: list[Json] = []
    changes: list[Changed] = []
    for request, told in pins:
        if request.startswith(_MARK) and len(request) == len(_MARK) + 8:
            changes.append(Changed(*orjson.loads(told)))
        else:
            answers.append(orjson.loads(told))
    return answers, changes
