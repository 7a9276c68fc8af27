"""How an answer leaves the server: whole, or the way a fault wants it."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, assert_never

from .answers import Answer, Refusal
from .faults import FaultKind
from .gates import too_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Receive, Scope, Send

    from .faults import Fault
    from .tally import Tally

_CHUNK = 64 * 1024
_NO_LINGER = struct.pack("ii", 1, 0)  # closing sends RST instead of FIN
_PAGE = b"<!DOCTYPE html>\n<html><title>One moment</title><body>We will be right back.</body></html>\n"
_JSON = b"application/json"


@dataclass(slots=True)
class Exchange:
    """One request on its connection; `headers` are those that every answer to it carries.

    `refused` spells a refusal. `status` is what was said, if anything was; `whole` tells that it was said to its end,
    to an open connection.
    """

    scope: Scope
    receive: Receive
    send: Send
    headers: list[tuple[bytes, bytes]]
    tally: Tally
    refused: Callable[[Refusal], Answer] = attrgetter("answer")
    status: int | None = None
    whole: bool = False

    @property
    def transport(self) -> asyncio.Transport:
        """The connection itself, for faults."""
        transport: asyncio.Transport = self.scope["state"]["transport"]
        return transport

    async def answer(self, answer: Answer) -> None:
        """Send an answer whole."""
        body = answer.content
        await self.start(answer.status, answer.kind, len(body), answer)
        self.whole = not self.transport.is_closing()
        await self.send({"type": "http.response.body", "body": body})

    async def refuse(self, refusal: Refusal) -> None:
        """Send a refusal, as the API spells it."""
        await self.answer(self.refused(refusal))

    async def start(self, status: int, kind: bytes, length: int | None, answer: Answer | None = None) -> None:
        """Send the head; it is counted first, so that a client that has its answer finds it in the tally."""
        self.tally.statuses[status] += 1
        self.status = status
        headers = [*self.headers, (b"content-type", kind)]
        if length is not None:
            headers.append((b"content-length", b"%d" % length))
        if answer is not None:
            headers += [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def wait(self, seconds: float) -> bool:
        """Wait; end early, and say so, when the client goes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (await self.receive())["type"] != "http.disconnect":
                    pass
                return True
        return False

    async def reset(self) -> None:
        """End the connection with a reset and without an answer; the client may have ended it before."""
        self.tally.unanswered += 1
        if not self.transport.is_closing():
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.transport.abort()
            # The server takes an unfinished answer for a mistake unless the connection is already lost.
            await self.wait(1.0)


async def before_effect(exchange: Exchange, fault: Fault | None) -> bool:
    """Carry out a fault that strikes before the effect; whether there was one, and the request is over."""
    if fault is None:
        return False
    match fault.kind:
        case FaultKind.ERROR_BEFORE:
            await exchange.refuse(_error(fault))
        case FaultKind.TOO_MANY:
            exchange.tally.refused["fault"] += 1
            await exchange.refuse(too_many(fault.retry_after))
        case FaultKind.SYSTEM_BUSY:
            exchange.tally.refused["system_busy"] += 1
            await exchange.refuse(Refusal(429, "system_busy", "the service is overloaded"))
        case FaultKind.QUOTA_EXCEEDED:
            message = "This request exceeds your quota of 10000. You have 0 credits remaining."
            await exchange.refuse(Refusal(401, "quota_exceeded", message))
        case FaultKind.MISSING_PERMISSIONS:
            message = "The API key you used is missing a permission to execute this operation."
            await exchange.refuse(Refusal(401, "missing_permissions", message))
        case FaultKind.RESET_BEFORE | FaultKind.RESET_EARLY:
            await exchange.reset()
        case FaultKind.SILENT:
            await exchange.wait(fault.seconds)
            await exchange.reset()
        case _:
            return False
    return True


async def deliver_before_effect(exchange: Exchange, fault: Fault) -> None:
    """Say what a fault wants the client to hear while the effect is still to come."""
    if fault.kind is FaultKind.SILENT:
        await before_effect(exchange, fault)
    else:
        # There is no answer yet: what is cut off or hidden is nothing.
        await deliver(exchange, Answer(200, {}), fault)


async def deliver(exchange: Exchange, answer: Answer, fault: Fault | None) -> None:
    """Send the answer, or what a fault makes of it after the effect."""
    if fault is None or fault.kind in (FaultKind.STRANGER, FaultKind.REPEATED):
        await exchange.answer(answer)
        return
    match fault.kind:
        case FaultKind.ERROR_AFTER:
            await exchange.refuse(_error(fault))
        case FaultKind.RESET_AFTER:
            await exchange.reset()
        case FaultKind.SLOW:
            gone = await exchange.wait(fault.seconds)
            await (exchange.reset() if gone else exchange.answer(answer))
        case FaultKind.CUT:
            await _cut(exchange, answer)
        case FaultKind.NOT_JSON:
            await exchange.start(200, b"text/html", len(_PAGE))
            await exchange.send({"type": "http.response.body", "body": _PAGE})
        case FaultKind.HUGE:
            await _huge(exchange, fault.bytes)
        case FaultKind.NO_ID:
            await exchange.answer(Answer(answer.status, _without_ids(answer.body), answer.headers))
        case (
            FaultKind.ERROR_BEFORE
            | FaultKind.TOO_MANY
            | FaultKind.SYSTEM_BUSY
            | FaultKind.QUOTA_EXCEEDED
            | FaultKind.MISSING_PERMISSIONS
            | FaultKind.RESET_EARLY
            | FaultKind.RESET_BEFORE
            | FaultKind.SILENT
            | FaultKind.DROP
            | FaultKind.DUPLICATE
            | FaultKind.DELAY
            | FaultKind.WRONG_SIGNATURE
            | FaultKind.REANALYSE
        ):
            raise AssertionError(f"{fault.kind} strikes before the effect, or events")
        case _:
            assert_never(fault.kind)


def with_ids_of(other: Answer, answer: Answer) -> Answer:
    """Return an answer with the ids of another one."""
    if not isinstance(answer.body, dict):
        return answer
    return Answer(answer.status, {**answer.body, **_ids(other.body)}, answer.headers)


async def _cut(exchange: Exchange, answer: Answer) -> None:
    body = answer.content
    await exchange.start(answer.status, answer.kind, len(body), answer)
    await exchange.send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    exchange.transport.close()
    await exchange.wait(1.0)


async def _huge(exchange: Exchange, size: int) -> None:
    await exchange.start(200, _JSON, None)
    for piece in _padding(size):
        await exchange.send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0)  # others have their turn, however fast this client reads
        if exchange.transport.is_closing():
            return
    await exchange.send({"type": "http.response.body", "body": b""})


def _padding(size: int) -> Iterator[bytes]:
    """Yield `size` bytes: one JSON text, a string of x."""
    yield b'"'
    left = max(0, size - 2)
    block = b"x" * _CHUNK
    while left:
        yield block[:left]
        left -= min(left, _CHUNK)
    yield b'"'


def _without_ids(body: Any) -> Any:
    ids = _ids(body)
    return {key: value for key, value in body.items() if key not in ids} if ids else body


def _ids(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        return {}
    return {key: value for key, value in body.items() if key == "id" or key.endswith("_id")}


def _error(fault: Fault) -> Refusal:
    return Refusal(fault.status, "internal_error", "the emulator was told to fail here")
