"""The rows of a listing, read page by page through the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from bulkops.lifecycle import Life
from bulkops.listing import list_rows
from bulkops.model import Effect, Reply, Request, Save
from bulkops.sending.attempt import Attempt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bulkops.api.profile import Listing, Profile
    from bulkops.model import Json
    from bulkops.sending.attempt import Sender


async def listed_rows(api: Profile, listing: Listing, sender: Sender, account: str) -> AsyncIterator[Json]:
    """Yield the rows of an account's listing, each once; OperationFailed as `list_rows` says and as sending does."""
    steps = list_rows(api, listing)
    reply: Reply | None = None
    while True:
        try:
            step = next(steps) if reply is None else steps.send(reply)
        except StopIteration:
            return
        reply = Reply(200)
        if isinstance(step, Request):
            heard = await sender.send(Attempt(step, account, b"", 0, Life(Effect.READ)))
            reply = Reply(200, heard.json, heard.headers)
        elif isinstance(step, Save):
            for row in step.data.splitlines():
                yield orjson.loads(row)
