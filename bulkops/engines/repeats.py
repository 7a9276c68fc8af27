"""An id that two answers named: nobody knows which request made it, so the one that had it first is in doubt too."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import anyio
import orjson
from anyio import to_thread

from bulkops.checkpoint import StepRow, StepState
from bulkops.engines.drive import BEFORE
from bulkops.engines.reopening import taken_up_again, told_before, told_of
from bulkops.lifecycle import Life, Phase, Repeated, advance
from bulkops.model import Effect, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulkops.checkpoint import Checkpoint, OperationRow
    from bulkops.engines.drive import Doubtful, Start
    from bulkops.model import Outcome
    from bulkops.planning import Planned
    from bulkops.sending import ServerClock
    from bulkops.settings import Settings


class Repeats:
    """Knows the operations that have to be put in doubt as soon as they have ended."""

    def __init__(self, settings: Settings, checkpoint: Checkpoint, clock: ServerClock) -> None:
        self._settings = settings
        self._checkpoint = checkpoint
        self._clock = clock
        self._moving = anyio.Lock()
        """Held while it is written down that what an operation made is in doubt, and while that is read."""
        self.wanted: dict[bytes, str] = {}
        """The operations that have to go on in doubt instead of ending, and the id that came again."""
        self.on_the_way: set[bytes] = set()
        """What was taken back and is not in doubt yet."""
        self.moves = 0
        """How often an operation was taken back, or came to be in doubt after that."""

    @property
    def moving(self) -> bool:
        """Whether there is one that was taken back and is not in doubt yet."""
        return bool(self.on_the_way)

    def arrived(self, key: bytes) -> None:
        """Hear that an operation is in doubt, or is known to be, or has ended."""
        if key in self.on_the_way:
            self.on_the_way.remove(key)
            self.moves += 1

    def _leaves(self, key: bytes) -> None:
        """Note that what an operation made is nobody's until it is in doubt itself."""
        self.on_the_way.add(key)
        self.moves += 1

    async def hear(self, key: bytes, doubtful: Doubtful) -> bytes | None:
        """Hear of an operation in doubt; return the other one that had the id of its answer before, if any."""
        entity = doubtful.repeated
        if entity is None:
            return None
        # Before anybody else can see that it is not under way any more.
        self._leaves(key)
        async with self._moving:
            await self._checkpoint.flush()
            owner = await to_thread.run_sync(self._owner, entity)
            if owner in (None, key) or (doubtful.remembered and await self._is_settled(owner)):
                return None
            await self._put_in_doubt(owner, entity, doubtful)
        return owner

    async def _put_in_doubt(self, owner: bytes, entity: str, doubtful: Doubtful) -> None:
        """Have an operation that had an id before go on in doubt; that is durable when this returns."""
        self.wanted[owner] = entity
        if await self._checkpoint.row_of(owner) is None:
            # Its end is not written any more. What the other one knows is gone when that ends before it.
            steps = [step for step in await self._checkpoint.steps_of(owner) if step.entity == entity]
            if not doubtful.remembered and any(map(self._is_listed, steps)):
                # Begun in this run, so it will be in doubt. What is not listed is in nobody's way.
                self._leaves(owner)
            await self._checkpoint.settle([_in_doubt(step) for step in steps])

    def _owner(self, entity: str) -> bytes | None:
        with self._checkpoint.reader() as reader:
            return reader.owners([entity]).get(entity)

    def _is_listed(self, step: StepRow) -> bool:
        api = self._settings.api
        return api.listing_of(api.endpoints()[step.endpoint].makes) is not None

    async def _is_settled(self, key: bytes) -> bool:
        """Tell whether it was found or decided what an operation made, after an earlier run heard of it."""
        row = await self._checkpoint.row_of(key)
        if row is not None:
            return "resolved_by" in orjson.loads(row.record)
        return any(step.evidence is not None for step in await self._checkpoint.steps_of(key))

    async def put_off(self, planned: Planned, outcome: Outcome, start: Start) -> list[StepRow] | None:
        """Have an operation that is wanted go on in doubt in place of its end; return the steps it has then.

        None where nothing of it is in doubt: it was put off before, and that has been settled.
        """
        entity = self.wanted.pop(planned.key)
        self._leaves(planned.key)
        made = [one for one in outcome.created if one.id != entity]
        told = told_of(planned, start.line, made, possible_duplicate=outcome.possible_duplicate)
        # With its create as it is put in doubt at this moment: else it would begin anew, and make it once more.
        async with self._moving:
            steps = await self._checkpoint.steps_of(planned.key)
        # What came after what it made was done to something else.
        doubtful = [step for step in steps if step.state in (StepState.UNKNOWN, StepState.MADE)]
        if not doubtful:
            return None
        kept = [told, *doubtful]
        await self._checkpoint.reopen(planned.key, kept)
        return kept

    async def to_take_back(self, key: bytes) -> tuple[OperationRow, list[StepRow]] | None:
        """Return the end of an operation that has to be in doubt, and the steps that belong in its place.

        None where it need not be, or has not ended yet.
        """
        if key not in self.wanted:
            return None
        row = await self._checkpoint.row_of(key)
        if row is None or (entity := self.wanted.pop(key, None)) is None:
            return None
        # From now on neither `wanted` nor in doubt.
        self._leaves(key)
        steps = await self._checkpoint.steps_of(key) or [self._made_up(row, entity)]
        return row, put_back(row, steps, entity)

    async def take_back(self, row: OperationRow, steps: Sequence[StepRow]) -> None:
        """Put these steps in the place of an operation's end."""
        self._leaves(row.key)
        await self._checkpoint.reopen(row.key, steps)

    async def hold(self, row: OperationRow, steps: Sequence[StepRow]) -> None:
        """Hold an operation that had ended: nobody can tell any more what its line asked for."""
        record = orjson.loads(row.record)
        record["status"], record["result"] = State.IN_DOUBT.value, None
        reason = "two answers named what it made, and its line does not stand in the job as it was"
        record["error"] = {"code": "in_doubt", "message": reason, "http_status": None, "request_id": None}
        record["created"] = orjson.loads(steps[0].reply or b"{}")["created"]
        for found in ("resolved_by", "evidence"):
            record.pop(found, None)
        held = replace(row, state=State.IN_DOUBT, record=orjson.dumps(record))
        # Without that the line which there is now would be taken for what was sent.
        marked = [step if step.number == BEFORE else replace(step, request=row.digest) for step in steps]
        # These first: held without a step it would be sent again.
        await self.take_back(row, marked)
        await self._checkpoint.close_operation(held, keep_steps=True)

    def _made_up(self, row: OperationRow, entity: str) -> StepRow:
        """Return the create of an operation that is done: its steps are forgotten by then.

        Each kind makes one thing, before all else that has an effect; and it did so in its last attempt.
        """
        record = orjson.loads(row.record)
        made = next(one["kind"] for one in record["created"] if one["id"] == entity)
        endpoints = self._settings.api.endpoints()
        # Several kinds may make such things; one that is not called as its endpoint asks the first of them.
        of_kind = endpoints.get(row.kind)
        asked = of_kind is not None and of_kind.makes == made
        endpoint = row.kind if asked else next(name for name, one in endpoints.items() if one.makes == made)
        ended = datetime.fromisoformat(record["ended_at"]).timestamp()
        now = self._clock.now(record.get("account") or self._settings.account.name)
        since = 0.0 if now is None else now - (time.time() - ended) - self._settings.attempt_deadline
        return StepRow(
            row.key, 0, endpoint, record["attempts"], StepState.DONE, entity, at=ended, since=since
        )


def put_back(row: OperationRow, steps: Sequence[StepRow], entity: str) -> list[StepRow]:
    """Return the steps of an operation that has ended, where nobody knows any more whether it made an entity."""
    record = orjson.loads(row.record)
    record["created"] = [one for one in record["created"] if one["id"] != entity]
    kept = (taken_up_again(row, step, resent=False) for step in steps)
    return [
        told_before(replace(row, record=orjson.dumps(record)), steps, resent=False),
        *(_in_doubt(step) if step.entity == entity else step for step in kept if step is not None),
    ]


def _in_doubt(step: StepRow) -> StepRow:
    life, _ = advance(Life(Effect.CREATE, phase=Phase.ENDED, attempt=step.attempt), Repeated())
    state = StepState.MADE if life.sure else StepState.UNKNOWN
    reason = f"its answer named {step.entity}, as the answer to another request did"
    return replace(step, state=state, entity=None, reply=None, evidence=None, reason=reason)
