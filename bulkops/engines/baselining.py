"""What there was before the job: looked up once, before its first create, where a listing does not tell ages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from bulkops.checkpoint.baselines import KEY, Baseline, as_pin, known, of_pin, place_of
from bulkops.engines.drive import DOUBTFUL
from bulkops.errors import OperationFailed
from bulkops.lifecycle import Life
from bulkops.model import Effect, Reply, State, traced
from bulkops.operations import KINDS
from bulkops.sending import Attempt
from bulkops.youngest import read_youngest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulkops.api.profile import Listing, Profile
    from bulkops.checkpoint import Checkpoint, Reader
    from bulkops.sending import Sender
    from bulkops.youngest import Young


class Baselines:
    """The baselines of a checkpoint, each of one kind of thing in one account.

    It is taken once for the whole job and not for each run: what a run of the job has made may be in doubt, and is not
    to be taken for what was there before. Where it cannot be taken, the run goes on without, and nothing that may have
    been there before is taken for ours; a later run takes it once nothing is in doubt. `account` is the run's own,
    whatever it is called in another run.
    """

    def __init__(self, api: Profile, sender: Sender, checkpoint: Checkpoint, account: str) -> None:
        self._api = api
        self._sender = sender
        self._checkpoint = checkpoint
        self._account = account
        self._ageless = {
            listing.lists: listing for listing in api.listings().values() if listing.created_field is None
        }
        self._taken: set[bytes] = set()
        self._taking: dict[bytes, anyio.Lock] = {}
        self._doubtful: frozenset[str] = frozenset()
        """The kinds of things of which earlier runs left something in doubt."""
        if self._ageless:
            with checkpoint.reader() as reader:
                self._taken.update(place_of(*place) for place in known(reader.pins_of(KEY)))
                self._doubtful = frozenset(self._left_in_doubt(reader))

    async def take(self, account: str, kind: str) -> None:
        """Look up what there is of a kind, unless that is done; durable when it returns, so that a create may go."""
        listing = self._ageless.get(kind)
        if listing is None or (place := self._place(account, kind)) in self._taken:
            return
        async with self._taking.setdefault(place, anyio.Lock()):
            if place not in self._taken:
                found = await self._looked_up(account, listing)
                await self._checkpoint.pin(KEY, place, as_pin(found), anew=True)
                self._taken.add(place)

    async def of(self, account: str, kind: str) -> Baseline:
        """Return what there was of a kind before the job; nothing where the listing tells ages, which do the same."""
        if kind not in self._ageless:
            return Baseline()
        pinned = await self._checkpoint.pinned(KEY, self._place(account, kind))
        return Baseline(unknown="nobody looked") if pinned is None else of_pin(pinned)

    async def _looked_up(self, account: str, listing: Listing) -> Baseline:
        if listing.lists in self._doubtful:
            # It may be there, and would count as what was there before.
            return Baseline(unknown="something of an earlier run was in doubt already")
        try:
            young = await self._read(account, listing)
        except OperationFailed as failure:
            return Baseline(
                unknown=f"the listing could not be read: {failure.message}{traced(failure.request_id)}"
            )
        if not young.whole:
            return Baseline(unknown="the listing changed while it was read")
        return Baseline(frozenset(row[listing.id_field] for row in young.rows))

    async def _read(self, account: str, listing: Listing) -> Young:
        steps = read_youngest(self._api, listing, None)
        request = next(steps)
        while True:
            heard = await self._sender.send(Attempt(request, account, b"", 0, Life(Effect.READ)))
            try:
                request = steps.send(Reply(200, heard.json, heard.headers))
            except StopIteration as end:
                young: Young = end.value
                return young

    def _left_in_doubt(self, reader: Reader) -> Iterator[str]:
        endpoints = self._api.endpoints()
        for step in reader.open_steps():
            if step.state in DOUBTFUL and step.endpoint in endpoints:
                yield endpoints[step.endpoint].makes or ""
        for row in reader.rows([State.IN_DOUBT]):
            yield KINDS[row.kind].makes or "" if row.kind in KINDS else ""

    def _place(self, account: str, kind: str) -> bytes:
        return place_of(kind, "" if account == self._account else account)
