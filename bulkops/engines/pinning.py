"""Answers that all operations of a line share, or of all rows: asked once, kept, the same after a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import orjson

from bulkops.checkpoint import digest as line_digest
from bulkops.engines.drive import request_digest
from bulkops.errors import OperationFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.checkpoint import Checkpoint
    from bulkops.model import Json, Request
    from bulkops.planning import Planned
    from bulkops.sending import Attempt, Sender


LASTING = frozenset({400, 404, 405, 406, 409, 410, 422})
"""Refusals that a second request would meet as well; a 403 may be the key's fault, and others pass."""


class Pinboard:
    """Pinned answers by line and request; while one operation asks, the others of its line wait.

    `rows_of` tells by the number of a line which rows it was made one of, if any: those share their answers.
    """

    def __init__(
        self, checkpoint: Checkpoint, sender: Sender, rows_of: Callable[[int], bytes | None] = lambda _: None
    ) -> None:
        self._checkpoint = checkpoint
        self._sender = sender
        self._rows_of = rows_of
        self._asking: dict[tuple[bytes, bytes], anyio.Event] = {}
        self._refused: dict[tuple[bytes, bytes], OperationFailed] = {}

    async def ask(self, planned: Planned, request: Request, attempt: Attempt) -> Json:
        """Return the pinned answer; it is durable before it is used.

        A line that was edited has it asked anew, and so have rows of which any was edited. Raises what sending
        raises. A lasting refusal holds for the others that share the answer, too, as long as this run goes on; after
        anything else the next one asks for itself.
        """
        rows = self._rows_of(planned.line.number)
        line_key = rows or planned.line_key
        digest = request_digest(request) + (rows or line_digest(planned.line.raw))
        place = (line_key, digest)
        while (asking := self._asking.get(place)) is not None:
            await asking.wait()
        if (refused := self._refused.get(place)) is not None:
            raise OperationFailed(
                refused.code, refused.message, status=refused.status, request_id=refused.request_id
            )
        asking = self._asking[place] = anyio.Event()
        try:
            known = await self._checkpoint.pinned(line_key, digest)
            if known is None:
                heard = await self._sender.send(attempt)
                known = orjson.dumps(heard.json)
                await self._checkpoint.pin(line_key, digest, known)
            return orjson.loads(known)
        except OperationFailed as failure:
            if (rows or planned.line.count > 1) and failure.status in LASTING:
                self._refused[place] = failure
            raise
        finally:
            del self._asking[place]
            asking.set()
