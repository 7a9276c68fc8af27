"""What our servers have in common: a socket that listens, and an end that does not wait for clients that hold on."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uvicorn

_BACKLOG = 2048


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens; OSError, with the remedy in its message, when the port cannot be had."""
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


async def end(server: uvicorn.Server, grace: float, *, cancel: bool = False) -> None:
    """Take nothing new, let what is in flight finish for so many seconds, then end every connection.

    What goes on without its connection has as long again; with `cancel` it is cancelled first.
    """
    tasks, connections = server.server_state.tasks, server.server_state.connections
    for accepting in server.servers:
        accepting.close()
    for connection in list(connections):
        connection.shutdown()
    if tasks:
        await asyncio.wait(tasks, timeout=grace)
    for connection in list(connections):
        connection.transport.abort()
    while connections:  # noqa: ASYNC110 - the event loop tells them in its next turns
        await asyncio.sleep(0)
    for task in list(tasks) if cancel else ():
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=grace)
