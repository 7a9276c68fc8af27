"""Many operations at once, in this process: for each account so many workers, and lookers for what is awaited."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

import anyio

from bulkops.checkpoint import StepState, digest
from bulkops.engines.asking import Asking
from bulkops.engines.beginning import Beginnings
from bulkops.engines.deciding import decided
from bulkops.engines.doubts import Doubts, chosen_by_user
from bulkops.engines.drive import Doubtful, Parked, Resolved, Running, failed
from bulkops.engines.feeding import Feed
from bulkops.engines.lanes import Lanes, Watchers
from bulkops.engines.reopening import start_of
from bulkops.engines.repeats import Repeats
from bulkops.engines.watching import Watcher
from bulkops.errors import CheckpointError, OperationFailed, Stop
from bulkops.lifecycle import Keep, Skip
from bulkops.model import Failure, Outcome, State
from bulkops.planning import Planned
from bulkops.sending import ServerClock
from bulkops.told import silent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from bulkops.checkpoint import Checkpoint, StepRow
    from bulkops.engines.asking import Ask, Question
    from bulkops.engines.drive import Drive, Start
    from bulkops.engines.feeding import Blocked
    from bulkops.engines.lanes import Item, Lane
    from bulkops.engines.watching import Budget
    from bulkops.lifecycle import Chosen, Command
    from bulkops.planning import Plan
    from bulkops.settings import Settings
    from bulkops.told import Told

Heard: TypeAlias = "Callable[[CheckpointError | None], None]"

_DONE = State.DONE
LONGEST_ENDING = 5.0
"""Seconds that an aborted run still gives the checkpoint to write the end of an operation down."""
MOST_CLOSING = 1024
"""So many ends may be on their way to the disk at once; then it is waited for."""
LOOKERS = 16
"""So many looks at awaited things may be under way at once; what is in flight in all, the pace sees to."""


class Closing(Protocol):
    """What becomes of operations that have ended."""

    async def close(self, planned: Planned, outcome: Outcome, *, started: float, line: int) -> None:
        """Write an outcome down; durable when it returns. `line` is the number of its line in the whole job."""

    async def close_done(
        self, planned: Planned, outcome: Outcome, started: float, line: int, hear: Heard
    ) -> None:
        """Do the same for an operation that is done, without waiting for the disk: `hear` is called then."""

    def told(self, planned: Planned) -> None:
        """Hear that the end of an operation that is done is durable now."""

    def reopened(self, kind: str, was: State) -> None:
        """Hear that an operation of a kind which had ended so in an earlier run is taken up again."""

    def taken_back(self, kind: str, was: State, state: State) -> None:
        """Hear that the end of an operation of a kind holds no more: it goes on, or is held."""

    def settled(self, command: Command) -> None:
        """Hear what follows of an operation that was in doubt."""


class Engine:
    """Do what a plan takes up.

    `closing` hears once of every operation that ends. That of one that is done is not waited for: the next one of the
    worker begins meanwhile, and what that sends is on disk only after it. `stop` ends the run
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
        *,
        clock: ServerClock | None = None,
        steady: bool = False,
        told: Told = silent,
        ask: Ask | None = None,
    ) -> None:
        self._told = told
        self._plan = plan
        self._settings = settings
        self._checkpoint = checkpoint
        self._closing = closing
        self._beginnings = Beginnings(plan, settings, checkpoint, open_steps, closing.reopened)
        self._clock = clock or ServerClock()
        self._steady = steady
        self._told = told
        self._ask = ask
        self._held = 0
        self._feed = Feed(plan)
        self._repeats = Repeats(settings, checkpoint, self._clock)
        self._lanes = Lanes(settings.accounts, self._wake)
        self._changed = anyio.Event()
        self._sleeping = 0
        self._busy = 0
        self._closings = 0
        """How many ends are on their way to the disk."""
        self._stopped = anyio.Event()
        self._lookers: anyio.CancelScope | None = None
        self._workers: anyio.CancelScope | None = None
        self._on_stop: list[Callable[[Stop], None]] = []
        self.stopped_by: Stop | None = None
        self.watcher: Watcher | Watchers | None = None
        self.doubts: Doubts | None = None
        self.asking: Asking | None = None

    @property
    def awaited(self) -> int:
        """How many operations wait for something at the API to settle."""
        return self.watcher.waiting if self.watcher is not None else 0

    @property
    def looks(self) -> int:
        """How many requests have asked whether something had settled."""
        return self.watcher.looks if self.watcher is not None else 0

    @property
    def busy(self) -> int:
        """How many operations are at their requests or wait for a turn."""
        return self._busy

    @property
    def held(self) -> int:
        """How many lines wait for operations in doubt."""
        return self._feed.held()

    async def run(self, drive: Drive, budget: Budget) -> None:
        """Work until every operation has ended or waits for one that is held; or until stopped."""
        settings = self._settings
        watchers = {
            account.name: Watcher(
                settings.api,
                drive.sender,
                self._resume,
                budget=budget,
                account=account.name,
                share=account.poll_share,
                time_scale=settings.time_scale,
                told=self._told,
            )
            for account in settings.accounts.values()
        }
        self.watcher = Watchers(watchers) if settings.others else watchers[settings.account.name]
        self.doubts = Doubts(
            self._settings,
            self._checkpoint,
            drive,
            self._clock,
            partial(self._ruled, drive),
            others=self._others_in_doubt,
            repeats=self._repeats,
            steady=self._steady,
            told=self._told,
        )
        answered = partial(self._answered, drive)
        self.asking = Asking(self._ask, self._settings.in_doubt, self.doubts.adopt, answered)
        self._lookers = anyio.CancelScope()
        async with anyio.create_task_group() as beside:
            # In a task of its own: a scope around the workers would take them with it when it is cancelled.
            beside.start_soon(self._look, watchers.values(), self.doubts, self.asking, self._lookers)
            async with anyio.create_task_group() as workers:
                self._workers = workers.cancel_scope
                for lane in self._lanes:
                    for _ in range(self._settings.in_flight):
                        workers.start_soon(self._work, drive, lane)
            self._lookers.cancel()
        with anyio.move_on_after(LONGEST_ENDING, shield=True):
            if self._closings:
                # Where they are lost, that is told as well.
                with suppress(CheckpointError):
                    await self._checkpoint.flush()
            resumed = [item for lane in self._lanes for item in lane.resumed]
            for item in resumed:
                if isinstance(item, bytes | Exception):
                    await self._settle(item)
            async with anyio.create_task_group() as ending:
                for running, _ in self.doubts.left():
                    ending.start_soon(self._end_undecided, drive, running)
                for question in self.asking.left():
                    ending.start_soon(self._hold, drive, question.running, question.reason)
                for item in resumed:
                    if isinstance(item, Running):
                        ending.start_soon(self._end_early, item, "the run was stopped before it went on")

    def stop(self, reason: Stop) -> None:
        """End the run early, for this reason; the first one counts."""
        if self.stopped_by is None:
            self.stopped_by = reason
            self._stopped.set()
            for listener in self._on_stop:
                listener(reason)
            if self._lookers is not None:
                # Looks are reads: nothing is lost, and a later run looks again. A question is taken back.
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

    async def _look(
        self, watchers: Iterable[Watcher], doubts: Doubts, asking: Asking, scope: anyio.CancelScope
    ) -> None:
        with scope:
            async with anyio.create_task_group() as lookers:
                for watcher in watchers:
                    for _ in range(min(LOOKERS, self._settings.in_flight)):
                        lookers.start_soon(self._guarded, watcher.look)
                lookers.start_soon(self._guarded, doubts.look)
                lookers.start_soon(self._guarded, asking.put)

    async def _guarded(self, job: Callable[[], Awaitable[None]]) -> None:
        try:
            await job()
        except Stop as reason:
            self.stop(reason)

    async def _work(self, drive: Drive, lane: Lane) -> None:
        try:
            while (item := await self._next(lane)) is not None:
                self._busy += 1
                try:
                    await self._do(drive, item)
                finally:
                    self._busy -= 1
                    self._wake()
        except Stop as reason:
            self.stop(reason)

    async def _next(self, lane: Lane) -> Item | None:
        watcher, doubts, asking = self.watcher, self.doubts, self.asking
        assert watcher is not None
        assert doubts is not None
        assert asking is not None
        while self.stopped_by is None:
            if lane.resumed:
                return lane.resumed.popleft()
            if self._closings >= MOST_CLOSING:
                await self._sleep_until_change()
                continue
            if watcher.waiting + doubts.waiting + asking.waiting < self._settings.most_awaited:
                item = self._lanes.take(lane, self._feed)
                if item is not None:
                    return item
                if not (self._feed.exhausted or self._lanes.full):
                    await self._feed.read()
                    continue
                if self._lanes.empty and not (
                    self._busy or self._closings or watcher.waiting or asking.waiting
                ):
                    if not doubts.waiting:
                        break
                    doubts.idle()
            await self._sleep_until_change()
        self._wake()
        return None

    async def _do(self, drive: Drive, item: Item) -> None:
        if isinstance(item, Planned):
            running = None if self._feed.waits_again(item) else await self._start(item)
        elif isinstance(item, Running):
            running = item
        else:
            await self._settle(item)
            return
        if running is None:
            return
        try:
            forwarded = await drive.forward(running)
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(LONGEST_ENDING, shield=True):
                await self._end_early(running, "the run was aborted while it waited for the answer")
            raise
        if isinstance(forwarded, Parked):
            assert self.watcher is not None
            self.watcher.park(running, forwarded.step, wanted=self._feed.wants(running.planned))
        elif isinstance(forwarded, Doubtful):
            # An abort does not leave it to nobody.
            with anyio.CancelScope(shield=True):
                if (first := await self._repeats.hear(running.planned.key, forwarded)) is not None:
                    self._told("repeated", id=forwarded.repeated)
                    await self._take_back(first)
                await self._doubt(running, forwarded)
        else:
            await self._end(running.planned, forwarded, running.start)

    async def _settle(self, item: Blocked | bytes | Exception) -> None:
        """Deal with what is not to be sent."""
        if isinstance(item, Exception):
            raise item
        if isinstance(item, bytes):
            await self._take_back(item)
            return
        started = await self._beginnings.begin(item.planned)
        outcome = Outcome(State.BLOCKED, failure=Failure("blocked", item.cause))
        await self._end(item.planned, outcome, started)

    async def _doubt(self, running: Running, doubtful: Doubtful) -> None:
        """Do about an operation in doubt what the user wants to have done."""
        assert self.doubts is not None
        event = decided(self._settings, running, doubtful)
        if event is None:
            self.doubts.take(running, doubtful)
        else:
            await self.doubts.rule(running, doubtful, event)
        self._arrived(running.planned.key)

    async def _ruled(self, drive: Drive, running: Running, doubtful: Doubtful, command: Command) -> None:
        """Carry out what follows a doubt."""
        # The workers may have nothing left to do: the run does not end meanwhile.
        self._busy += 1
        try:
            await self._carry_out(drive, running, doubtful, command)
        finally:
            self._busy -= 1
            self._wake()

    async def _carry_out(self, drive: Drive, running: Running, doubtful: Doubtful, command: Command) -> None:
        assert self.asking is not None
        if isinstance(command, Keep) and self.asking.take(running, doubtful, command.reason):
            return
        self._closing.settled(command)
        match command:
            case Keep(reason):
                await self._hold(drive, running, reason)
            case Skip():
                asked = running.resolved is not None and running.resolved.by == "user"
                how = "by the user" if asked else "--in-doubt skip"
                failure = Failure("skipped", f"given up ({how}): {doubtful.reason}")
                outcome = await drive.given_up(running, State.SKIPPED, failure)
                await self._end(running.planned, outcome, running.start)
            case _:
                self._lanes.resume(running)

    async def _answered(self, drive: Drive, question: Question, chosen: Chosen | None) -> None:
        """Carry out what the user has decided; None holds the operation."""
        assert self.doubts is not None
        running = question.running
        self._busy += 1
        try:
            if chosen is None:
                await self._hold(drive, running, question.reason)
            else:
                running.resolved = Resolved("user", chosen_by_user())
                await self.doubts.rule(running, question.doubtful, chosen)
        finally:
            self._busy -= 1
            self._wake()

    async def _hold(self, drive: Drive, running: Running, reason: str) -> None:
        self._held += 1
        await self._end(running.planned, await drive.held(running, reason), running.start)

    def _others_in_doubt(self) -> bool:
        """Tell whether there are operations in doubt besides those whose doubts are being settled."""
        plan, asking = self._plan, self.asking
        return bool(
            self._held
            or (asking is not None and asking.waiting)
            or self._repeats.wanted
            or self._beginnings.undecided
            or plan.standing.count(State.IN_DOUBT)
            or plan.gone
        )

    def _arrived(self, key: bytes) -> None:
        """Note that an operation is in doubt now, or has ended, which was known to be in doubt before."""
        self._repeats.arrived(key)
        self._beginnings.undecided.discard(key)

    async def _end_undecided(self, drive: Drive, running: Running) -> None:
        reason = "the run ended before it could be told what became of it; run it again to have the API asked"
        await self._end(running.planned, await drive.held(running, reason), running.start)

    async def _end_early(self, running: Running, why: str) -> None:
        """Hold an operation whose request may have arrived; any other one is simply not over."""
        steps = await self._checkpoint.steps_of(running.planned.key)
        if any(step.state in (StepState.UNKNOWN, StepState.MADE) for step in steps):
            outcome = Outcome(
                State.IN_DOUBT,
                failure=Failure("in_doubt", f"it may have taken effect: {why}"),
                created=tuple(running.created),
                possible_duplicate=running.possible_duplicate,
            )
            await self._end(running.planned, outcome, running.start)

    async def _start(self, planned: Planned, start: Start | None = None) -> Running | None:
        """Make an operation of its line; None when the line turns out wrong, which ends the operation."""
        beginnings = self._beginnings
        start = start or beginnings.fresh(planned) or await beginnings.begin(planned)
        if start.pinned is not None:
            planned = beginnings.as_sent(planned, start)
        try:
            return beginnings.running(
                planned, start, await beginnings.results(planned.line) if planned.line.refs else {}
            )
        except OperationFailed as error:
            await self._end(planned, Outcome(State.FAILED, failure=failed(error)), start)
            return None

    async def _end(self, planned: Planned, outcome: Outcome, start: Start) -> None:
        if planned.key in self._repeats.wanted:
            steps = await self._repeats.put_off(planned, outcome, start)
            if steps is not None:
                await self._go_on(planned, steps)
                return
        if outcome.state is _DONE:
            await self._closing.close_done(
                planned, outcome, start.at, start.line, partial(self._heard, planned)
            )
            self._closings += 1
            return
        await self._closing.close(planned, outcome, started=start.at, line=start.line)
        self._arrived(planned.key)
        if planned.key in self._repeats.wanted and await self._take_back(planned.key):
            return
        if self._feed.ended(planned, outcome.state):
            self._wake()

    def _heard(self, planned: Planned, failure: CheckpointError | None) -> None:
        """Hear that the end of an operation that is done is durable, or why it never will be."""
        self._closings -= 1
        if failure is not None:
            self.stop(failure)
            return
        try:
            self._closing.told(planned)
        except Exception as error:  # noqa: BLE001 - a worker raises it: whoever calls this has nobody to tell
            self._lanes.own.resumed.append(error)
            self._wake()
            return
        if planned.key in self._repeats.wanted:
            self._lanes.own.resumed.append(planned.key)
            self._wake()
            return
        if self._beginnings.undecided or self._repeats.on_the_way:
            self._arrived(planned.key)
        if self._feed.ended(planned, _DONE) or self._closings in (0, MOST_CLOSING // 2):
            self._wake()

    async def _take_back(self, key: bytes) -> bool:
        """Have an operation that has ended go on in doubt, if it has to be."""
        to_take_back = await self._repeats.to_take_back(key)
        if to_take_back is None:
            return False
        row, steps = to_take_back
        self._feed.goes_on(row)
        planned = await self._feed.find(row)
        if planned is not None and digest(planned.line.raw) == row.digest:
            # What is taken back is counted so, also by a run that is aborted meanwhile.
            with anyio.CancelScope(shield=True):
                await self._repeats.take_back(row, steps)
                self._closing.taken_back(row.kind, row.state, State.NOT_STARTED)
                await self._go_on(planned, steps)
            return True
        with anyio.CancelScope(shield=True):
            await self._repeats.hold(row, steps)
        self._held += 1
        self._arrived(key)
        if planned is not None:
            # It counts under the kind that its line has now; without a line it does not count at all.
            self._closing.taken_back(planned.line.op, row.state, State.IN_DOUBT)
            self._feed.ended(planned, State.IN_DOUBT)
        return True

    async def _go_on(self, planned: Planned, steps: list[StepRow]) -> None:
        running = await self._start(planned, start_of(planned, steps))
        if running is not None:
            self._resume(running)

    def _resume(self, running: Running) -> None:
        self._lanes.resume(running)
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
