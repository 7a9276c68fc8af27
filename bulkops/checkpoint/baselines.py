"""What there was before the job made anything, as the pins of a checkpoint keep it: for things that tell no age."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import orjson

from bulkops.model import value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KEY = blake2b(digest_size=16, person=b"bulkops baseline").digest()
"""Under which all of them are pinned: no line or operation has it."""


@value
class Baseline:
    """The ids of what there was; or why that is not known, and then there are none."""

    ids: frozenset[str] = frozenset()
    unknown: str | None = None


def place_of(kind: str, account: str) -> bytes:
    """Return where the baseline of a kind of thing is pinned; `account` is empty for the run's own."""
    return f"{kind} {account}".encode()


def known(pins: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, str]]:
    """Yield of which kinds in which accounts it is known what there was, by what is pinned under `KEY`."""
    for request, pinned in pins:
        if of_pin(pinned).unknown is None:
            kind, _, account = request.decode().partition(" ")
            yield kind, account


def as_pin(baseline: Baseline) -> bytes:
    """Return a baseline as it is pinned."""
    return orjson.dumps({"ids": sorted(baseline.ids), "unknown": baseline.unknown})


def of_pin(pinned: bytes) -> Baseline:
    """Return the baseline that was pinned."""
    kept = orjson.loads(pinned)
    return Baseline(frozenset(kept["ids"]), kept["unknown"])
