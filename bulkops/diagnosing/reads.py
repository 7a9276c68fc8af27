"""The reads: at most three, one after the other, each once, in turns of the pace."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import anyio

from bulkops.api import PROFILES, is_entity_id
from bulkops.ends import Answered, Verdict, classify
from bulkops.errors import leaves
from bulkops.lifecycle import Life
from bulkops.model import Effect, Reply, value
from bulkops.pace.tiers import allowance_of
from bulkops.pace.turns import Pace
from bulkops.sending import Attempt
from bulkops.sending.transport import AiohttpTransport
from bulkops.sending.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Request
    from bulkops.pace.sharing import Place
    from bulkops.sending.attempt import Heard
    from bulkops.settings import Settings

MOST: Final = 3
QUOTA: Final = "document.index_quota"
_OPEN: Final = frozenset({Verdict.DONE, Verdict.REFUSED})
"""Ends of a listing after which one that is asked in the words of another API may show more."""


@value
class Read:
    """One of them: in the words of which API it was asked, what was heard, and what our clock said before and after."""

    api: Profile
    heard: Heard
    begun: float
    ended: float

    @property
    def verdict(self) -> Verdict:
        """What its end means for a run."""
        return classify(Effect.READ, self.heard.end)

    @property
    def status(self) -> int | None:
        """The status of the answer; None where there was none."""
        return self.heard.end.status if isinstance(self.heard.end, Answered) else None

    @property
    def lists(self) -> bool:
        """Whether it is a page of agents, as the API documents it: a key is accepted by that, and by no other 200."""
        listing, answer = self.api.agent_list, self.heard.json
        rows = answer.get(listing.rows) if self.verdict is Verdict.DONE and isinstance(answer, dict) else None
        return isinstance(rows, list) and all(
            isinstance(row, dict) and is_entity_id(row.get(listing.id_field)) for row in rows
        )

    @property
    def said(self) -> str:
        """The answer in words, with the id of its request."""
        return f"HTTP {self.status}: {self.heard.reason}{self.heard.trace}"


@value
class Looked:
    """What was read: listings of agents, and the quota of indexes where there is one to ask for.

    `speaks` is the API whose listing the server answers with; None where that did not show.
    """

    listings: tuple[Read, ...]
    speaks: Profile | None
    quota: Read | None = None

    @property
    def best(self) -> Read:
        """The listing that tells most about the key."""
        return next((read for read in self.listings if read.lists), self.listings[0])

    @property
    def reads(self) -> tuple[Read, ...]:
        """All of them, in order."""
        return self.listings if self.quota is None else (*self.listings, self.quota)


def look(settings: Settings, kept: Mapping[str, Place]) -> Looked:
    """Read what tells most about the account of the settings and its server; nothing of it is repeated or changed."""
    try:
        return anyio.run(_look, settings, kept)
    except BaseExceptionGroup as group:
        raise next(leaves(group), group) from None


async def _look(settings: Settings, kept: Mapping[str, Place]) -> Looked:
    account, api = settings.account, settings.api
    pace = Pace({account.name: allowance_of(account)}, headers=api.rate_headers, in_flight=1, kept=kept)
    async with AiohttpTransport() as transport, pace:
        pace.expect(account.name, MOST)

        async def ask(api: Profile, request: Request) -> Read:
            wire = Wire(replace(settings, api=api), {account.name: account}, transport)
            async with pace.turn(account.name, request.request_class) as turn:
                begun = time.time()
                heard = await wire.send(Attempt(request, account.name, b"", 0, Life(Effect.READ)))
                ended = time.time()
                if isinstance(heard.end, Answered):
                    turn.heard(heard.end.status, heard.headers, kind=heard.code)
            return Read(api, heard, begun, ended)

        listings = [await ask(api, api.agent_list.page(api.paging, 1))]
        for other in PROFILES.values():
            if len(listings) == MOST - 1 or _spoken(listings[-1]) or listings[-1].verdict not in _OPEN:
                break
            if other is not api:
                listings.append(await ask(other, other.agent_list.page(other.paging, 1)))
        speaks = _spoken(listings[-1])
        asked = None if speaks is None else speaks.more.get(QUOTA)
        quota = None if speaks is None or asked is None else await ask(speaks, asked.request())
    return Looked(tuple(listings), speaks, quota)


def _spoken(read: Read) -> Profile | None:
    """Return the API whose page an answer is: the one that was asked in, if it is good for several."""
    if not read.lists:
        return None
    reply = Reply(200, read.heard.json, read.heard.headers)
    return next((api for api in (read.api, *PROFILES.values()) if api.paging.is_page(reply)), None)
