"""What there is already, by its name or its content: looked up once in a run, with what the run has made since."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import orjson
from anyio import to_thread

from bulkops.api.stamping import unstamped
from bulkops.engines.ledger import mark, told_of, uploaded
from bulkops.errors import CheckpointError, OperationFailed
from bulkops.jobfile.uploads import content_digest
from bulkops.sending.listings import listed_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bulkops.api.profile import Listing, Profile
    from bulkops.checkpoint import Checkpoint
    from bulkops.model import Find, Json, Request
    from bulkops.sending import Sender
    from bulkops.settings import Earlier

    _Place = tuple[str, str, str]

MOST_ATTEMPTS = 3
"""So often a listing is begun that moved while it was read."""
CONTENT = b"content"
"""Where the content is pinned that an operation has begun to upload."""


class Directory:
    """The things of each account by kind and name. Who finds none is the only one to make it, until that has ended.

    Agents are listed. Of documents no listing tells the content: those are known that this run has uploaded, and those
    of `earlier` runs.
    `account` is that of the run, whose results do not name it.
    """

    def __init__(
        self,
        api: Profile,
        sender: Sender,
        checkpoint: Checkpoint,
        account: str,
        *,
        stamps: bool = False,
        earlier: Sequence[Earlier] = (),
        undoing: Sequence[Path] = (),
    ) -> None:
        self._api = api
        self._sender = sender
        self._checkpoint = checkpoint
        self._account = account
        self._stamps = stamps
        self._earlier = earlier
        self._undoing = undoing
        self._known: dict[tuple[str, str], dict[str, list[Json]]] = {}
        self._names_of: dict[str, dict[str, str]] = {}
        """By account the names of its agents, once something was deleted or renamed."""
        self._meanwhile: list[tuple[str, Request, str | None]] = []
        self._listing: set[str] = set()
        """The accounts whose listing is being read."""
        self.listens = False
        """Whether it has to hear of what is made, changed and deleted, as names are looked for."""
        self._reading = anyio.Lock()
        self._claims: dict[_Place, _Claim] = {}
        self._claimed: dict[bytes, _Place] = {}

    async def find(self, account: str, step: Find, key: bytes, *, begun: bool) -> Json:
        """Return what there is of a kind with a name, or with a name and the content of a file; see `Find`.

        With none, the operation with this key may make one: others that look for the same wait until it has `ended`.
        One that has `begun` to make it finds none. OperationFailed where the listing cannot be read, or another
        operation may have made one.
        """
        name, more = step.name, {}
        if step.file is not None:
            more = {"sha256": await self._content(step.file, key, begun=begun)}
            name = mark(more["sha256"], name)
        place = (account, step.kind, name)
        found: list[Json] = []
        while not begun:
            await self._unclaimed(place, key, step.name)
            found = (await self._names(account, step.kind)).get(name, [])
            # While it was looked up, another one may have been at it as well.
            if found or self._claims.get(place) is None:
                break
        if not found:
            self._claims.setdefault(place, _Claim(key))
            self._claimed[key] = place
        return {"found": [told_of(each) for each in found], **more}

    async def _content(self, file: str, key: bytes, *, begun: bool) -> str:
        """Return the content that an operation uploads; once it has begun, that which it began to upload."""
        kept = await self._checkpoint.pinned(key, CONTENT) if begun else None
        if kept is not None:
            content: str = orjson.loads(kept)
            return content
        try:
            found = await to_thread.run_sync(content_digest, file)
        except OSError as error:
            raise OperationFailed("no_file", f"{file} cannot be read: {error.strerror}") from None
        # The file may have been edited since an attempt that had no effect.
        await self._checkpoint.pin(key, CONTENT, orjson.dumps(found), anew=True)
        return found

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
        known = self._known.get((account, kind))
        if made is not None and known is not None and made not in known.setdefault(name, []):
            known[name].append(made)
        del self._claims[place], self._claimed[key]

    def heard(self, account: str, request: Request, made: str | None) -> None:
        """Hear of a request that took effect, so that what the listing told stays true."""
        kind = self._api.agent_list.lists
        names = self._known.get((account, kind))
        if names is None:
            if account in self._listing:
                # It is being read, and may or may not have it.
                self._meanwhile.append((account, request, made))
            return
        body = request.body if isinstance(request.body, dict) else {}
        name = body.get(self._api.name_field)
        if request.makes == kind and made is not None:
            self._put(account, names, made, name)
        elif request.endpoint == self._api.agent_update.name and isinstance(name, str):
            entity = request.path.rpartition("/")[2]
            self._drop(account, names, entity)
            self._put(account, names, entity, name)
        elif request.endpoint == self._api.agent_delete.name:
            self._drop(account, names, request.path.rpartition("/")[2])

    def _put(self, account: str, names: dict[str, list[Json]], entity: str, name: Json) -> None:
        if isinstance(name, str):
            bare = unstamped(name) if self._stamps else name
            if entity not in names.setdefault(bare, []):
                names[bare].append(entity)
            if account in self._names_of:
                self._names_of[account][entity] = bare

    def _drop(self, account: str, names: dict[str, list[Json]], entity: str) -> None:
        if account not in self._names_of:
            self._names_of[account] = {each: name for name, ids in names.items() for each in ids}
        name = self._names_of[account].pop(entity, None)
        if name is not None:
            names[name].remove(entity)

    async def _unclaimed(self, place: _Place, key: bytes, name: str) -> None:
        """Wait until nobody else is about to make the same."""
        while (claim := self._claims.get(place)) is not None and claim.key != key:
            if claim.doubtful:
                what = f"another line may have made {name!r}, and that is in doubt"
                raise OperationFailed("name_in_doubt", f"{what}; settle it, then retry this one")
            await claim.ended.wait()

    async def _names(self, account: str, kind: str) -> dict[str, list[Json]]:
        async with self._reading:
            if (account, kind) not in self._known:
                if kind == self._api.agent_list.lists:
                    self._known[account, kind] = await self._listed(account, self._api.agent_list)
                else:
                    self._known[account, kind] = await self._uploaded(account)
        return self._known[account, kind]

    async def _uploaded(self, account: str) -> dict[str, list[Json]]:
        await self._checkpoint.flush()

        def read() -> dict[str, list[Json]]:
            with self._checkpoint.reader() as reader:
                return uploaded(self._api, reader, self._earlier, account, self._account, self._undoing)

        try:
            return await to_thread.run_sync(read)
        except OSError as error:
            raise OperationFailed("no_ledger", f"{error.filename} cannot be read: {error.strerror}") from None
        except CheckpointError as error:
            raise OperationFailed("no_ledger", str(error)) from None

    async def _listed(self, account: str, listing: Listing) -> dict[str, list[Json]]:
        self.listens = True
        self._listing.add(account)
        try:
            found = self._known[account, listing.lists] = await self._begun_anew(account, listing)
            for each in self._meanwhile:
                self.heard(*each)
        finally:
            self._listing.discard(account)
            self._meanwhile.clear()
        return found

    async def _begun_anew(self, account: str, listing: Listing) -> dict[str, list[Json]]:
        """Read a listing, again where it moved meanwhile."""
        for attempt in range(1, MOST_ATTEMPTS + 1):
            try:
                return await self._read(account, listing)
            except OperationFailed as failure:
                if failure.code != "cut_listing" or attempt == MOST_ATTEMPTS:
                    raise
        raise AssertionError

    async def _read(self, account: str, listing: Listing) -> dict[str, list[Json]]:
        found: dict[str, list[Json]] = {}
        async for row in listed_rows(self._api, listing, self._sender, account):
            name = row.get(listing.name_field)
            if isinstance(name, str):
                bare = unstamped(name) if self._stamps else name
                found.setdefault(bare, []).append(row[listing.id_field])
        return found


class _Claim:
    """One operation is about to make what has a name."""

    __slots__ = ("doubtful", "ended", "key")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.ended = anyio.Event()
        self.doubtful = False
