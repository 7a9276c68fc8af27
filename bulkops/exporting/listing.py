"""The conversations that the API lists, read page by page in the turns of the pace."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor, inf
from typing import TYPE_CHECKING, Final

import anyio

from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.errors import OperationFailed, Stop, leaves
from bulkops.exporting.gathering import CONVERSATIONS
from bulkops.model import traced
from bulkops.pace.tiers import allowance_of
from bulkops.pace.turns import Pace
from bulkops.reporting.words import duration
from bulkops.sending import open_sender
from bulkops.sending.listings import listed_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bulkops.api.profile import Listing, Profile
    from bulkops.model import Json, Request
    from bulkops.pace.sharing import Place
    from bulkops.settings import Settings

AT_ONCE: Final = 5_000
MARGIN: Final = 1
"""Seconds: nothing says whether a bound counts itself."""


@dataclass(slots=True)
class Listed:
    """What reading a listing came to: its requests, and what ended it too early. The meter of its sender."""

    requests: int = 0
    stop: Stop | None = None

    def sent(self, _request: Request) -> None:
        """Count a request that goes out."""
        self.requests += 1

    def heard(self, _request: Request, _status: int | None, _code: str | None, _seconds: float) -> None:
        """See `Meter`; how a request ended is no matter here."""


def bounded(api: Profile, since: float, until: float) -> Listing:
    """Return the listing of conversations that began from `since` until just before `until`, and a little around."""
    listing = api.listing(CONVERSATIONS)
    bounds = [(api.started_before_query, str(ceil(until) + MARGIN))]
    if since != -inf:
        bounds.insert(0, (api.started_after_query, str(max(0, floor(since) - MARGIN))))
    return replace(listing, query=(*listing.query, *bounds))


def read_listing(
    settings: Settings,
    kept: Mapping[str, Place],
    since: float,
    until: float,
    take: Callable[[Sequence[Json]], None],
) -> Listed:
    """Let `take` have the rows, each once and some at a time; return how many requests that took.

    And what ended it, where the listing could not be read to its end: KeyRefused and its like among them.
    """
    listed = Listed()
    try:
        anyio.run(_read, settings, kept, bounded(settings.api, since, until), take, listed)
    except Stop as stop:
        listed.stop = stop
    except BaseExceptionGroup as group:
        listed.stop = next((leaf for leaf in leaves(group) if isinstance(leaf, Stop)), None)
        if listed.stop is None:
            raise
    return listed


async def _read(
    settings: Settings,
    kept: Mapping[str, Place],
    listing: Listing,
    take: Callable[[Sequence[Json]], None],
    listed: Listed,
) -> None:
    account, most = settings.account, settings.max_duration
    pace = Pace(
        {account.name: allowance_of(account)}, headers=settings.api.rate_headers, in_flight=1, kept=kept
    )
    rows: list[Json] = []
    with anyio.move_on_after(most) as within:
        keyed = {account.name: account}
        async with pace, open_sender(settings, keyed, MemoryCheckpoint(), pace, meter=listed) as sender:
            try:
                async for row in listed_rows(settings.api, listing, sender, account.name):
                    rows.append(row)
                    if len(rows) == AT_ONCE:
                        take(rows)
                        rows = []
            except OperationFailed as failure:
                raise Stop(f"{failure.message}{traced(failure.request_id)}") from None
    if within.cancelled_caught:
        raise Stop(f"--max-duration is over: {duration(most or 0.0)}")
    take(rows)
