"""What the tests of sending share: servers that follow a script byte by byte, and the values to send to them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bulkops.api import REFERENCE, Tier
from bulkops.lifecycle import Life, classify
from bulkops.model import Effect, Form, Request
from bulkops.sending import Attempt
from bulkops.sending.transport import AiohttpTransport
from bulkops.sending.wire import Wire
from bulkops.settings import Account, Secret, Settings
from tests.canary import CANARY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from bulkops.lifecycle import Verdict
    from bulkops.sending import Heard

T = TypeVar("T")

KEY = f"{CANARY}-sending"
"""It may stand in the head of a request and nowhere else."""
EIGHT_MIB = 8 * 2**20
LONGEST = 20.0
"""Seconds after which a test is called stuck."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, in bounded time."""

    async def bounded() -> T:
        async with asyncio.timeout(LONGEST):
            return await work

    return asyncio.run(bounded())


@dataclass
class Arrival:
    """A request as far as a server received it."""

    head: bytes
    body: bytearray = field(default_factory=bytearray)

    @property
    def line(self) -> str:
        """Return the request line."""
        return self.head.split(b"\r\n", 1)[0].decode()

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Return the header fields, names in lower case."""
        lines = self.head.decode("latin-1").split("\r\n")[1:-2]
        return [(name.lower(), text.strip()) for name, _, text in (line.partition(":") for line in lines)]

    def values(self, name: str) -> list[str]:
        """Return the values of every field of a name."""
        return [text for known, text in self.fields if known == name]

    @property
    def length(self) -> int:
        """Return the length that the head promises."""
        return int(next(iter(self.values("content-length")), "0"))

    @property
    def complete(self) -> bool:
        """Tell whether the server has the whole message."""
        return len(self.body) == self.length


class Talk:
    """One connection, from the server's side."""

    def __init__(self, server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self.number = server.connections
        """Counts the connections from one."""

    def count(self) -> int:
        """Return how many requests have come to the server, on whatever connection."""
        return len(self._server.arrivals)

    async def head(self) -> Arrival:
        """Receive the head of the next request."""
        arrival = Arrival(await self._reader.readuntil(b"\r\n\r\n"))
        self._server.arrivals.append(arrival)
        return arrival

    async def body(self, arrival: Arrival, most: int | None = None) -> None:
        """Receive the body, or no more than some bytes of it."""
        end = arrival.length if most is None else min(most, arrival.length)
        while len(arrival.body) < end:
            piece = await self._reader.read(min(64 * 1024, end - len(arrival.body)))
            if not piece:
                raise EOFError
            arrival.body += piece
            self._server.moved.set()

    async def request(self) -> Arrival:
        """Receive the next request, whole."""
        arrival = await self.head()
        await self.body(arrival)
        return arrival

    async def say(self, text: bytes) -> None:
        """Send bytes."""
        self._writer.write(text)
        await self._writer.drain()

    def reset(self) -> None:
        """End the connection with a reset."""
        plain = self._writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def silence(self) -> None:
        """Receive nothing and send nothing as long as the server lives."""
        await asyncio.Event().wait()

    async def until_closed(self) -> None:
        """Receive and forget until the client closes."""
        while await self._reader.read(64 * 1024):
            pass


Script = Any
"""`async def script(talk): ...`, run for each connection; the connection is closed at its end."""


class RawServer:
    """A server on loopback that follows a script."""

    def __init__(self, script: Callable[[Talk], Awaitable[None]]) -> None:
        self._script = script
        self._tasks: set[asyncio.Task[None]] = set()
        self.arrivals: list[Arrival] = []
        self.connections = 0
        self.moved = asyncio.Event()
        """Set whenever a piece of a body arrives."""
        self.port = 0
        self.scheme = "http"

    @property
    def base_url(self) -> str:
        """Return the base URL of an account at this server."""
        return f"{self.scheme}://localhost:{self.port}/v1"

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Follow the script on one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._script(Talk(self, reader, writer))
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def rest(self) -> None:
        """Wait until every connection has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def end(self) -> None:
        """End every connection."""
        for task in list(self._tasks):
            task.cancel()
        await self.rest()


@asynccontextmanager
async def raw_server(
    script: Callable[[Talk], Awaitable[None]], *, tls: ssl.SSLContext | None = None, buffer: int = 0
) -> AsyncIterator[RawServer]:
    """Start a server that follows a script; `buffer` makes its receive buffer small."""
    server = RawServer(script)
    listener = socket.create_server(("127.0.0.1", 0))
    if buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    listening = await asyncio.start_server(server.meet, sock=listener, ssl=tls, limit=2**20)
    server.port = listener.getsockname()[1]
    server.scheme = "https" if tls else "http"
    try:
        yield server
    finally:
        listening.close()
        await server.end()
        await listening.wait_closed()


def account(base_url: str, key: str = KEY) -> Account:
    """Return the account named `a`."""
    return Account("a", base_url, Secret(key), Tier("any", 1_000_000))


def given(base_url: str, key: str = KEY, **more: Any) -> Settings:
    """Return settings; uploads get no time of their own."""
    more = {"attempt_deadline": 10.0, "upload_rate": 1e12, **more}
    return Settings(**{"api": REFERENCE, "account": account(base_url, key), **more})


@asynccontextmanager
async def wired(
    base_url: str, *, verify: ssl.SSLContext | None = None, key: str = KEY, **more: Any
) -> AsyncIterator[Wire]:
    """Open a wire to a server."""
    settings = given(base_url, key, **more)
    # A context that trusts nobody is quick to make; only the https tests give one that does.
    context = verify or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with AiohttpTransport(verify=context) as transport:
        yield Wire(settings, {"a": settings.account}, transport)


def create(size: int = 10, **more: Any) -> Request:
    """Return the creation of an agent with a body of about so many bytes."""
    fields: dict[str, Any] = {
        "endpoint": "agent.create",
        "method": "POST",
        "path": "/agents/create",
        "effect": Effect.CREATE,
        "body": {"name": "x" * size},
        "makes": "agent",
        "entity": "agent_id",
    }
    return Request(**fields | more)


def read(**more: Any) -> Request:
    """Return a read."""
    fields: dict[str, Any] = {
        "endpoint": "agent.get",
        "method": "GET",
        "path": "/agents/ada",
        "effect": Effect.READ,
    }
    return Request(**fields | more)


def upload(path: Path | str, **more: Any) -> Request:
    """Return the upload of a file."""
    form: dict[str, Any] = {
        "fields": (("name", "A document"),),
        "file_field": "file",
        "path": str(path),
        "file_name": Path(path).name,
        "content_type": "text/plain",
    }
    return REFERENCE.document_upload.request(form=Form(**form | more))


def attempt(
    request: Request, *, number: int = 0, key: bytes = b"operation", life: Life | None = None
) -> Attempt:
    """Return a first attempt at a request."""
    deletes = request.method == "DELETE"
    return Attempt(request, "a", key, number, life or Life(request.effect, deletes), b"digest")


def verdict(heard: Heard, effect: Effect = Effect.CREATE) -> Verdict:
    """Return the class of what was heard."""
    return classify(effect, heard.end)


def answer(body: bytes = b'{"agent_id": "agent_1"}', status: str = "200 OK", **fields: str) -> bytes:
    """Return an answer's bytes; `_` in names stands for `-`."""
    fields = {"content_length": str(len(body)), **fields}
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {text}" for name, text in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def answers(talk: Talk) -> None:
    """Answer every request of a connection with the id of another agent."""
    while True:
        await talk.request()
        await talk.say(answer(b'{"agent_id": "agent_%d"}' % talk.count()))
