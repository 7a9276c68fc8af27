"""The conversations that the API lists, read page by page in the turns of the pace."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, floor, inf
from typing import TYPE_CHECKING, Final

import anyio

from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.errors import OperationFailed, Stop, leaves
from bulkops.exporting.gathering import CONVERSATIONS
from bulkops.pace.tiers import allowance_of
from bulkops.pace.turns import Pace
from bulkops.reporting.words import duration
from bulkops.sending import open_sender
from bulkops.sending.listings import listed_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bulkops.api.profile import Listing, Profile
    from bulkops.model import Json
    from bulkops.pace.sharing import Place
    from bulkops.settings import Settings

AT_ONCE: Final = 5_000
MARGIN: Final = 1
"""Seconds: nothing says whether a bound counts itself."""


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
) -> int:
    """Let `take` have the rows, each once and some at a time; return how many requests that took.

    Raises Stop where the listing cannot be read to its end, and KeyRefused and its like.
    """
    try:
        return anyio.run(_read, settings, kept, bounded(settings.api, since, until), take)
    except BaseExceptionGroup as group:
        raise next((leaf for leaf in leaves(group) if isinstance(leaf, Stop)), group) from None


async def _read(
    settings: Settings,
    kept: Mapping[str, Place],
    listing: Listing,
    take: Callable[[Sequence[Json]], None],
) -> int:
    account, most = settings.account, settings.max_duration
    pace = Pace(
        {account.name: allowance_of(account)}, headers=settings.api.rate_headers, in_flight=1, kept=kept
    )
    rows: list[Json] = []
    with anyio.move_on_after(most) as within:
        async with pace, open_sender(settings, {account.name: account}, MemoryCheckpoint(), pace) as sender:
            try:
                async for row in listed_rows(settings.api, listing, sender, account.name):
                    rows.append(row)
                    if len(rows) == AT_ONCE:
                        take(rows)
                        rows = []
            except OperationFailed as failure:
                raise Stop(failure.message) from None
    if within.cancelled_caught:
        raise Stop(f"--max-duration is over: {duration(most or 0.0)}")
    take(rows)
    return sender.requests
