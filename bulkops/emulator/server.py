"""The emulator as a real HTTP server on loopback: in this event loop, or in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio
import uvicorn
from anyio.from_thread import start_blocking_portal
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bulkops.ports import end, listening

from .app import PREFIX, EmulatorApp
from .service import Service

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterator

    from .deliveries import Delivery
    from .settings import EmulatorSettings
    from .statistics import Statistics
    from .tally import Tally
    from .things import Effect
    from .world import World

_GRACE = 0.3  # seconds for what is in flight when the server stops
_KEEP_ALIVE = 75  # longer than clients keep idle connections, so that they and not the server close them
_log = logging.getLogger(__name__)


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

    @property
    def deliveries(self) -> list[Delivery]:
        """What came of each attempt to deliver an event, in order."""
        return self._service.delivered


@asynccontextmanager
async def serving(settings: EmulatorSettings) -> AsyncIterator[Emulator]:
    """Serve in the running asyncio loop until the block ends; then within a second, whatever is open.

    Installs no signal handlers. Raises OSError, with the remedy in its message, when the port or the effects
    file cannot be had.
    """
    with listening(settings.host, settings.port) as listener:
        service = Service(settings)
        service.open()
        server = _server(EmulatorApp(service))
        try:
            await server.startup(sockets=[listener])
            tasks = {asyncio.create_task(server.main_loop()), asyncio.create_task(_deliver(service))}
            try:
                yield Emulator(service, settings.host, listener.getsockname()[1])
            finally:
                for task in tasks:
                    task.cancel()
                with anyio.CancelScope(shield=True):
                    await asyncio.wait(tasks)
                    await server.shutdown()
        finally:
            service.close()


async def _deliver(service: Service) -> None:
    """Deliver events, if they are wanted; a mistake of ours in it is logged."""
    webhook = service.settings.webhook
    if webhook is None or service.deliveries is None:
        return
    from .posting import posting

    try:
        async with posting(webhook.url, webhook.timeout) as post:
            await service.deliveries.run(post)
    except Exception:  # noqa: BLE001 - the server goes on without
        _log.exception("the emulator failed at delivering events")


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
        await end(self, _GRACE, cancel=True)


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
