"""What is remembered of operations beside their steps: answers asked for once, the same after a crash, and changes."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import anyio
import orjson
from anyio import to_thread

from bulkops.checkpoint import digest as line_digest
from bulkops.checkpoint.changes import as_pin
from bulkops.engines.drive import request_digest
from bulkops.errors import OperationFailed
from bulkops.jobfile.uploads import object_of
from bulkops.model import Pinned
from bulkops.sending.confining import read_file

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from bulkops.checkpoint import Checkpoint
    from bulkops.model import Changed, Json, Request
    from bulkops.planning import Planned
    from bulkops.sending import Attempt, Sender


LASTING = frozenset({400, 404, 405, 406, 409, 410, 422})
"""Refusals that a second request would meet as well; a 403 may be the key's fault, and others pass."""


class Pinboard:
    """Pinned answers by request and by who shares them; while one operation asks, the others that do wait.

    `rows_of` tells by the number of a line which rows it was made one of, if any: those share what a line does. Files
    are read only below `root`, where one is given.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        sender: Sender,
        rows_of: Callable[[int], bytes | None] = lambda _: None,
        root: Path | None = None,
    ) -> None:
        self._root = root
        self._checkpoint = checkpoint
        self._sender = sender
        self._rows_of = rows_of
        self._asking: dict[tuple[bytes, bytes], anyio.Event] = {}
        self._refused: dict[tuple[bytes, bytes], OperationFailed] = {}

    async def ask(self, planned: Planned, request: Request, attempt: Attempt, *, begun: bool = True) -> Json:
        """Return the pinned answer; it is durable before it is used.

        A line that was edited has it asked anew, and so have rows of which any was edited; what is an operation's own
        stays. What has to fit is asked for as it is now, unless the operation has `begun` to change something; the
        first answer stays all the same. Raises what sending raises. A lasting refusal holds for the others that share
        the answer, too, as long as this run goes on; after anything else the next one asks for itself.
        """
        rows = self._rows_of(planned.line.number) if request.pinned is Pinned.LINE else None
        shared = request.pinned is Pinned.LINE and (rows is not None or planned.line.count > 1)

        async def send() -> Json:
            heard = await self._sender.send(attempt)
            if request.fit is not None:
                request.fit(heard.json)
            return heard.json

        anew = request.fit is not None and not begun
        return await self._pinned(self._place(planned, request, rows), send, shared=shared, anew=anew)

    async def read(self, planned: Planned, path: str) -> Json:
        """Return the pinned object of a file; OperationFailed when it has none."""
        rows = self._rows_of(planned.line.number)
        file = blake2b(path.encode(errors="surrogateescape"), digest_size=8, person=b"bulkops file").digest()
        place = rows or planned.line_key, file + (rows or line_digest(planned.line.raw))

        async def read() -> Json:
            return await to_thread.run_sync(read_file, path, self._root, object_of)

        return await self._pinned(place, read, shared=False, anew=False)

    async def _pinned(
        self, place: tuple[bytes, bytes], ask: Callable[[], Awaitable[Json]], *, shared: bool, anew: bool
    ) -> Json:
        while (asking := self._asking.get(place)) is not None:
            await asking.wait()
        if (refused := self._refused.get(place)) is not None:
            raise OperationFailed(
                refused.code, refused.message, status=refused.status, request_id=refused.request_id
            )
        asking = self._asking[place] = anyio.Event()
        try:
            known = await self._checkpoint.pinned(*place)
            if known is None or anew:
                heard = await ask()
                if known is None:
                    await self._checkpoint.pin(*place, orjson.dumps(heard))
                return heard
            return orjson.loads(known)
        except OperationFailed as failure:
            if shared and failure.status in LASTING:
                self._refused[place] = failure
            raise
        finally:
            del self._asking[place]
            asking.set()

    async def changed(self, planned: Planned, change: Changed) -> None:
        """Remember a change of an operation; durable when it returns."""
        await self._checkpoint.pin(planned.key, *as_pin(change))

    @staticmethod
    def _place(planned: Planned, request: Request, rows: bytes | None) -> tuple[bytes, bytes]:
        """Return where an answer is kept: under whose key, for which request."""
        if request.pinned is Pinned.OPERATION:
            return planned.key, request_digest(request)
        return rows or planned.line_key, request_digest(request) + (rows or line_digest(planned.line.raw))
