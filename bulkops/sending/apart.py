"""Each account by a sender of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.sending.attempt import Attempt, Heard, Sender


@dataclass(frozen=True, slots=True)
class ByAccount:
    """Pass each attempt on to the sender of its account."""

    senders: Mapping[str, Sender]

    async def send(self, attempt: Attempt) -> Heard:
        """Make the attempt."""
        return await self.senders[attempt.account].send(attempt)
