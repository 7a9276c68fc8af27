"""Many operations at once, in this process: a fixed number of workers, and lookers for what is awaited."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Protocol

import anyio
import orjson

from bulkops.checkpoint import StepRow, StepState, line_key, operation_key
from bulkops.engines.drive import BEFORE, STARTED_OVER, Parked, Running, Start, failed
from bulkops.engines.feeding import Blocked, Feed
from bulkops.engines.watching import Watcher
from bulkops.errors import OperationFailed, Stop
from bulkops.jobfile import RawLine, pick
from bulkops.model import Created, Failure, Outcome, State
from bulkops.planning import Planned
from bulkops.told import silent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bulkops.checkpoint import Checkpoint, OperationRow
    from bulkops.engines.drive import Drive
    from bulkops.engines.watching import Budget
    from bulkops.jobfile import Line, Ref
    from bulkops.model import Json
    from bulkops.planning import Plan
    from bulkops.settings import Settings
    from bulkops.told import Told

LONGEST_ENDING = 5.0
"""Seconds that an aborted run still gives the checkpoint to write the end of an operation down."""
LOOKERS = 16
"""At most so many looks at awaited things are under way at once, and at most a quarter of what may be in flight."""


class Closing(Protocol):
    """What becomes of operations that have ended."""

    async def close(self, planned: Planned, outcome: Outcome, *, started: float, line: int) -> None:
        """Write an outcome down; durable when it returns. `line` is the number of its line in the whole job."""

    def reopened(self, planned: Planned, was: State) -> None:
        """Hear that an operation which had ended so is taken up again."""


class Engine:
    """Do what a plan takes up.

    `closing` hears once of every operation that ends, and has made it durable when it returns. `stop` ends the run
    early: nothing new begins, requests in flight are finished, what waits is left for a later run. `told` hears
    what the watcher tells.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        checkpoint: Checkpoint,
        closing: Closing,
        open_steps: Mapping[bytes, list[StepRow]],
        told: Told = silent,
    ) -> None:
        self._told = told
        self._plan = plan
        self._settings = settings
        self._checkpoint = checkpoint
        self._closing = closing
        self._open_steps = open_steps
        self._feed = Feed(plan)
        self._resumed: deque[Running] = deque()
        self._changed = anyio.Event()
        self._sleeping = 0
        self._busy = 0
        self._stopped = anyio.Event()
        self._lookers: anyio.CancelScope | None = None
        self._workers: anyio.CancelScope | None = None
        self._on_stop: list[Callable[[Stop], None]] = []
        self.stopped_by: Stop | None = None
        self.watcher: Watcher | None = None

    @property
    def awaited(self) -> int:
        """How many operations wait for something at the API to settle."""
        return self.watcher.waiting if self.watcher is not None else 0

    @property
    def looks(self) -> int:
        """How many requests have asked whether something had settled."""
        return self.watcher.looks if self.watcher is not None else 0

    @property
    def awaited_by_watch(self) -> Mapping[str, int]:
        """The same by the names of the profile's watches."""
        return self.watcher.awaited if self.watcher is not None else {}

    @property
    def next_look(self) -> float:
        """Seconds until the next look at what is awaited; infinity when there is none to come."""
        return self.watcher.next_look() if self.watcher is not None else inf

    @property
    def at_requests(self) -> int:
        """How many operations and looks are at their requests, in flight or waiting for a turn."""
        return self._busy + (self.watcher.looking if self.watcher is not None else 0)

    @property
    def held(self) -> int:
        """How many lines wait for operations in doubt."""
        return self._feed.held()

    async def run(self, drive: Drive, budget: Budget) -> None:
        """Work until every operation has ended or waits for one that is held; or until stopped."""
        settings = self._settings
        self.watcher = Watcher(
            settings.api,
            drive.sender,
            self._resume,
            budget=budget,
            account=settings.account.name,
            share=settings.account.poll_share,
            time_scale=settings.time_scale,
            told=self._told,
        )
        self._lookers = anyio.CancelScope()
        async with anyio.create_task_group() as beside:
            # In a task of its own: a scope around the workers would take them with it when it is cancelled.
            beside.start_soon(self._look, self.watcher, self._lookers)
            async with anyio.create_task_group() as workers:
                self._workers = workers.cancel_scope
                for _ in range(self._settings.in_flight):
                    workers.start_soon(self._guarded, self._work, drive)
            self._lookers.cancel()

    def stop(self, reason: Stop) -> None:
        """End the run early, for this reason; the first one counts."""
        if self.stopped_by is None:
            self.stopped_by = reason
            self._stopped.set()
            for listener in self._on_stop:
                listener(reason)
            if self._lookers is not None:
                # Looks are reads: nothing is lost, and a later run looks again.
                self._lookers.cancel()
            self._wake()

    def on_stop(self, listener: Callable[[Stop], None]) -> None:
        """Have somebody told, once, that the run ends early."""
        self._on_stop.append(listener)

    def abort(self) -> None:
        """Give up even the requests in flight; how far each one got is still recorded."""
        if self._workers is not None:
            self._workers.cancel()

    async def drain(self) -> None:
        """Wait until the run is stopped, then give the requests in flight their time, then abort."""
        await self._stopped.wait()
        await anyio.sleep(self._settings.drain)
        self.abort()

    async def sleep(self, seconds: float) -> None:
        """Wait, unless the run is stopped meanwhile: then raise its reason."""
        with anyio.move_on_after(seconds):
            await self._stopped.wait()
        if self.stopped_by is not None:
            raise self.stopped_by

    async def _look(self, watcher: Watcher, scope: anyio.CancelScope) -> None:
        with scope:
            async with anyio.create_task_group() as lookers:
                for _ in range(min(LOOKERS, max(1, self._settings.in_flight // 4))):
                    lookers.start_soon(self._guarded, self._look_on, watcher)

    async def _look_on(self, watcher: Watcher) -> None:
        while True:
            due = await watcher.due()
            while self._busy > self._places(watcher):
                await self._sleep_until_change()
            await watcher.look_at(due)
            if self._busy >= self._places(watcher) - 1:
                self._wake()

    def _places(self, watcher: Watcher) -> int:
        """Return how many operations may be at their requests: looks take places among them, but not the last."""
        return max(1, self._settings.in_flight - watcher.looking)

    async def _guarded(self, job: Callable[..., Awaitable[None]], *arguments: object) -> None:
        try:
            await job(*arguments)
        except Stop as reason:
            self.stop(reason)

    async def _work(self, drive: Drive) -> None:
        while (item := await self._next()) is not None:
            self._busy += 1
            try:
                await self._do(drive, item)
            finally:
                self._busy -= 1
                self._wake()

    async def _next(self) -> Running | Planned | Blocked | None:
        watcher = self.watcher
        assert watcher is not None
        while self.stopped_by is None:
            if self._busy >= self._places(watcher):
                await self._sleep_until_change()
                continue
            if self._resumed:
                return self._resumed.popleft()
            if watcher.waiting < self._settings.most_awaited:
                item = self._feed.take()
                if item is not None:
                    return item
                if not self._feed.exhausted:
                    await self._feed.read()
                    continue
                if not self._busy and not watcher.waiting:
                    break
            await self._sleep_until_change()
        self._wake()
        return None

    async def _do(self, drive: Drive, item: Running | Planned | Blocked) -> None:
        if isinstance(item, Blocked):
            started = await self._begin(item.planned)
            outcome = Outcome(State.BLOCKED, failure=Failure("blocked", item.cause))
            await self._end(item.planned, outcome, started)
            return
        running = item if isinstance(item, Running) else await self._start(item)
        if running is None:
            return
        try:
            forwarded = await drive.forward(running)
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(LONGEST_ENDING, shield=True):
                await self._end_aborted(running)
            raise
        if isinstance(forwarded, Parked):
            assert self.watcher is not None
            self.watcher.park(running, forwarded.step, wanted=self._feed.wants(running.planned))
        else:
            await self._end(running.planned, forwarded, running.start)

    async def _end_aborted(self, running: Running) -> None:
        """Hold an operation whose request may have arrived; any other one is simply not over."""
        steps = await self._checkpoint.steps_of(running.planned.key)
        if any(step.state is StepState.UNKNOWN for step in steps):
            reason = "it may have taken effect: the run was aborted while it waited for the answer"
            outcome = Outcome(
                State.IN_DOUBT, failure=Failure("in_doubt", reason), created=tuple(running.created)
            )
            await self._end(running.planned, outcome, running.start)

    async def _start(self, planned: Planned) -> Running | None:
        """Make an operation of its line; None when the line turns out wrong, which ends the operation."""
        start = await self._begin(planned)
        if start.pinned is not None and start.pinned != planned.line.raw:
            # What is in doubt is asked for again as it was, whatever the line says now.
            raw = RawLine(planned.line.number, planned.line.offset, start.pinned)
            planned = Planned(planned.key, planned.line_key, self._plan.parse(raw), planned.index)
        try:
            results = await self._results(planned.line) if planned.line.refs else {}
            operation = planned.line.operation(lambda ref: pick(results[ref], ref), planned.index + 1)
        except OperationFailed as error:
            await self._end(planned, Outcome(State.FAILED, failure=failed(error)), start)
            return None
        return Running(
            planned=planned,
            operation=operation,
            steps=operation.steps(self._settings.api),
            account=self._settings.account.name,
            start=start,
            created=list(start.created),
            possible_duplicate=start.possible_duplicate,
        )

    async def _results(self, line: Line) -> dict[Ref, Json]:
        results: dict[Ref, Json] = {}
        for ref in line.refs:
            row = await self._checkpoint.row_of(operation_key(line_key(ref.id, b"", 0), (ref.index or 1) - 1))
            results[ref] = orjson.loads(row.record)["result"] if row is not None else None
        return results

    async def _begin(self, planned: Planned) -> Start:
        """Look up what earlier runs did; an operation that had ended is opened again."""
        if self._plan.standing.of(planned.key) is State.NOT_STARTED:
            return _start_of(planned, self._open_steps.get(planned.key, []))
        row = await self._checkpoint.row_of(planned.key)
        if row is None:
            return _start_of(planned, [])
        steps = [] if row.state is State.DONE else await self._checkpoint.steps_of(planned.key)
        kept = [
            _told_before(row, steps),
            *(again for step in steps if (again := _taken_up_again(step)) is not None),
        ]
        await self._checkpoint.reopen(planned.key, kept)
        self._closing.reopened(planned, row.state)
        start = _start_of(planned, kept)
        return replace(start, pinned=row.raw) if row.state is State.IN_DOUBT else start

    async def _end(self, planned: Planned, outcome: Outcome, start: Start) -> None:
        await self._closing.close(planned, outcome, started=start.at, line=start.line)
        if self._feed.ended(planned, outcome.state):
            self._wake()

    def _resume(self, running: Running) -> None:
        self._resumed.append(running)
        self._wake()

    def _wake(self) -> None:
        if self._sleeping:
            self._changed.set()
            self._changed = anyio.Event()

    async def _sleep_until_change(self) -> None:
        self._sleeping += 1
        try:
            await self._changed.wait()
        finally:
            self._sleeping -= 1


def _start_of(planned: Planned, steps: Sequence[StepRow]) -> Start:
    """Return the start of an operation of which earlier runs left these steps."""
    remembered = {step.number: step for step in steps}
    before = remembered.pop(BEFORE, None)
    if before is None:
        return Start(time.time(), planned.line.number, remembered)
    told = orjson.loads(before.reply or b"{}")
    return Start(
        time.time(),
        told["line"],
        remembered,
        tuple(Created(made["kind"], made["id"]) for made in told["created"]),
        possible_duplicate=told["possible_duplicate"],
    )


def _told_before(row: OperationRow, steps: Sequence[StepRow]) -> StepRow:
    """Return a step that keeps what the end of an operation told, until it ends again."""
    record = orjson.loads(row.record)
    doubtful = any(step.state in (StepState.UNKNOWN, StepState.INTENT) for step in steps)
    told = {
        "line": row.line,
        "created": record["created"],
        # What is in doubt and sent again may be there twice; where repeating does no harm, it is not in doubt.
        "possible_duplicate": "possible_duplicate" in record or (row.state is State.IN_DOUBT and doubtful),
    }
    return StepRow(row.key, BEFORE, row.kind, 0, StepState.DONE, reply=orjson.dumps(told))


def _taken_up_again(row: StepRow) -> StepRow | None:
    """Return what a failed or held operation's step counts for when the user has it done again."""
    if row.number == BEFORE:
        return None
    if row.state is StepState.DONE:
        # What was made is there; what can be repeated is repeated, since its answer may be why it failed.
        return replace(row, reason=STARTED_OVER) if row.entity is not None else None
    if row.state in (StepState.UNKNOWN, StepState.INTENT):
        return replace(row, state=StepState.NO_EFFECT)
    return None
