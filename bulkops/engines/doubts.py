"""What is in doubt while a run goes on: the API is asked what became of it, in the background and in its turn."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from getpass import getuser
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import orjson
from anyio import to_thread

from bulkops.checkpoint import StepState
from bulkops.checkpoint.baselines import Baseline
from bulkops.engines.asking import owner_words
from bulkops.engines.drive import Doubtful, Resolved, sent_name
from bulkops.engines.reopening import told_now
from bulkops.errors import OperationFailed
from bulkops.lifecycle import Adopt, Chosen, Keep, Life, Refuse, SendAgain, Skip, advance
from bulkops.model import Absent, Created, Effect, Evidence, Found, Held, Reply, traced
from bulkops.reconcile import Claimed, Claims, Doubt, is_settled, reconcile, unlisted
from bulkops.sending import Attempt
from bulkops.told import silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bulkops.checkpoint import Checkpoint, StepRow
    from bulkops.engines.drive import Drive, Running
    from bulkops.engines.repeats import Repeats
    from bulkops.lifecycle import Command, Event
    from bulkops.model import Finding, Json, Request
    from bulkops.reconcile import Findings
    from bulkops.sending import ServerClock
    from bulkops.settings import Settings
    from bulkops.told import Told

EARLY = 1.0
"""Seconds after a doubt arose until it is looked for: what has taken effect is mostly there by then."""
BETWEEN = 15.0
"""Seconds between two passes that look for what has not settled yet."""
DAY = 86_400.0


class Ruled(Protocol):
    """Who carries out what was found about an operation: send it again, go on with it, or end it."""

    async def __call__(self, running: Running, doubtful: Doubtful, command: Command) -> None:
        """Carry out a command of the lifecycle."""


@dataclass(slots=True)
class _Open:
    """An operation in doubt, and when the doubt was born in this process (seconds of the loop's clock)."""

    running: Running
    doubtful: Doubtful
    born: float
    looked: bool = False


class Doubts:
    """Keep what is in doubt, look what became of it when that can be told, and have the findings carried out.

    `steady`: the wall clock has not been set since earlier runs. `others` tells whether there are operations in
    doubt besides those kept here. All times are divided by the settings' time scale.
    """

    def __init__(
        self,
        settings: Settings,
        checkpoint: Checkpoint,
        drive: Drive,
        clock: ServerClock,
        ruled: Ruled,
        *,
        others: Callable[[], bool],
        repeats: Repeats,
        steady: bool = False,
        told: Told = silent,
    ) -> None:
        self._settings = settings
        self._settle = settings.settle / settings.time_scale
        self._checkpoint = checkpoint
        self._drive = drive
        self._clock = clock
        self._ruled = ruled
        self._others = others
        self._repeats = repeats
        self._steady = steady
        self._told = told
        self._begun = anyio.current_time()
        self._open: dict[bytes, _Open] = {}
        self._giving = anyio.Lock()
        """Held while it is written down whose an id is."""
        self._adopted: set[str] = set()
        """The ids that the user has said, which a pass under way may not know of."""
        self._order: dict[tuple[str, str], bool | None] = {}
        """The order of each account's listings."""
        self._last_pass = float("-inf")
        self._changed = anyio.Event()
        self._announced = False

    @property
    def waiting(self) -> int:
        """How many operations are kept."""
        return len(self._open)

    def take(self, running: Running, doubtful: Doubtful) -> None:
        """Keep an operation until it is known what became of it.

        One that an earlier run sent settles from the begin of this process, any other one from now.
        """
        born = self._begun if doubtful.remembered else anyio.current_time()
        self._open[running.planned.key] = _Open(running, doubtful, born)
        self._changed.set()

    def left(self) -> list[tuple[Running, Doubtful]]:
        """Return what is still kept, and keep it no longer."""
        left = [(each.running, each.doubtful) for each in self._open.values()]
        self._open.clear()
        return left

    def idle(self) -> None:
        """Hear that nothing else is left to do: tell, once, how long this will take."""
        if self._open and not self._announced:
            self._announced = True
            ready = max(each.born for each in self._open.values()) + self._settle
            sure = sum(each.doubtful.life.sure for each in self._open.values())
            seconds = max(0.0, ready - anyio.current_time())
            self._told("settling", count=len(self._open), sure=sure, seconds=seconds)

    async def look(self) -> None:
        """Look, for ever, whenever something can be told."""
        while True:
            wait = self._due() - anyio.current_time()
            if wait > 0:
                self._changed = anyio.Event()
                with anyio.move_on_after(wait):
                    await self._changed.wait()
                continue
            self._last_pass = anyio.current_time()
            listed: dict[tuple[str, str, str | None], list[_Open]] = {}
            for each in self._open.values():
                account, request = each.running.account, each.doubtful.request
                place = (account, request.makes or "", self._drive.folder_of(account, request))
                listed.setdefault(place, []).append(each)
            for (account, makes, folder), at_hand in listed.items():
                await self._pass(account, makes, folder, at_hand)

    def _due(self) -> float:
        """Return when the next pass begins: when a doubt settles, or soon after a new one arose."""
        scale = self._settings.time_scale
        dues = [float("inf")]
        for each in self._open.values():
            settles = each.born + self._settle
            if settles > self._last_pass:
                dues.append(settles)
            if not each.looked:
                dues.append(max(each.born + EARLY / scale, self._last_pass + BETWEEN / scale))
            elif settles <= self._last_pass:
                # It was settled and could not be decided: names were under way, or the listing moved.
                dues.append(self._last_pass + BETWEEN / scale)
        return min(dues)

    async def _pass(self, account: str, makes: str, folder: str | None, at_hand: Sequence[_Open]) -> None:
        """Find out what became of the operations at hand, write it down, then have it carried out."""
        try:
            findings = await self._findings(account, makes, folder, at_hand)
        except OperationFailed as failure:
            reason = (
                f"the API could not be asked what became of it: {failure.message}{traced(failure.request_id)}"
            )
            found: Mapping[bytes, Finding] = {
                each.running.planned.key: Held(reason, Evidence("no answer")) for each in at_hand
            }
        else:
            self._order[account, makes] = findings.newest_first
            found = {key: finding for (key, _), finding in findings.of.items()}
        for each in at_hand:
            each.looked = True
        async with self._giving:
            decided = [each for each in at_hand if self._holds(found.get(each.running.planned.key))]
            await self._write_down([(each, found[each.running.planned.key]) for each in decided])
        for each in decided:
            self._open.pop(each.running.planned.key, None)
            # A run that stops takes the question back, but what follows from that is carried out.
            with anyio.CancelScope(shield=True):
                await self.rule(each.running, each.doubtful, found[each.running.planned.key])

    def _holds(self, finding: Finding | None) -> bool:
        """Tell whether a finding is one still: not when the user has given its id away meanwhile."""
        return finding is not None and not (isinstance(finding, Found) and finding.entity in self._adopted)

    async def _findings(
        self, account: str, makes: str, folder: str | None, at_hand: Sequence[_Open]
    ) -> Findings:
        api = self._settings.api
        listing = api.listing_of(makes)
        if listing is not None and folder is not None:
            listing = listing.within(folder)
        now, first = anyio.current_time(), None
        if listing is None:
            return unlisted([await self._as_doubt(each, now) for each in at_hand], makes or "effect")
        if self._clock.now(account) is None:
            # What is asked for first tells what time it is there, on which depends how far back the rest goes.
            first = await self._ask(account, listing.page(api.paging, 1))
        doubts = [await self._as_doubt(each, now) for each in at_hand]
        steps = reconcile(api, listing, doubts, newest_first=self._order.get((account, makes)))
        keys = {each.running.planned.key for each in at_hand}
        return await self._driven(steps, account, makes, keys, first)

    async def _driven(
        self, steps: Any, account: str, makes: str, at_hand: set[bytes], first: Reply | None
    ) -> Findings:
        """Drive a reconcile to its end; `first` is the answer to its first request, if there is one already."""
        step: Request | Claims = next(steps)
        if first is not None:
            step = steps.send(first)
        while True:
            try:
                if isinstance(step, Claims):
                    step = steps.send(await self._claimed(step, account, makes, at_hand))
                    continue
                try:
                    reply = await self._ask(account, step)
                except OperationFailed as failure:
                    step = steps.throw(failure)
                else:
                    step = steps.send(reply)
            except StopIteration as end:
                findings: Findings = end.value
                return findings

    async def _ask(self, account: str, request: Request) -> Reply:
        attempt = Attempt(request, account, b"", 0, Life(Effect.READ))
        heard = await self._drive.sender.send(attempt)
        return Reply(200, heard.json, heard.headers)

    async def _claimed(self, claims: Claims, account: str, makes: str, at_hand: set[bytes]) -> Claimed:
        # What is under way first: what ends between the two questions is owned by then.
        moving, moves = self._repeats.moving, self._repeats.moves
        busy = frozenset(self._names_under_way(account, makes, at_hand))
        others = self._others() or any(key not in at_hand for key in self._open)
        if claims.by_name:
            await self._drive.making.heard(makes, lambda request: self._goes_to(request) == account)
        await self._checkpoint.flush()
        owners = await to_thread.run_sync(self._owners, claims.ids)
        moving = moving or self._repeats.moves != moves
        baselines = self._drive.baselines
        before = Baseline() if baselines is None else await baselines.of(account, makes)
        owned = before.ids.intersection(claims.ids).union(owners)
        return Claimed(owned, busy, others=others, moving=moving, unknown=before.unknown)

    def _owners(self, ids: tuple[str, ...]) -> dict[str, bytes]:
        if not ids:
            return {}
        with self._checkpoint.reader() as reader:
            return reader.owners(ids)

    def _goes_to(self, request: Request) -> str:
        return request.account or self._settings.account.name

    def _names_under_way(self, account: str, makes: str, at_hand: set[bytes]) -> Iterable[str]:
        api = self._settings.api
        later = (each.doubtful.request for key, each in self._open.items() if key not in at_hand)
        for request in (*self._drive.making.requests(), *later):
            name = sent_name(api, request)
            if request.makes == makes and name is not None and self._goes_to(request) == account:
                yield name

    async def _as_doubt(self, each: _Open, now: float) -> Doubt:
        """Return what is to be known of a doubt by a listing whose reading begins now."""
        doubtful, key = each.doubtful, each.running.planned.key
        listing = self._settings.api.listing_of(doubtful.request.makes)
        seen, hidden = (None, None) if listing is None else listing.seen_of(doubtful.request)
        rows = await self._checkpoint.steps_of(key)
        row = next((row for row in rows if row.number == doubtful.number), None)
        since, dated = self._since(each, row)
        name = sent_name(self._settings.api, doubtful.request)
        stamp = self._drive.stamp(key, doubtful.number) if self._drive.stamp is not None else None
        return Doubt(
            key=key,
            number=doubtful.number,
            name=name,
            body=seen,
            hidden=[doubtful.request.path, hidden],
            since=since,
            until=since + self._settings.attempt_deadline + self._settle,
            dated=dated,
            settled=is_settled(each.born, now, self._settle),
            sure=doubtful.life.sure,
            stamp=stamp
            if listing is not None and stamp in listing.tokens_of(doubtful.request.body)
            else None,
        )

    def _since(self, each: _Open, row: StepRow | None) -> tuple[float, bool]:
        """Return when a request was sent by the server's clock, and whether that is sure."""
        if row is not None and row.since > 0:
            return row.since, True
        now = self._clock.now(each.running.account)
        if now is None:
            return 0.0, False
        if not each.doubtful.remembered:
            # Not before this process began.
            return now - (anyio.current_time() - self._begun), True
        if row is None:
            return now - DAY, False
        ago = max(0.0, time.time() - row.at) + self._settings.attempt_deadline
        return (now - ago, True) if self._steady else (now - ago - DAY, False)

    async def _write_down(self, decided: Sequence[tuple[_Open, Finding]]) -> None:
        """Remember what was found, all of one pass in one transaction."""
        rows = []
        for each, finding in decided:
            steps = await self._checkpoint.steps_of(each.running.planned.key)
            rows += [row_after(row, finding) for row in steps if row.number == each.doubtful.number]
        if rows:
            await self._checkpoint.settle(rows)

    async def adopt(self, running: Running, doubtful: Doubtful, entity: str) -> str | None:
        """Remember what the user says that a request has made; or say which other operation has made it."""
        async with self._giving:
            await self._checkpoint.flush()
            refusal = await to_thread.run_sync(owner_words, self._checkpoint, entity)
            if refusal is not None:
                return refusal
            self._adopted.add(entity)
            steps = await self._checkpoint.steps_of(running.planned.key)
            await self._checkpoint.settle(
                [
                    adopted(row, entity, doubtful.request.entity)
                    for row in steps
                    if row.number == doubtful.number
                ]
            )
        return None

    async def rule(self, running: Running, doubtful: Doubtful, event: Event) -> None:
        """Carry out what was found, or chosen, about an operation in doubt."""
        life, command = advance(doubtful.life, event)
        match command:
            case Adopt(entity):
                assert isinstance(event, Found | Chosen)
                row = event.row if isinstance(event, Found) else None
                running.answer = Reply(200, row or {doubtful.request.entity: entity})
                running.created.append(Created(doubtful.request.makes or "", entity))
                self._drive.named.add(entity)
                evidence = evidence_of(event) if isinstance(event, Found) else chosen_by_user()
                running.resolved = Resolved(evidence["by"], evidence)
            case SendAgain(possible_duplicate=doubled):
                running.again = Doubtful(doubtful.request, doubtful.number, life, "")
                # The attempts of this run are counted again when the next one ends.
                running.attempts -= 0 if doubtful.remembered else life.attempt
                running.possible_duplicate |= doubled
                if doubled:
                    # Durable before it is sent again: this run may not see its end.
                    await self._checkpoint.settle([told_now(running)])
            case Refuse():
                said = (
                    f"{doubtful.reason} (sent {life.attempt} times, and each time it was found to be absent)"
                )
                running.answer = OperationFailed("gave_up", said)
            case Keep() | Skip():
                if isinstance(event, Held):
                    running.resolved = Resolved("", evidence_of(event))
            case _:
                raise ValueError(f"{command} does not follow a doubt")
        await self._ruled(running, doubtful, command)


def chosen_by_user() -> dict[str, Json]:
    """Return who decided, and when."""
    return {"by": "user", "who": getuser(), "at": round(time.time(), 3)}


def evidence_of(finding: Finding) -> dict[str, Json]:
    """Return what a finding rests on, as it is stored and shown."""
    evidence = finding.evidence
    return {
        "by": f"reconcile:{evidence.rule}",
        "rule": evidence.rule,
        "listed_at": evidence.listed_at,
        "pages": evidence.pages,
        "total": evidence.total,
        "candidates": list(evidence.candidates),
        "at": round(time.time(), 3),
    }


def adopted(row: StepRow, entity: str, field: str | None) -> StepRow:
    """Return a step that has made what the user says; `field` is where an answer would tell its id."""
    reply = orjson.dumps({field or "id": entity})
    evidence = orjson.dumps(chosen_by_user())
    return replace(row, state=StepState.DONE, entity=entity, reply=reply, evidence=evidence)


def row_after(row: StepRow, finding: Finding) -> StepRow:
    """Return what a step counts for after a finding about it."""
    evidence = orjson.dumps(evidence_of(finding))
    match finding:
        case Found(entity, _, listed):
            reply = orjson.dumps(listed)
            return replace(row, state=StepState.DONE, entity=entity, reply=reply, evidence=evidence)
        case Absent():
            return replace(row, state=StepState.NO_EFFECT, evidence=evidence)
        case Held(reason):
            return replace(row, reason=reason, evidence=evidence)
