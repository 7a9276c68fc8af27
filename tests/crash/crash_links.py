"""The ways between the sending stack and a server that follows a script: with TLS or without, direct or relayed."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.sending.sending_doubles import raw_server, wired

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bulkops.sending.wire import Wire
    from tests.sending.sending_doubles import RawServer
    from tests.sending.sending_scripts import Script
    from tests.sending.sending_tls import Tls

SMALL_BUFFER = 4096
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Link:
    """How a request travels: over TLS when `tls` is given, through a relay that passes bytes on when asked to."""

    tls: Tls | None = None
    relayed: bool = False

    def __str__(self) -> str:
        """Name the way."""
        return ("https" if self.tls else "http") + (" through a relay" if self.relayed else "")

    @asynccontextmanager
    async def __call__(self, script: Script, **more: Any) -> AsyncIterator[tuple[RawServer, Wire]]:
        """Start a server that follows a script, and open a wire to it."""
        # A server complains of clients that break TLS off.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        serving, trusting = (self.tls.serving(), self.tls.trusting()) if self.tls else (None, None)
        async with raw_server(script, tls=serving, buffer=SMALL_BUFFER) as server:
            if not self.relayed:
                async with wired(server.base_url, verify=trusting, **more) as wire:
                    yield server, wire
                return
            async with relay(server.port) as port:
                url = f"{server.scheme}://localhost:{port}/v1"
                async with wired(url, verify=trusting, **more) as wire:
                    yield server, wire


@asynccontextmanager
async def relay(upstream: int) -> AsyncIterator[int]:
    """Start what passes bytes, ends and resets on to a port; give its own port."""
    tasks: set[asyncio.Task[None]] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        try:
            plain = socket.create_connection(("127.0.0.1", upstream))
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
            there, back = await asyncio.open_connection(sock=plain)
        except OSError:
            writer.close()
            return
        both = asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
        try:
            await both
        except OSError:
            both.cancel()
            for each in (writer, back):
                _reset(each)
        except asyncio.CancelledError:
            pass
        finally:
            for each in (writer, back):
                each.close()

    # Small buffers: a relay that swallows whole bodies would hide what the server does.
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    listening = await asyncio.start_server(meet, sock=listener, limit=SMALL_BUFFER)
    try:
        yield listener.getsockname()[1]
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(SMALL_BUFFER):
        writer.write(piece)
        await writer.drain()
    # The other side is told of the end at once; what it has still to say may be said.
    with suppress(OSError):
        writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
