"""What passes through the sending stack: one attempt at one request, and what was heard of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bulkops.model import traced, value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.errors import OperationFailed
    from bulkops.lifecycle import Command, End, Life
    from bulkops.model import Json, Request


@dataclass(slots=True)
class Gate:
    """The body gate tells whether the last chunk of the request has been asked for.

    As long as it has not, no server can hold a complete message (RFC 9112, section 8), whatever the transport
    did, whatever exception arrived, whoever cancelled. The proof is ours and survives library upgrades.
    """

    passed: bool = False
    trouble: OperationFailed | None = None
    """Why the body could not be produced, when that was our side's fault."""


class Sink(Protocol):
    """Where an answer that is a file is written as it comes; each attempt begins it anew."""

    async def begin(self, suffix: str) -> None:
        """Begin a file with this suffix, in place of one that was begun before."""

    async def write(self, data: bytes) -> None:
        """Add to it."""


@value
class Attempt:
    """One attempt at one request.

    `key` and `number` say whose it is and which of its effectful requests, `digest` (8 bytes) what it asks for.
    """

    request: Request
    account: str
    key: bytes
    number: int
    life: Life
    digest: bytes = b""
    gate: Gate = field(default_factory=Gate)
    sink: Sink | None = None
    """Where an answer that is a file is written; None for all others."""


@dataclass(slots=True)
class Heard:
    """What an attempt ended with. Recording it puts in `life` what it has come to, and in `command` what to do."""

    end: End
    life: Life
    command: Command | None = None
    json: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    """In words, for people: the server's message or what went wrong."""
    code: str | None = None
    request_id: str | None = None
    meaning: str = ""
    """What the code of a refused key means."""
    asked: float = 0.0
    """How many seconds the server asked to wait, where the pace does not see to that."""
    entity: str | None = None

    @property
    def trace(self) -> str:
        """By which words the service finds the request again; empty where it gave none."""
        return traced(self.request_id)


class Sender(Protocol):
    """Every floor of the stack, and the stack itself."""

    async def send(self, attempt: Attempt, /) -> Heard:
        """Make the attempt and say what was heard."""
