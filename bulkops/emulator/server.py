"""The emulator as a real HTTP server on loopback: in this event loop, or in a thread of its own."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio
import uvicorn
from anyio.from_thread import start_blocking_portal
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .app import PREFIX, EmulatorApp
from .service import Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from .settings import EmulatorSettings
    from .statistics import Statistics
    from .tally import Tally
    from .things import Effect
    from .world import World

_GRACE = 0.3  # seconds for what is in flight when the server stops
_KEEP_ALIVE = 75  # longer than clients keep idle connections, so that they and not the server close them
_BACKLOG = 2048


class Emulator:
    """A running server. `base_url` takes the place of the API's own; `origin` is the same without a path."""

    def __init__(self, service: Service, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.origin = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.base_url = self.origin + PREFIX
        self._service = service

    def world(self, key: str) -> World:
        """Give the world of a key; KeyError for a key that this server does not know."""
        account = self._service.account(key)
        if account is None:
            raise KeyError("this key is not among the emulator's keys")
        return account.world

    def change_limit(self, limit: int) -> None:
        """Let every key have `limit` requests in each period from now on; from any thread.

        Raises ValueError, with the remedy, for a limit below 1, and on a server that was started without one.
        """
        self._service.change_limit(limit)

    @property
    def requests(self) -> Tally:
        """The numbers of requests and answers until now."""
        return self._service.tally

    @property
    def statistics(self) -> Statistics:
        """What came and what passed until now, summed up."""
        return self._service.statistics()

    @property
    def effects(self) -> list[Effect]:
        """All lasting effects of all keys, in order."""
        return self._service.effects


@asynccontextmanager
async def serving(settings: EmulatorSettings) -> AsyncIterator[Emulator]:
    """Serve in the running asyncio loop until the block ends; then within a second, whatever is open.

    Installs no signal handlers. Raises OSError, with the remedy in its message, when the port or the effects
    file cannot be had.
    """
    with _listening(settings.host, settings.port) as listener:
        service = Service(settings)
        service.open()
        server = _server(EmulatorApp(service))
        try:
            await server.startup(sockets=[listener])
            ticking = asyncio.create_task(server.main_loop())
            try:
                yield Emulator(service, settings.host, listener.getsockname()[1])
            finally:
                ticking.cancel()
                with anyio.CancelScope(shield=True):
                    await asyncio.wait({ticking})
                    await server.shutdown()
        finally:
            service.close()


@contextmanager
def serving_in_thread(settings: EmulatorSettings) -> Iterator[Emulator]:
    """Serve as `serving` does, in a loop and a thread of its own: for callers that are synchronous."""
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(serving(settings)) as emulator,
    ):
        yield emulator


class _Protocol(HttpToolsProtocol):
    """HTTP/1.1 whose requests know their connection, so that a fault can end it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Hand the transport to the scope of every request on it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """A server whose end is bounded: it does not wait for clients that hold on."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - `serving` ends them
        """Let what is in flight finish for a moment, then end every connection and every task."""
        tasks, connections = self.server_state.tasks, self.server_state.connections
        for listening in self.servers:
            listening.close()
        for connection in list(connections):
            connection.shutdown()
        if tasks:
            await asyncio.wait(tasks, timeout=_GRACE)
        for connection in list(connections):
            connection.transport.abort()
        while connections:  # noqa: ASYNC110 - the event loop tells them in its next turns
            await asyncio.sleep(0)
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_GRACE)


def _server(app: EmulatorApp) -> _Server:
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=_Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=logging.CRITICAL,  # the app logs its own mistakes; what clients do wrong is their affair
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
    )
    config.load()
    server = _Server(config)
    server.lifespan = config.lifespan_class(config)
    return server


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle off only for sockets that name their protocol; with it an answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A port that was used a moment ago can be had again at once; one that is in use cannot.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - its parameter has no public name
    except OSError as error:
        listener.close()
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
        message = f"port {port} on {host} {why}; stop what uses it, or let --port 0 pick a free one"
        raise OSError(error.errno, message) from error
    return listener
