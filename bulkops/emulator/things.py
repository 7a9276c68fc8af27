"""What a world holds, as values: agents, documents and their indexes, tools, and the note of each lasting effect.

Moments of their making and changing are epoch seconds.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def stamp(moment: float) -> str:
    """Write epoch seconds as RFC 3339 in UTC, to the second as the reference shows."""
    return _stamp(math.floor(moment))


@dataclass(frozen=True, slots=True)
class Effect:
    """One lasting change. `at` is epoch seconds, `request` the ordinal of the request that made it."""

    kind: str
    id: str
    name: str
    at: float
    request: int
    world: str


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent; `body` is the JSON object it was made from, with every key the client sent."""

    agent_id: str
    name: str
    body: bytes
    created: float
    updated: float


@dataclass(frozen=True, slots=True)
class Index:
    """A RAG index: computing from `begins` until `settles` (the world's clock), then ready or failed.

    `fails` says why it fails; None for one that does not.
    """

    id: str
    model: str
    created: float
    begins: float
    settles: float
    fails: str | None

    def status(self, now: float) -> str:
        """Say how far it is: `computing`, `ready` or `failed`."""
        if now < self.settles:
            return "computing"
        return "failed" if self.fails else "ready"

    def progress(self, now: float) -> float:
        """Say what part of it is done, from 0 to 1."""
        return 1.0 if now >= self.settles else max(0.0, (now - self.begins) / (self.settles - self.begins))


@dataclass(frozen=True, slots=True)
class Document:
    """A document of the knowledge base, or a folder: `type` is `file`, `text`, `url` or `folder`.

    What was uploaded is known by size and digest, and not kept; a text is. `source` is the name of the file, or the
    address; `folder` the id of the folder it is in; `indexes` stand by their models, the latest one last.
    """

    document_id: str
    name: str
    size: int
    sha256: str
    type: str = "file"
    source: str = ""
    text: str | None = None
    folder: str | None = None
    created: float = 0.0
    updated: float = 0.0
    indexes: Mapping[str, Index] = field(default_factory=dict)

    @property
    def index(self) -> Index | None:
        """The latest index."""
        return list(self.indexes.values())[-1] if self.indexes else None


@dataclass(frozen=True, slots=True)
class Made:
    """Something else that was made: a tool, a simulation, a test; `body` is the JSON object it was made from."""

    id: str
    name: str
    created: float
    body: bytes = b"{}"


def index_id(document_id: str, model: str, begins: float) -> str:
    """Name an index; another one of the same document and model is another."""
    return "idx_" + hashlib.sha256(f"{document_id}:{model}:{begins}".encode()).hexdigest()[:20]


@lru_cache(maxsize=4096)  # most answers tell the second at hand, or one told before
def _stamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
