"""What the tests of the receiver share: events, who signs them, and a client that writes bytes to a socket."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio

from bulkops.api import REFERENCE
from bulkops.settings import Secret
from bulkops.webhook.server import receiving
from bulkops.webhook.settings import ReceiverSettings
from bulkops.webhook.spool import files, read
from tests.canary import CANARY

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from bulkops.webhook.server import Receiving
    from bulkops.webhook.spool import Line

WEBHOOK = REFERENCE.webhook
SECRET = f"{CANARY}-wsec"
"""The tests' webhook secret; it must never be seen again."""
SAID = "said-in-confidence-4d21"
"""A part of every transcript; nothing but the spool may hold it."""


def event(number: int | str, **data: Any) -> bytes:
    """Return the body of a post-call event."""
    told = {"conversation_id": f"conv_{number}", "transcript": SAID, **data}
    return json.dumps({"type": WEBHOOK.post_call, "data": told, "event_timestamp": 1762171320}).encode()


def bare(body: bytes, secret: str = SECRET) -> str:
    """Sign as the reference has it."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def timestamped(body: bytes, at: float | None = None, secret: str = SECRET) -> str:
    """Sign as the service does."""
    moment = str(int(time.time() if at is None else at))
    return (
        f"t={moment},v0={hmac.new(secret.encode(), f'{moment}.'.encode() + body, hashlib.sha256).hexdigest()}"
    )


def settings(spool: Path, **given: Any) -> ReceiverSettings:
    """Return settings of a receiver on a free port."""
    return ReceiverSettings(
        **{
            "spool": spool,
            "secrets": (Secret(SECRET),),
            "webhook": WEBHOOK,
            "forms": WEBHOOK.signature_forms,
            "port": 0,
            **given,
        }
    )


@asynccontextmanager
async def serving(
    spool: Path, told: Callable[[str], None] = lambda _: None, **given: Any
) -> AsyncIterator[tuple[Receiving, tuple[str, int]]]:
    """Serve; give the receiver, and its host and port."""
    async with receiving(settings(spool, **given), told) as receiver:
        parts = urlsplit(receiver.url)
        assert parts.hostname
        assert parts.port
        yield receiver, (parts.hostname, parts.port)


def request(
    body: bytes, signature: str | None = None, *, path: str = "/webhook", method: str = "POST", **headers: str
) -> bytes:
    """Return a whole request; signed rightly unless told, and not at all for ``""``."""
    signature = timestamped(body) if signature is None else signature
    lines = [f"{method} {path} HTTP/1.1", "Host: h", f"Content-Length: {len(body)}"]
    lines += [f"ElevenLabs-Signature: {signature}"] * bool(signature)
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(pieces: list[bytes], signature: str) -> list[bytes]:
    """Return the parts of a request whose length is not told in front."""
    head = f"POST /webhook HTTP/1.1\r\nHost: h\r\nElevenLabs-Signature: {signature}\r\n"
    return [
        f"{head}Transfer-Encoding: chunked\r\n\r\n".encode(),
        *(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces),
        b"0\r\n\r\n",
    ]


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *parts: bytes) -> None:
        """Send bytes, as far as the other side takes them."""
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """Return status and body of the next answer."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return int(head.split()[1]), await self._reader.readexactly(int(length))

    async def ask(self, *parts: bytes) -> tuple[int, bytes]:
        """Send, and return the answer."""
        await self.send(*parts)
        return await self.answer()

    async def ended(self) -> bytes:
        """Return what comes until the other side ends the connection."""
        try:
            return await self._reader.read()
        except ConnectionError:
            return b""

    def close(self) -> None:
        """End it."""
        self._writer.transport.abort()


@asynccontextmanager
async def connected(host: str, port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    """Connect."""
    name = "localhost" if tls else None
    reader, writer = await asyncio.open_connection(host, port, ssl=tls, server_hostname=name)
    client = Client(reader, writer)
    try:
        yield client
    finally:
        client.close()


def run(main: Callable[[], Awaitable[None]], seconds: float = 30.0) -> None:
    """Run a test's coroutine, for so long at most."""

    async def bounded() -> None:
        with anyio.fail_after(seconds):
            await main()

    asyncio.run(bounded())


def spooled(spool: Path, kind: str | None = None) -> list[Line]:
    """Return every line of a spool, in order."""
    return [line for file in files(spool, kind) for line in read(file.path)]


def conversations(spool: Path) -> list[str]:
    """Return the conversations of a spool, in order."""
    return [line.event["data"]["conversation_id"] for line in spooled(spool)]
