"""The real `bulkops run` with the edge of the sending stack replaced by one that answers at once.

Everything else is as it is: reading, validation, pace, intent and outcome on disk, outputs. Called like bulkops.
"""

from __future__ import annotations

import sys
from itertools import count
from typing import TYPE_CHECKING
from unittest.mock import patch

from bulkops import cli
from bulkops.lifecycle import Answered
from bulkops.sending import Heard, wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from bulkops.sending import Attempt, Named
    from bulkops.settings import Account, Settings

HEADERS = {"content-type": "application/json", "date": "Mon, 03 Nov 2025 12:00:00 GMT"}


class Instant:
    """A `Wire` that knows every answer."""

    def __init__(
        self,
        _settings: Settings,
        _accounts: Mapping[str, Account],
        _transport: httpx.AsyncBaseTransport,
        named: Named,
    ) -> None:
        self._numbers = count(1)
        self._named = named

    async def send(self, attempt: Attempt) -> Heard:
        """Answer a creating request with a fresh id."""
        attempt.gate.passed = True
        entity = f"agent_{next(self._numbers):016}"
        self._named.add(entity)
        field = attempt.request.entity or "id"
        json = {field: entity, "name": "Support Agent", "created_at": "2025-11-03T12:00:00Z"}
        return Heard(Answered(200), attempt.life, None, json, HEADERS, entity=entity)


if __name__ == "__main__":
    with patch.object(wire, "Wire", Instant):
        sys.exit(cli.main())
