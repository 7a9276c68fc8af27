"""Answers that all operations of a line share: asked once, kept in the checkpoint, the same after a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import orjson

from bulkops.checkpoint import digest as line_digest
from bulkops.engines.drive import request_digest

if TYPE_CHECKING:
    from bulkops.checkpoint import Checkpoint
    from bulkops.model import Json, Request
    from bulkops.planning import Planned
    from bulkops.sending import Attempt, Sender


class Pinboard:
    """Pinned answers by line and request; while one operation asks, the others of its line wait."""

    def __init__(self, checkpoint: Checkpoint, sender: Sender) -> None:
        self._checkpoint = checkpoint
        self._sender = sender
        self._asking: dict[tuple[bytes, bytes], anyio.Event] = {}

    async def ask(self, planned: Planned, request: Request, attempt: Attempt) -> Json:
        """Return the pinned answer; it is durable before it is used. A line that was edited has it asked anew.

        Raises what sending raises; the next operation of the line then asks for itself.
        """
        line_key = planned.line_key
        digest = request_digest(request) + line_digest(planned.line.raw)
        place = (line_key, digest)
        while (asking := self._asking.get(place)) is not None:
            await asking.wait()
        asking = self._asking[place] = anyio.Event()
        try:
            known = await self._checkpoint.pinned(line_key, digest)
            if known is None:
                heard = await self._sender.send(attempt)
                known = orjson.dumps(heard.json)
                await self._checkpoint.pin(line_key, digest, known)
            return orjson.loads(known)
        finally:
            del self._asking[place]
            asking.set()
