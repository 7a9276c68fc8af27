"""What there is at the API by its name: listed once in a run, with what the run has made since."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import orjson

from bulkops.errors import OperationFailed
from bulkops.lifecycle import Life
from bulkops.listing import list_rows
from bulkops.model import Effect, Reply, Request, Save
from bulkops.reconcile import unstamped
from bulkops.sending import Attempt

if TYPE_CHECKING:
    from bulkops.api.profile import Listing, Profile
    from bulkops.model import Find
    from bulkops.sending import Sender

    _Place = tuple[str, str, str]

MOST_ATTEMPTS = 3
"""So often a listing is begun that moved while it was read."""


class Directory:
    """The things of each account by kind and name. Who finds none is the only one to make it, until that has ended."""

    def __init__(self, api: Profile, sender: Sender, *, stamps: bool = False) -> None:
        self._api = api
        self._sender = sender
        self._stamps = stamps
        self._ids: dict[tuple[str, str], dict[str, list[str]]] = {}
        self._reading = anyio.Lock()
        self._claims: dict[_Place, _Claim] = {}
        self._claimed: dict[bytes, _Place] = {}

    async def find(self, account: str, step: Find, key: bytes, *, begun: bool) -> list[str]:
        """Return the ids of the things of a kind with a name.

        With none, the operation with this key may make one: others that look for the name wait until it has `ended`.
        One that has `begun` to make it finds none. OperationFailed where the listing cannot be read, or another
        operation may have made one.
        """
        place = (account, step.kind, step.name)
        if begun:
            self._claim(place, key)
            return []
        while True:
            await self._unclaimed(place, key)
            found = (await self._names(account, step.kind)).get(step.name, ())
            if found:
                return list(found)
            # While the listing was read, another one may have looked.
            if place not in self._claims or self._claims[place].key == key:
                self._claim(place, key)
                return []

    def ended(self, key: bytes, made: str | None, *, doubtful: bool) -> None:
        """Hear what an operation has made that found none, at its end; with `doubtful`, that it may have made it."""
        place = self._claimed.get(key)
        if place is None or self._claims[place].key != key:
            return
        self._claims[place].doubtful = doubtful
        self._claims[place].ended.set()
        if doubtful:
            return
        account, kind, name = place
        if made is not None and (account, kind) in self._ids:
            self._ids[account, kind].setdefault(name, []).append(made)
        del self._claims[place], self._claimed[key]

    async def _unclaimed(self, place: _Place, key: bytes) -> None:
        """Wait until nobody else is about to make what has a name."""
        while (claim := self._claims.get(place)) is not None and claim.key != key:
            if claim.doubtful:
                what = f"another line may have made {place[2]!r}, and that is in doubt"
                raise OperationFailed("name_in_doubt", f"{what}; settle it, then retry this one")
            await claim.ended.wait()

    def _claim(self, place: _Place, key: bytes) -> None:
        self._claims.setdefault(place, _Claim(key))
        self._claimed[key] = place

    async def _names(self, account: str, kind: str) -> dict[str, list[str]]:
        async with self._reading:
            if (account, kind) not in self._ids:
                listing = self._api.listing_of(kind)
                assert listing is not None
                self._ids[account, kind] = await self._listed(account, listing)
        return self._ids[account, kind]

    async def _listed(self, account: str, listing: Listing) -> dict[str, list[str]]:
        for attempt in range(1, MOST_ATTEMPTS + 1):
            try:
                return await self._read(account, listing)
            except OperationFailed as failure:
                if failure.code != "cut_listing" or attempt == MOST_ATTEMPTS:
                    raise
        raise AssertionError

    async def _read(self, account: str, listing: Listing) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        steps, answer = list_rows(self._api, listing), None
        while True:
            try:
                step = next(steps) if answer is None else steps.send(answer)
            except StopIteration:
                return found
            if isinstance(step, Save):
                for row in map(orjson.loads, step.data.splitlines()):
                    name = row.get(listing.name_field)
                    if isinstance(name, str):
                        found.setdefault(unstamped(name) if self._stamps else name, []).append(
                            row[listing.id_field]
                        )
                answer = Reply(200)
            else:
                assert isinstance(step, Request)
                heard = await self._sender.send(Attempt(step, account, b"", 0, Life(Effect.READ)))
                answer = Reply(200, heard.json, heard.headers)


class _Claim:
    """One operation is about to make what has a name."""

    __slots__ = ("doubtful", "ended", "key")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.ended = anyio.Event()
        self.doubtful = False
