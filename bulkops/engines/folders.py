"""The folder of the run in each account, into which its documents go: made once, by whoever needs it first."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from bulkops.api.stamping import Suffix, stamped
from bulkops.checkpoint import StepState, run_key
from bulkops.engines.doubts import BETWEEN, EARLY, row_after
from bulkops.engines.drive import DOUBTFUL, request_digest
from bulkops.errors import InDoubt, OperationFailed
from bulkops.lifecycle import Adopt, Keep, Life, Phase, Remembered, SendAgain, advance, begin
from bulkops.model import Effect, Found, Held, Reply
from bulkops.reconcile import Claimed, Claims, Doubt, is_settled, reconcile, stamp_of
from bulkops.sending import Attempt
from bulkops.told import silent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bulkops.api.profile import Listing
    from bulkops.checkpoint import Checkpoint, StepRow
    from bulkops.model import Finding, Json, Request
    from bulkops.sending import Sender
    from bulkops.settings import Settings
    from bulkops.told import Told


class Folders:
    """Know the folder of the run in each account, and make it where there is none yet.

    It is a step of the run itself in the checkpoint. Its name says whose it is, so that one whose answer was lost is
    found by that at once, and sent again only when it is absent after the settle time. One that cannot be had fails
    whoever asks for it in this run; the next run tries again. `sleep` ends early when the run is stopped.
    """

    def __init__(
        self,
        settings: Settings,
        listing: Listing,
        sender: Sender,
        checkpoint: Checkpoint,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        told: Told = silent,
    ) -> None:
        assert listing.folder is not None
        self.wanted = listing.folder.word in settings.stamps
        self._settings = settings
        self._listing = listing
        self._folder = listing.folder
        self._sender = sender
        self._checkpoint = checkpoint
        self._sleep = sleep
        self._told = told
        self._begun = anyio.current_time()
        self._known: dict[str, str | None] = {}
        self._failed: dict[str, OperationFailed] = {}
        self._making: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)

    def takes(self, request: Request) -> bool:
        """Tell whether what a request makes may go into the folder: it can, and its line names no other one."""
        return self._folder.takes(request)

    def into(self, request: Request, folder: str) -> Request:
        """Return the request that makes the same in a folder."""
        return self._folder.into(request, folder)

    def of(self, account: str, request: Request) -> str | None:
        """Return the folder of an account if a request puts something there; None else."""
        folder = self._known.get(account)
        return folder if folder is not None and self._folder.of(request) == folder else None

    async def known(self, account: str) -> str | None:
        """Return the folder of an account that is remembered; None where none is."""
        if account not in self._known:
            row = await self._row(account)
            self._known[account] = None if row is None or row.state is not StepState.DONE else row.entity
        return self._known[account]

    async def made(self, account: str) -> str:
        """Return the folder of an account, once there is one. OperationFailed where it cannot be had."""
        if (folder := self._known.get(account)) is not None:
            return folder
        async with self._making[account]:
            if (folder := await self.known(account)) is not None:
                return folder
            if (failure := self._failed.get(account)) is None:
                try:
                    folder = self._known[account] = await self._make(account)
                except OperationFailed as refused:
                    failure = self._failed[account] = refused
                else:
                    return folder
        what = f"the folder for the documents of the run cannot be had: {failure.message}"
        raise OperationFailed(failure.code, what, status=failure.status, request_id=failure.request_id)

    async def _make(self, account: str) -> str:
        """Go on with what earlier runs did of it, until it is there."""
        key, request = run_key(account), self._request(account)
        row, born = await self._row(account), self._begun
        life = Life(request.effect)
        if row is not None:
            told = Remembered(row.attempt, intent=row.state in DOUBTFUL, sure=row.state is StepState.MADE)
            life = begin(request.effect, remembered=told)
        while True:
            if life.phase is not Phase.DOUBT:
                try:
                    sent = Attempt(request, account, key, 0, life, request_digest(request))
                    heard = await self._sender.send(sent)
                except InDoubt as doubt:
                    life = replace(
                        life, phase=Phase.DOUBT, attempt=doubt.attempts, perhaps=True, sure=doubt.sure
                    )
                    born = anyio.current_time()
                    await self._sleep(EARLY / self._settings.time_scale)
                else:
                    assert heard.entity is not None
                    return heard.entity
            finding = await self._found(account, request, born, sure=life.sure)
            if isinstance(finding, Held) and finding.evidence.candidates:
                # There are two, and either is the run's own: the older one.
                finding = Found(finding.evidence.candidates[0], finding.evidence)
            life, command = advance(life, finding)
            row = await self._row(account)
            assert row is not None
            await self._checkpoint.settle([row_after(row, finding)])
            match command:
                case Adopt(entity):
                    return entity
                case SendAgain():
                    continue
                case Keep(reason):
                    raise OperationFailed("in_doubt", reason)
                case _:
                    raise OperationFailed("gave_up", "each time it was sent, it was found to be absent")

    async def _found(self, account: str, request: Request, born: float, *, sure: bool) -> Finding:
        """Look what became of it, until that can be told."""
        scale = self._settings.time_scale
        settle = self._settings.settle / scale
        announced = False
        while True:
            now = anyio.current_time()
            settled = is_settled(born, now, settle)
            if (finding := await self._looked(account, request, settled=settled, sure=sure)) is not None:
                return finding
            left = BETWEEN / scale if settled else born + settle - now
            if not announced:
                # Its documents wait for it, and whoever watches sees nothing else.
                announced = True
                self._told("settling", count=1, sure=int(sure), seconds=left)
            await self._sleep(min(BETWEEN / scale, left))

    async def _looked(self, account: str, request: Request, *, settled: bool, sure: bool) -> Finding | None:
        """Look once; None where it cannot be told yet."""
        row = await self._row(account)
        assert row is not None
        doubt = Doubt(
            key=row.key,
            number=row.number,
            name=request.body[self._listing.name_field],
            body=request.body,
            since=row.since,
            until=row.since + self._settings.attempt_deadline + self._settings.settle,
            settled=settled,
            sure=sure,
            stamp=self._token(account),
        )
        # Of documents only these bear it in their names.
        listing = replace(
            self._listing,
            query=(*self._listing.query, *self._folder.query),
            stamps=(Suffix(self._listing.name_field),),
        )
        steps = reconcile(self._settings.api, listing, [doubt])
        answer: Reply | Claimed | None = None
        while True:
            try:
                step = next(steps) if answer is None else steps.send(answer)
            except StopIteration as end:
                found: Finding | None = end.value.of.get((row.key, row.number))
                return found
            answer = Claimed() if isinstance(step, Claims) else await self._asked(account, step)

    async def _asked(self, account: str, request: Request) -> Reply:
        heard = await self._sender.send(Attempt(request, account, b"", 0, Life(Effect.READ)))
        return Reply(200, heard.json, heard.headers)

    def _request(self, account: str) -> Request:
        """Return what makes it: the same in every run of the checkpoint."""
        day = (self._checkpoint.meta("created") or "")[: len("2025-11-03")]
        body: Json = {self._listing.name_field: stamped(f"bulkops {day}".rstrip(), self._token(account))}
        return self._settings.api.endpoint(self._folder.endpoint).request(body)

    def _token(self, account: str) -> str:
        return stamp_of(self._checkpoint.meta("checkpoint_id") or "", run_key(account), 0)

    async def _row(self, account: str) -> StepRow | None:
        rows = await self._checkpoint.steps_of(run_key(account))
        return rows[0] if rows else None


def folders_of(
    settings: Settings,
    sender: Sender,
    checkpoint: Checkpoint,
    sleep: Callable[[float], Awaitable[None]],
    told: Told = silent,
) -> Folders | None:
    """Return the folders of a run; None where the API has no folders for documents."""
    listing = settings.api.listing_of(settings.api.document_upload.makes)
    if listing is None or listing.folder is None:
        return None
    return Folders(settings, listing, sender, checkpoint, sleep, told)
