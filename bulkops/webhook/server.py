"""The receiver as a server: uvicorn, in this event loop, until the block ends."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import uvicorn

from bulkops.errors import leaves
from bulkops.ports import end, listening
from bulkops.webhook.app import Receiver
from bulkops.webhook.connection import made_for
from bulkops.webhook.recent import Recent
from bulkops.webhook.store import Store
from bulkops.webhook.writer import SpoolWriter

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable

    from bulkops.webhook.connection import Connection
    from bulkops.webhook.settings import ReceiverSettings
    from bulkops.webhook.tally import Tally

GRACE = 10.0
"""Seconds for what is in flight when the server stops."""
_KEEP_ALIVE = 75
"""Longer than clients keep idle connections, so that they and not the server close them."""
_BACKLOG = 2048
_TLS_HANDSHAKE = 10.0
_TLS_END = 2.0


@dataclass(frozen=True, slots=True)
class Receiving:
    """A running receiver: where it listens, and what has come."""

    url: str
    tally: Tally
    _store: Store

    @property
    def trouble(self) -> str | None:
        """What the disk said to the last write, if it refused it."""
        return self._store.trouble


@asynccontextmanager
async def receiving(settings: ReceiverSettings, told: Callable[[str], None]) -> AsyncIterator[Receiving]:
    """Receive in the running asyncio loop until the block ends, and then finish what is in flight.

    `told` hears what people should know at once. Installs no signal handlers. Raises OSError, with the remedy in its
    message, when the port cannot be had; UsageError or CheckpointError when the spool cannot be written.
    """
    writer = SpoolWriter(settings.spool, settings.rotate)
    writer.prepare()
    recent = Recent()
    recent.fill(settings.spool, _days_of_retries())
    store = Store(writer, recent)
    receiver = Receiver(settings, store, told)
    try:
        with listening(settings.host, settings.port) as listener:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(store.run)
                async with _serving(settings, receiver, listener):
                    yield Receiving(_url(settings, listener.getsockname()[1]), receiver.tally, store)
                tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise next(leaves(group)) from None
    finally:
        writer.close()


def _days_of_retries() -> list[str]:
    """Return the days from which a delivery may come again: a retry comes within hours, if at all."""
    now = datetime.now(UTC)
    return [moment.strftime("%Y-%m-%d") for moment in (now - timedelta(days=1), now)]


@asynccontextmanager
async def _serving(
    settings: ReceiverSettings, receiver: Receiver, listener: socket.socket
) -> AsyncIterator[None]:
    server = _server(settings, receiver)
    await server.startup(sockets=[listener])
    ticking = asyncio.create_task(server.main_loop())
    try:
        yield
    finally:
        ticking.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait({ticking})
            await server.shutdown()


def _url(settings: ReceiverSettings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.tls else 'http'}://{host}:{port}{settings.path}"


class _Server(uvicorn.Server):
    """A server of our connections, whose handshakes and whose end are bounded."""

    def __init__(self, config: uvicorn.Config, made: type[Connection]) -> None:
        super().__init__(config)
        self._made = made

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections on sockets that listen."""
        loop = asyncio.get_running_loop()
        tls = self.config.ssl
        handshake, closing = (_TLS_HANDSHAKE, _TLS_END) if tls else (None, None)
        self.servers = [
            await loop.create_server(
                self._connection,
                sock=listener,
                ssl=tls,
                backlog=_BACKLOG,
                ssl_handshake_timeout=handshake,
                ssl_shutdown_timeout=closing,
            )
            for listener in sockets or []
        ]
        self.started = True

    def _connection(self) -> asyncio.Protocol:
        return self._made(config=self.config, server_state=self.server_state, app_state={})

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - `receiving` ends them
        """End in time; what is being written is finished, also without its connection."""
        await end(self, GRACE)


def _server(settings: ReceiverSettings, receiver: Receiver) -> _Server:
    made = made_for(settings.deadline, settings.max_body, settings.most_connections)
    config = uvicorn.Config(
        receiver,
        loop="asyncio",
        http=made,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=logging.CRITICAL,  # the receiver tells its own mistakes; what clients do wrong is counted
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
    )
    config.load()
    config.ssl = settings.tls
    return _Server(config, made)
