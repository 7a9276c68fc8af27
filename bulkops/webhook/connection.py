"""One connection of the receiver: uvicorn's, with what it lacks against clients that hold on or send without end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bulkops.webhook.settings import LINGER

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

HEAD = 2**16
"""So many bytes may stand around a body: request line, headers, frames of its chunks, trailers."""
_FRAMES = 16
"""Besides, of a body of so many bytes one more: chunks of 100 bytes are the smallest that anybody sends."""


class Connection(HttpToolsProtocol):
    """HTTP/1.1 whose requests are whole by a deadline, with little around their bodies.

    uvicorn's own has a limit only for the time between two requests. `deadline`, `max_body` and `most` are set by
    the server (`made_for`).
    """

    deadline: float
    max_body: int
    most: int
    cycle: RequestResponseCycle | None  # type: ignore[assignment] # None until the first headers are complete
    _timer: asyncio.TimerHandle | None = None
    _around = 0
    _allowed = HEAD
    _headed = False
    _over = False

    @property
    def busy(self) -> bool:
        """Tell whether a whole request is being answered."""
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request; where there are too many connections, end the idle one that is oldest."""
        super().connection_made(transport)
        self.since = self.loop.time()
        self._wait()
        if len(self.connections) > self.most:
            idle = [other for other in self.connections if isinstance(other, Connection) and not other.busy]
            min(idle, key=lambda other: other.since).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._waited()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, unless what stands around the bodies is too much."""
        if self._over:
            return
        self._around += len(data)
        super().data_received(data)
        if self._around > self._allowed:
            self._end(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        """Begin to wait for its end."""
        super().on_message_begin()
        self._allowed, self._headed = HEAD, False
        self.since = self.loop.time()
        self._wait()

    def on_headers_complete(self) -> None:
        """Allow for the frames of its body."""
        self._allowed, self._headed = HEAD + self.max_body // _FRAMES, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take it out of what stands around it."""
        self._around -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop waiting."""
        self._waited()
        self._around = 0
        super().on_message_complete()

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.deadline, self._end, b"408 Request Timeout")

    def _waited(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, status: bytes) -> None:
        """End the connection; say why, where something was begun that an answer could be for."""
        self._timer = None
        if self._over or self.transport.is_closing():
            return
        self._over = True
        if self._around <= 0 or not self._unanswered:
            self.transport.close()
            return
        if self._headed and self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status)
        if not self.transport.can_write_eof():  # TLS cannot
            self.transport.close()
            return
        # Closed at once, what still comes would cut off the answer.
        self.transport.write_eof()
        self.flow.resume_reading()
        self._timer = self.loop.call_later(LINGER, self.transport.abort)

    @property
    def _unanswered(self) -> bool:
        """Tell whether the next answer on this connection is that to the request that is not whole."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        return self._headed and not self.cycle.response_started and not self.pipeline


def made_for(deadline: float, max_body: int, most: int) -> type[Connection]:
    """Return connections with these limits."""
    return type("Connection", (Connection,), {"deadline": deadline, "max_body": max_body, "most": most})
