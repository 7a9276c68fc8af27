"""A server that answers every creating request at once with a fresh id: `answering.py CORE` prints its port.

It does as little as a server can, on a core of its own, so that what is measured is the client. It speaks the paths
of the reference and, since they end alike, those of the vendor's SDK.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from typing import cast

import httptools

IDS = {b"/agents/create": b"agent", b"/knowledge-base/upload": b"document"}
ANSWER = (
    b'{"%(kind)s_id":"%(kind)s_%(number)016d","name":"Support Agent","created_at":"2025-11-03T12:00:00Z"}'
)
HEAD = b"HTTP/1.1 200 OK\r\nDate: Mon, 03 Nov 2025 12:00:00 GMT\r\nContent-Type: application/json\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"

_numbers = itertools.count(1)


class Answering(asyncio.Protocol):
    """One connection. Bodies are not even looked at."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Remember what is asked for."""
        self._path = url

    def on_message_complete(self) -> None:
        """Answer."""
        kind = next((kind for end, kind in IDS.items() if self._path.endswith(end)), None)
        if kind is None:
            self._transport.write(NOT_FOUND)
            return
        body = ANSWER % {b"kind": kind, b"number": next(_numbers)}
        self._transport.write(b"%bContent-Length: %d\r\n\r\n%b" % (HEAD, len(body), body))


async def serve() -> None:
    """Serve until stdin ends: then whoever started this is gone."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    gone = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), gone.set)
    async with server:
        await gone.wait()
        server.close()
        os._exit(0)  # open connections are not waited for


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    asyncio.run(serve())
