"""The meter: when each attempt begins, what it ends with, and how long the server took."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from bulkops.lifecycle import Answered

if TYPE_CHECKING:
    from bulkops.model import Request
    from bulkops.sending.attempt import Attempt, Heard, Sender


class Meter(Protocol):
    """Who counts; called for each attempt, so it costs next to nothing and never raises."""

    def sent(self, request: Request, /) -> None:
        """Hear that a request goes out."""

    def heard(self, request: Request, status: int | None, code: str | None, seconds: float, /) -> None:
        """Hear that it ended: with a status (and the server's own word for it), or without an answer."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Measure each attempt. It stands right above the wire: what waits for the pace or the disk is not counted."""

    inner: Sender
    meter: Meter

    async def send(self, attempt: Attempt) -> Heard:
        """Make the attempt, and tell the meter."""
        request = attempt.request
        self.meter.sent(request)
        began = perf_counter()
        status = code = None
        try:
            heard = await self.inner.send(attempt)
            if isinstance(heard.end, Answered):
                status, code = heard.end.status, heard.code
        finally:
            self.meter.heard(request, status, code, perf_counter() - began)
        return heard
