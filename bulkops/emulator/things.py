"""What a world holds, as values: agents, documents and their indexes, and the note of each lasting effect."""

from __future__ import annotations

from dataclasses import dataclass


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
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class Index:
    """A RAG index: computing until `settles`, then ready or failed."""

    model: str
    created_at: str
    settles: float
    fails: bool

    def status(self, now: float) -> str:
        """Say how far it is: `computing`, `ready` or `failed`."""
        if now < self.settles:
            return "computing"
        return "failed" if self.fails else "ready"


@dataclass(frozen=True, slots=True)
class Document:
    """A document of the knowledge base: what was uploaded is known by size and digest, and not kept."""

    document_id: str
    name: str
    size: int
    sha256: str
    index: Index | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """Something that was made and is not asked for again: a tool, a simulation."""

    id: str
    name: str
    created_at: str
