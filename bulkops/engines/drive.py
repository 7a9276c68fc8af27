"""One operation, from its first step to its outcome: replay what is remembered, ask for the rest."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import orjson

from bulkops.checkpoint import StepState, digest
from bulkops.engines.making import Making
from bulkops.errors import InDoubt, OperationFailed
from bulkops.lifecycle import Life, Phase, Remembered, Verdict, begin
from bulkops.model import (
    Await,
    Changed,
    Created,
    Effect,
    Failure,
    Find,
    Load,
    Outcome,
    Pause,
    Pinned,
    Reply,
    Save,
    State,
    value,
)
from bulkops.sending import Attempt, Named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulkops.api.profile import Profile
    from bulkops.checkpoint import StepRow
    from bulkops.engines.baselining import Baselines
    from bulkops.model import Json, Request, Step
    from bulkops.operation import Operation, Steps
    from bulkops.planning import Planned
    from bulkops.sending import Sender

_READ, _DONE = Effect.READ, State.DONE
_WAITS = (Await, Pause)
_REQUEST = blake2b(digest_size=8)
BEFORE = -1
"""The number of the step in which an operation that is taken up again keeps what its earlier ends told."""
DOUBTFUL = (StepState.INTENT, StepState.UNKNOWN, StepState.MADE)
STARTED_OVER = "started over"
"""The reason of a step of a failed operation: its reply holds as long as the request is the same."""


class Files(Protocol):
    """Where `Save` steps go."""

    async def append(self, key: bytes, save: Save, /) -> None:
        """Append to a file of an operation."""

    async def discard(self, key: bytes, /) -> None:
        """Forget what an operation has appended."""


class Pins(Protocol):
    """What is remembered beside the steps: answers that are asked for once, and changes that took effect."""

    async def ask(self, planned: Planned, request: Request, attempt: Attempt, /, *, begun: bool) -> Json:
        """Return the pinned answer, asking for it when there is none yet, or it has to fit and nothing has begun."""

    async def read(self, planned: Planned, path: str, /) -> Json:
        """Return the pinned object of a file."""

    async def changed(self, planned: Planned, change: Changed, /) -> None:
        """Remember a change."""


class Finds(Protocol):
    """What there is already."""

    @property
    def listens(self) -> bool:
        """Return whether it has to hear of what takes effect."""

    async def find(self, account: str, step: Find, key: bytes, /, *, begun: bool) -> Json:
        """Return what there is; with none the operation may make one."""

    def heard(self, account: str, request: Request, made: str | None, /) -> None:
        """Hear of a request that took effect."""

    def ended(self, key: bytes, made: str | None, /, *, doubtful: bool) -> None:
        """Hear what an operation has made that found none, at its end; or that it may have made something."""


class Places(Protocol):
    """The folder of the run in each account."""

    wanted: bool
    """Is what can be put there put there?"""

    def takes(self, request: Request, /) -> bool:
        """Tell whether what a request makes may go there."""

    def into(self, request: Request, folder: str, /) -> Request:
        """Return the request that makes the same there."""

    def of(self, account: str, request: Request, /) -> str | None:
        """Return the folder of an account if a request puts something there; None else."""

    async def known(self, account: str, /) -> str | None:
        """Return the folder of an account, None while it has none."""

    async def made(self, account: str, /) -> str:
        """Return the folder of an account; OperationFailed where it cannot be had."""


@value
class Start:
    """When an operation was begun (epoch seconds), on which line of the job, and what earlier runs did of it.

    What an earlier end told of having made, or perhaps made twice, is told at every later end as well.
    """

    at: float
    line: int
    remembered: Mapping[int, StepRow]
    created: tuple[Created, ...] = ()
    possible_duplicate: bool = False
    pinned: bytes | None = None
    """The line as it was when the operation came to be in doubt."""


@value
class Doubtful:
    """The operation waits: nobody knows what became of this request of its own.

    `remembered`: an earlier run sent it. `edited`: the line no longer asks for what was sent. `repeated` is the id
    that its answer named, as the answer to another request did.
    """

    request: Request
    number: int
    life: Life
    reason: str
    remembered: bool = False
    edited: bool = False
    repeated: str | None = None


@value
class Resolved:
    """Who told what became of a request that was in doubt, and what that rests on."""

    by: str
    evidence: Json


@dataclass(slots=True)
class Running:
    """One operation under way. `answer` is what its generator hears next, `again` the request to send first."""

    planned: Planned
    operation: Operation
    steps: Steps
    account: str
    start: Start
    answer: Reply | Exception | None = None
    number: int = 0
    attempts: int = 0
    created: list[Created] = field(default_factory=list)
    possible_duplicate: bool = False
    began_at: float | None = None
    """When its last effect took place, if that was in an earlier run (epoch seconds)."""
    doubtful: Doubtful | None = None
    again: Doubtful | None = None
    resent: int = 0
    resolved: Resolved | None = None
    finds: bool = False
    """Has it looked for what is there already?"""


@value
class Parked:
    """The operation waits for something and holds nothing meanwhile."""

    step: Await | Pause


@value
class Drive:
    """What driving an operation needs."""

    api: Profile
    sender: Sender
    files: Files
    pins: Pins
    stamp: Callable[[bytes, int], str] | None = None
    """The token that what a request of an operation makes can bear."""
    named: Named = field(default_factory=Named)
    """The ids that are known: no answer may name one of them again."""
    making: Making = field(default_factory=Making)
    """What is being made at this moment."""
    reads_before: bool = True
    """Is what operations change read beforehand?"""
    directory: Finds | None = None
    """Knows what there is already."""
    stamps: frozenset[str] = frozenset()
    """How what is made bears its token, by the words of `--stamp`."""
    folders: Places | None = None
    """None where the API has no folders."""
    baselines: Baselines | None = None
    """Knows what there was before the job; None where the listings tell ages, which do the same."""

    async def forward(self, running: Running) -> Outcome | Parked | Doubtful:
        """Drive an operation until it ends or waits.

        Stop passes through: it concerns the run, and the operation stays pending.
        """
        try:
            if running.again is not None:
                running.answer = await self._take(running, running.again.request)
            while True:
                step = _next_step(running)
                if isinstance(step, _WAITS):
                    return Parked(step)
                running.answer = await self._take(running, step)
        except StopIteration as end:
            return self._done(running, end.value)
        except OperationFailed as failure:
            await self.files.discard(running.planned.key)
            self._let_go(running)
            return _outcome(running, State.FAILED, failure=failed(failure))
        except InDoubt as doubt:
            running.attempts += doubt.attempts
            self._let_go(running, doubtful=True)
            doubtful, running.doubtful = running.doubtful, None
            return await self.held(running, doubt.reason) if doubtful is None else doubtful

    async def held(self, running: Running, reason: str) -> Outcome:
        """Return the outcome of an operation that stays in doubt."""
        return await self.given_up(running, State.IN_DOUBT, Failure("in_doubt", reason))

    async def given_up(self, running: Running, state: State, failure: Failure) -> Outcome:
        """Return the outcome of an operation that ends where it stands."""
        await self.files.discard(running.planned.key)
        self._let_go(running, doubtful=state is State.IN_DOUBT)
        return _outcome(running, state, failure=failure)

    def _let_go(self, running: Running, *, doubtful: bool = False) -> None:
        """Let others look again for what the operation found none of."""
        if running.finds and self.directory is not None:
            made = running.created[-1].id if running.created else None
            self.directory.ended(running.planned.key, made, doubtful=doubtful)

    async def _take(
        self, running: Running, step: Request | Save | Load | Changed | Find
    ) -> Reply | OperationFailed:
        try:
            if isinstance(step, Save):
                named = step if step.name is not None else replace(step, name=_file_name(running))
                await self.files.append(running.planned.key, named)
                return Reply(200)
            if isinstance(step, Find):
                return Reply(200, await self._find(running, step))
            if isinstance(step, Changed):
                await self.pins.changed(running.planned, step)
                return Reply(200)
            if isinstance(step, Load):
                return Reply(200, await self.pins.read(running.planned, step.path))
            if step.effect is _READ:
                return await self._read(running, step)
            if self.folders is not None and step.makes is not None and self.folders.takes(step):
                step = await self._placed(running, step, self.folders)
            prepared = self._prepared(running, step)
            return prepared if isinstance(prepared, Reply) else await self._make(running, prepared)
        except OperationFailed as refusal:
            # It is heard where the step was yielded, so that a kind can handle it like any exception.
            running.attempts += refusal.attempts
            return refusal

    async def _find(self, running: Running, step: Find) -> Json:
        assert self.directory is not None
        running.finds = True
        begun = any(
            row.endpoint == step.endpoint and row.state is not StepState.NO_EFFECT
            for row in running.start.remembered.values()
        )
        return await self.directory.find(running.account, step, running.planned.key, begun=begun)

    async def _read(self, running: Running, request: Request) -> Reply:
        planned = running.planned
        account = request.account or running.account
        sink = None if request.saves is None else _Written(self.files, planned.key, request.saves)
        attempt = Attempt(request, account, planned.key, 0, Life(Effect.READ), sink=sink)
        if request.pinned is not None:
            if request.account is None and planned.line.account is not None:
                # Rows that share an answer may be of several accounts.
                request = replace(request, account=account)
            if request.pinned is Pinned.OPERATION and not self.reads_before and request.fit is None:
                return Reply(200)
            begun = any(step.state is not StepState.NO_EFFECT for step in running.start.remembered.values())
            return Reply(200, await self.pins.ask(planned, request, attempt, begun=begun))
        heard = await self.sender.send(attempt)
        running.attempts += heard.life.attempt
        if request.fit is not None:
            request.fit(heard.json)
        return Reply(200, heard.json, heard.headers)

    def _prepared(self, running: Running, request: Request) -> Attempt | Reply:
        """Return the first attempt at a request that has an effect, or its answer where that is remembered."""
        if running.again is not None:
            again, running.again = running.again, None
            return _attempt(running, again.request, again.number, again.life)
        number, running.number = running.number, running.number + 1
        row = running.start.remembered.get(number)
        request = _addressed(running, request)
        if request.makes is not None and (row is not None or self.stamps):
            request = self._stamped(running, request, number, row)
        if row is not None and (reply := _replayed(running, request, row)) is not None:
            running.began_at = row.at
            if row.entity is not None:
                self.named.add(row.entity)
            return reply
        running.began_at = None
        life = _life(request, row)
        if life.phase is Phase.DOUBT:
            raise _remembered_doubt(running, request, number, life, row)
        return _attempt(running, request, number, life)

    async def _make(self, running: Running, attempt: Attempt) -> Reply:
        """Send a request that has an effect."""
        request, place = attempt.request, id(running)
        if request.makes is not None:
            if self.baselines is not None:
                await self.baselines.take(attempt.account, request.makes)
            self.making.begin(place, request)
        try:
            heard = await self.sender.send(attempt)
        except InDoubt as doubt:
            life = replace(
                attempt.life, phase=Phase.DOUBT, attempt=doubt.attempts, perhaps=True, sure=doubt.sure
            )
            running.doubtful = Doubtful(request, attempt.number, life, doubt.reason, repeated=doubt.repeated)
            raise
        finally:
            self.making.end(place)
        running.attempts += heard.life.attempt
        _own(running, request, heard.entity)
        if self.directory is not None and self.directory.listens:
            self.directory.heard(running.account, request, heard.entity)
        if request.makes is not None:
            self._let_go(running)
        return Reply(200, heard.json or {}, heard.headers)

    def folder_of(self, account: str, request: Request) -> str | None:
        """Return the folder of the run, if that is where a request puts something; None else."""
        return None if self.folders is None else self.folders.of(account, request)

    async def _placed(self, running: Running, request: Request, folders: Places) -> Request:
        """Return a request whose thing goes into the folder of the run, where that is wanted.

        What an earlier run sent stays as it was, there or elsewhere.
        """
        if running.again is not None:
            return request
        row = running.start.remembered.get(running.number)
        if row is not None:
            known = await folders.known(running.account)
            for said in [request] if known is None else [request, folders.into(request, known)]:
                if row.request == request_digest(_addressed(running, said)):
                    return said
        return folders.into(request, await folders.made(running.account)) if folders.wanted else request

    def _stamped(self, running: Running, request: Request, number: int, row: StepRow | None) -> Request:
        """Return a request whose thing bears its stamp, where it has a place for that.

        What an earlier run sent stays as it was, with the stamp of that run or without one.
        """
        listing = self.api.listing_of(request.makes)
        if listing is None or not listing.stamps or self.stamp is None:
            return request
        token = self.stamp(running.planned.key, number)
        if row is not None:
            for said in (request, *(way.on(request, token) for way in listing.stamps)):
                if said is not None and row.request == request_digest(said):
                    return said
        marked = (way.on(request, token) for way in listing.stamps if way.word in self.stamps)
        return next(marked, None) or request

    def _done(self, running: Running, result: Mapping[str, Json]) -> Outcome:
        self._let_go(running)
        passed = running.operation.passed(self.api, result)
        return _outcome(running, _DONE, result=result, passed=passed)


def _addressed(running: Running, request: Request) -> Request:
    """Return a request with the account that its line names: a part of what it means, and so of its digest."""
    return request if running.planned.line.account is None else replace(request, account=running.account)


class _Written:
    """Writes an answer that is a file as an output file of its operation."""

    def __init__(self, files: Files, key: bytes, save: Save) -> None:
        self._files = files
        self._key = key
        self._save = save

    async def begin(self, suffix: str) -> None:
        """See `Sink.begin`."""
        await self._files.discard(self._key)
        self._save = replace(self._save, suffix=suffix)

    async def write(self, data: bytes) -> None:
        """See `Sink.write`."""
        await self._files.append(self._key, replace(self._save, data=data))


def _next_step(running: Running) -> Step:
    answer, running.answer = running.answer, None
    try:
        if answer is None:
            return next(running.steps)
        if isinstance(answer, Exception):
            return running.steps.throw(answer)
        return running.steps.send(answer)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        # A kind trusts the answers that the API documents; one of another shape fails its operation only.
        raise OperationFailed(
            "bad_answer", f"the answer does not have the documented shape ({type(error).__name__}: {error})"
        ) from error


def _replayed(running: Running, request: Request, row: StepRow) -> Reply | None:
    """Return the remembered reply of a request, or None when it has to be made (again)."""
    if row.state is not StepState.DONE or row.reply is None:
        return None
    # What can be repeated is: it may have been done to something that is in doubt since.
    again = row.reason == STARTED_OVER or request.effect is Effect.IDEMPOTENT
    if (again and row.request != request_digest(request)) or row.endpoint != request.endpoint:
        # It is there, and it is not what is asked for now.
        _own(running, request, row.entity)
        return None
    if row.evidence is not None:
        evidence = orjson.loads(row.evidence)
        running.resolved = Resolved(evidence["by"], evidence)
    _own(running, request, row.entity)
    return Reply(200, orjson.loads(row.reply) or {})


def _file_name(running: Running) -> str:
    """Return the name of a file that is named after its operation."""
    planned = running.planned
    if planned.line.id is None:
        return f"line-{running.start.line}" + (f"-{planned.index + 1}" if planned.line.count > 1 else "")
    return planned.name or planned.line.id


def _own(running: Running, request: Request, entity: str | None) -> None:
    if request.makes is None or entity is None:
        return
    made = Created(request.makes, entity)
    if made not in running.created:
        running.created.append(made)


def sent_name(api: Profile, request: Request) -> str | None:
    """Return the name that a request gives to what it makes; None where the API does not list such things."""
    listing = api.listing_of(request.makes)
    return None if listing is None else listing.name_in(request)


def _remembered_doubt(
    running: Running, request: Request, number: int, life: Life, row: StepRow | None
) -> InDoubt:
    assert row is not None
    why = Verdict.ID_UNKNOWN if life.sure else Verdict.DOUBT
    reason = row.reason or "the run ended before an answer was written down"
    # One that was done is known by its line alone.
    edited = row.request not in (b"", request_digest(request), digest(running.planned.line.raw))
    said = reason if reason.startswith(why.value) else f"{why.value}: {reason}"
    repeated = orjson.loads(row.evidence).get("repeated") if row.evidence is not None else None
    running.doubtful = Doubtful(
        request, number, life, said, remembered=True, edited=edited, repeated=repeated
    )
    return InDoubt(said)


def _attempt(running: Running, request: Request, number: int, life: Life) -> Attempt:
    """Return the first attempt at a request that has an effect."""
    return Attempt(request, running.account, running.planned.key, number, life, request_digest(request))


def _life(request: Request, row: StepRow | None) -> Life:
    deletes = request.method == "DELETE"
    if row is None:
        return Life(request.effect, deletes)
    remembered = Remembered(row.attempt, intent=row.state in DOUBTFUL, sure=row.state is StepState.MADE)
    return begin(request.effect, deletes=deletes, remembered=remembered)


def _outcome(
    running: Running,
    state: State,
    *,
    result: Mapping[str, Json] | None = None,
    failure: Failure | None = None,
    passed: bool | None = None,
) -> Outcome:
    resolved = running.resolved
    by, evidence = (None, None) if resolved is None else (resolved.by, resolved.evidence)
    return Outcome(
        state,
        result,
        failure,
        tuple(running.created),
        running.attempts,
        passed,
        running.possible_duplicate,
        by,
        evidence,
    )


def failed(error: OperationFailed) -> Failure:
    """Return the failure that an error tells of."""
    return Failure(error.code, error.message, error.status, error.request_id)


def request_digest(request: Request) -> bytes:
    """Return 8 bytes that change when the request does; of a file, its path, size and time of change count."""
    content = [request.endpoint, request.path, request.query, request.body]
    if request.account is not None:
        content.append({"account": request.account})
    if request.form is not None:
        form = request.form
        content += [form.fields, form.file_name, os.fsencode(form.path).hex()]
        try:
            status = Path(form.path).stat()
            content += [status.st_size, status.st_mtime_ns]
        except OSError:
            content.append("unreadable")
    of_request = _REQUEST.copy()
    of_request.update(orjson.dumps(content))
    return of_request.digest()
