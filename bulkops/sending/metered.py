"""The pace: no attempt without a turn, and each answer's headers back to the pace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulkops.errors import Stop
from bulkops.lifecycle import Answered

if TYPE_CHECKING:
    from bulkops.pace.turns import Pace
    from bulkops.sending.attempt import Attempt, Heard, Sender


@dataclass(slots=True)
class Metered:
    """Wait for the account's turn before each attempt, retries and polls included.

    The turn, and with it the place among the requests in flight, lasts for one attempt: who waits to be retried
    holds none. After `most` attempts, if that is given, there are no more: then the run stops.
    """

    inner: Sender
    pace: Pace
    most: int | None = None
    granted: int = 0

    async def send(self, attempt: Attempt) -> Heard:
        """Make the attempt when it may go. Raises Stop, before anything is sent, when there were too many."""
        async with self.pace.turn(attempt.account, attempt.request.request_class) as turn:
            if self.granted == self.most:
                raise Stop(f"all {self.granted:,} requests of --max-requests are used")
            self.granted += 1
            heard = await self.inner.send(attempt)
            if isinstance(heard.end, Answered):
                turn.heard(heard.end.status, heard.headers, kind=heard.code)
        return heard
