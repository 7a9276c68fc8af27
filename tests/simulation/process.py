"""One process of the client: carries out what the real lifecycle and the real reconcile command, and no more."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bulkops import lifecycle, reconcile
from bulkops.api.stamping import stamped
from bulkops.checkpoint.rows import OperationRow, StepRow, StepState
from bulkops.ends import Verdict
from bulkops.errors import OperationFailed
from bulkops.lifecycle import (
    Adopt,
    Answered,
    Broken,
    Deliver,
    Durable,
    Ended,
    Granted,
    Hold,
    Keep,
    Phase,
    Refuse,
    Remembered,
    Repeated,
    RetryAfter,
    SendAgain,
    SendNow,
    Sent,
    WriteIntent,
)
from bulkops.model import Effect, State
from bulkops.reconcile import Claimed, Claims, Doubt
from bulkops.youngest import read_youngest
from tests.simulation.history import LIMIT, End
from tests.simulation.server import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.lifecycle import Command, Life
    from bulkops.lifecycle import End as Heard
    from bulkops.model import Finding, Reply, Request
    from bulkops.reconcile import Findings
    from tests.simulation.history import Fate
    from tests.simulation.world import World

ENDPOINT = "agent.create"
CHECKPOINT = "checkpoint"
EARLY = 2.0
"""Seconds after a doubt arose until it is looked for; what has taken effect is mostly there by then."""
DAY = 86_400.0
ENDS: dict[End, Heard] = {
    End.ANSWER: Answered(200),
    End.REFUSED: Answered(400),
    End.POSTPONED: Answered(429),
    End.ERROR: Answered(500),
    End.RESET: Broken(Sent.GONE),
    End.TIMEOUT: Broken(Sent.GONE),
    End.CUT: Answered(200, readable=False, named=False),
    End.NO_ID: Answered(200, named=False),
    End.UNREACHABLE: Broken(Sent.NOT_CONNECTED),
    End.STUCK: Broken(Sent.WITHHELD),
    End.LAST: Answered(200),
    End.NEXT: Answered(200),
}
_DOUBTFUL = (StepState.INTENT, StepState.UNKNOWN, StepState.MADE)


class Process:
    """From its start to its end or its crash. Only what is on the disk is left of the one before."""

    def __init__(self, world: World, clock: float, settle: float) -> None:
        self.world = world
        self.clock = clock
        self.clock_is_steady = True
        """What the wall clock said in earlier processes can be compared with what it says now."""
        self.settle = settle
        self.states: dict[int, State] = {}
        self.lives: dict[int, Life] = {}
        self.steps: dict[int, StepRow] = {}
        self.owned: set[str] = set()
        self.made: dict[int, str] = {}
        self.named: dict[str, int] = {}
        """The ids that answers have named in this process, and to which operation first."""
        self.under_way: set[int] = set()
        self.unheard: set[int] = set()
        """What a pass waits for: the operations that were under way when the listing had been read."""
        self.moving: set[int] = set()
        """The operations that were taken back, or are to be in doubt in place of their ends, and are not yet."""
        self.doubts: dict[int, float] = {}
        """The operations in doubt, and when by the monotonic clock the doubt was born in this process."""
        self.pending: deque[int] = deque()
        self.baseline: frozenset[str] | None = None
        self._born = world.now
        self._anchor: tuple[float, float] | None = None
        self._newest_first: bool | None = None
        self._passing = False
        self._tell: Callable[[], None] | None = None

    def monotonic(self) -> float:
        """Return the clock that cannot be set."""
        return self.world.now - self._born

    def wall(self) -> float:
        """Return the clock that can be set."""
        return EPOCH + self.world.now + self.clock

    def key(self, i: int) -> bytes:
        """Return the identity of an operation."""
        return i.to_bytes(16)

    def body(self, i: int) -> dict[str, Any]:
        """Return what an operation sends."""
        return {"name": self.name(i), "variant": self.world.variants[i]}

    def name(self, i: int) -> str:
        """Return the name of what an operation makes."""
        plain = self.world.history.orders[i].name
        if not self.world.history.stamps:
            return plain
        return stamped(plain, reconcile.stamp_of(CHECKPOINT, self.key(i), 0))

    # The beginning

    def start(self) -> None:
        """Read what is remembered, and begin."""
        image = self.world.disk.image
        known = image.meta("baseline")
        self.baseline = None if known is None else frozenset(known.split())
        reader = image.reader()
        remembered = {step.key: step for step in reader.open_steps()}
        for i in range(len(self.world.history.orders)):
            row = reader.row_of(self.key(i))
            if row is not None:
                self.states[i] = row.state
                if row.state is State.DONE:
                    self.owned.add(row.record.decode())
            else:
                self.take_up(i, remembered.get(self.key(i)))
        if self.baseline is None and not self.world.history.ages:
            self.drive(read_youngest(self.world.api, self.world.api.agent_list, None), self.remember_baseline)
        else:
            self.work()
        if self.doubts:
            self.look_later(EARLY)

    def take_up(self, i: int, step: StepRow | None) -> None:
        """Go on with an operation that has not ended."""
        if step is not None and step.state is StepState.DONE:
            assert step.entity is not None
            self.owned.add(step.entity)
            self.close(i, State.DONE, step.entity)
            return
        self.lives[i] = life = lifecycle.begin(Effect.CREATE, remembered=self.remembered(step))
        if life.phase is not Phase.DOUBT:
            self.pending.append(i)
            return
        assert step is not None
        self.steps[i] = step
        if self.is_another(i, step):
            # The line was edited: nobody can tell what was sent.
            self.close(i, State.IN_DOUBT, "")
        else:
            self.doubt(i, 0.0)

    def remembered(self, step: StepRow | None) -> Remembered | None:
        """Return what a step says to the lifecycle."""
        if step is None:
            return None
        return Remembered(step.attempt, intent=step.state in _DOUBTFUL, sure=step.state is StepState.MADE)

    def is_another(self, i: int, step: StepRow) -> bool:
        """Tell whether the line now asks for something else than what is in doubt."""
        return step.request != self.digest(i)

    def digest(self, i: int) -> bytes:
        """Return what tells one request of an operation from another."""
        return self.world.variants[i].to_bytes(8)

    def remember_baseline(self, young: Any) -> None:
        """Write down what was there before the job, then begin."""
        if not young.whole:
            self.drive(read_youngest(self.world.api, self.world.api.agent_list, None), self.remember_baseline)
            return
        self.baseline = frozenset(row["agent_id"] for row in young.rows)
        text = " ".join(sorted(self.baseline))
        self.world.disk.call(lambda image: image.set_meta("baseline", text), self.work)

    # Sending

    def work(self) -> None:
        """Begin as many operations as there are workers."""
        while self.pending and len(self.under_way) < self.world.history.workers:
            self.begin(self.pending.popleft())

    def begin(self, i: int) -> None:
        """Begin an attempt: intent first."""
        self.under_way.add(i)
        self.lives[i], command = lifecycle.advance(self.lives[i], Granted())
        assert isinstance(command, WriteIntent)
        self.steps[i] = self.row(i, StepState.INTENT)
        self.intend(i)

    def intend(self, i: int) -> None:
        """Write the intent down, and send once it is durable."""
        self.world.disk.intend(self.steps[i], lambda: self.durable(i))

    def durable(self, i: int) -> None:
        """Send what was written down."""
        self.lives[i], command = lifecycle.advance(self.lives[i], Durable())
        assert isinstance(command, SendNow)
        self.send(i)

    def send(self, i: int) -> None:
        """Let the bytes go; what they do there no longer depends on this process."""
        world = self.world
        number, fate = world.next_fate(i)
        body, made = self.body(i), list[str]()
        listed = world.history.orders[i].listed
        if world.trace is not None:
            world.tell(f"attempt {number} of operation {i} ({body}): {fate}")

        def effect() -> None:
            made.append(world.server.create(i, body, world.now, listed=listed))
            if world.trace is not None:
                world.tell(f"attempt {number} of operation {i} takes effect: {made[0]}")

        if fate.effect is not None:
            world.later(fate.effect, effect)
        waiting = (i, fate, made, world.now + fate.heard)
        world.waiting.append(waiting)

        def hear() -> None:
            world.waiting.remove(waiting)
            self.hear(i, fate, made)

        world.later(fate.heard, hear, mortal=True)

    def hear(self, i: int, fate: Fate, made: list[str]) -> None:
        """Hear how an attempt ended, and do what the lifecycle commands."""
        heard, entity = self.end_of(fate.end), self.world.answer_to(i, fate, made)
        if isinstance(heard, Answered) and heard.named and entity is not None:
            heard = self.looked_at(heard, i, entity)
        if isinstance(heard, Answered):
            self.anchor(EPOCH + int(self.world.now))
        self.lives[i], command = lifecycle.advance(self.lives[i], Ended(heard))
        if self.world.trace is not None:
            self.world.tell(f"operation {i} hears {fate.end.value}: {type(command).__name__}")
        self.under_way.discard(i)
        self.obey(i, command, entity)
        if isinstance(heard, Answered) and heard.repeated and entity is not None:
            self.repeated(entity)
        self.unheard.discard(i)
        self.tell()
        self.work()

    def looked_at(self, heard: Answered, i: int, entity: str) -> Answered:
        """Return an answer with what is to be said of the id it names: whether it is known already."""
        first = self.named.setdefault(entity, i)
        return replace(heard, repeated=first != i)

    def end_of(self, end: End) -> Heard:
        """Return an end in the lifecycle's words: what the wire and the body gate make of it."""
        return ENDS[end]

    def obey(self, i: int, command: Command, entity: str | None) -> None:
        """Carry out the command that ends an attempt."""
        match command:
            case Deliver():
                assert entity is not None
                self.finish(i, entity)
            case Hold():
                state = StepState.MADE if self.lives[i].sure else StepState.UNKNOWN
                self.note(i, state)
                self.doubt(i, self.monotonic())
                self.look_later(EARLY)
            case RetryAfter(seconds, no_effect=no_effect):
                self.note(i, StepState.NO_EFFECT if no_effect else StepState.INTENT)
                self.world.later(seconds, lambda: self.again(i), mortal=True)
            case Refuse():
                self.note(i, StepState.NO_EFFECT)
                self.close(i, State.FAILED, "")
            case _:
                raise AssertionError(command)

    def again(self, i: int) -> None:
        """Have an operation sent again."""
        self.pending.append(i)
        self.work()

    def finish(self, i: int, entity: str) -> None:
        """Remember what an operation made."""
        self.owned.add(entity)
        self.made[i] = entity
        self.note(i, StepState.DONE, entity)
        if (takes := self.world.history.orders[i].takes) > 0:
            self.world.later(takes, lambda: self.end(i, entity), mortal=True)
        else:
            self.end(i, entity)

    def end(self, i: int, entity: str) -> None:
        """End an operation that has made something, unless that came to be in doubt meanwhile."""
        if i in self.moving:
            self.reopen(i)
        else:
            self.close(i, State.DONE, entity)

    def repeated(self, entity: str) -> None:
        """Put the operation in doubt that had an id before."""
        first = next((i for i, made in self.made.items() if made == entity), None)
        if first is None:
            return
        del self.made[first]
        self.owned.discard(entity)
        self.lives[first], command = lifecycle.advance(self.lives[first], Repeated())
        assert command == Hold(Verdict.ID_UNKNOWN)
        state = StepState.MADE if self.lives[first].sure else StepState.UNKNOWN
        self.steps[first] = replace(self.steps[first], state=state, entity=None)
        self.world.taken_back.add((first, entity))
        self.moving.add(first)
        if first in self.states:
            del self.states[first]
            self.reopen(first)
        else:
            self.mark(first)

    def mark(self, i: int) -> None:
        """Remember at once that an operation is in doubt which goes on to its end."""
        step = self.steps[i]
        self.world.disk.call(lambda image: image.settle([step]), lambda: None)

    def reopen(self, i: int) -> None:
        """Put an operation in doubt in place of its end."""
        step = self.steps[i]

        def reopened() -> None:
            self.moving.discard(i)
            self.doubt(i, self.monotonic())
            self.look_later(EARLY)

        self.world.disk.call(lambda image: image.reopen(step.key, [step]), reopened)

    # What is remembered

    def row(self, i: int, state: StepState, entity: str | None = None) -> StepRow:
        """Return the row of an operation's one step."""
        since = self.server_clock(self.monotonic())
        return StepRow(
            self.key(i), 0, ENDPOINT, self.lives[i].attempt, state, entity,
            at=self.wall(), request=self.digest(i), since=0.0 if since is None else since,
        )  # fmt: skip

    def note(self, i: int, state: StepState, entity: str | None = None) -> None:
        """Note what is known; what was written when it was sent stays."""
        sent = self.steps[i]
        self.steps[i] = StepRow(
            sent.key,
            0,
            ENDPOINT,
            self.lives[i].attempt,
            state,
            entity,
            None,
            None,
            sent.at,
            sent.request,
            sent.since,
        )
        self.world.disk.note(self.steps[i])

    def close(self, i: int, state: State, entity: str) -> None:
        """Write down how an operation ended; tell of it once that is durable."""
        key = self.key(i)
        row = OperationRow(key, key, i, 0, None, ENDPOINT, state, b"", entity.encode())
        self.states[i] = state
        self.world.disk.close(row, lambda: self.report(i, state, entity), keep_steps=state is not State.DONE)

    def report(self, i: int, state: State, entity: str) -> None:
        """Tell the user."""
        if state is State.DONE:
            self.world.reported[i] = entity

    # What is in doubt

    def doubt(self, i: int, born: float) -> None:
        """Keep an operation until it is known what became of it."""
        if self.world.history.orders[i].listed:
            self.doubts[i] = born
        else:
            made = self.as_doubt(i)
            self.rule(i, reconcile.unlisted([made], "tool").of[self.key(i), 0])

    def look_later(self, seconds: float) -> None:
        """Look what became of the doubts in so many seconds."""
        self.world.later(seconds, self.look, mortal=True)

    def look(self) -> None:
        """Begin a pass, unless one is under way."""
        if self._passing or not self.doubts:
            return
        self._passing = True
        if self._anchor is None:
            # One page, to hear what time it is there.
            self.read(self.world.api.agent_list.endpoint.request(query=(("page", "1"),)), self.look_now)
        else:
            self.look_now(None)

    def look_now(self, _: object) -> None:
        """Ask what became of the doubts at hand."""
        at_hand = tuple(self.doubts)
        doubts = [self.as_doubt(i) for i in at_hand]
        if self.world.trace is not None:
            settled = [doubt.key[-1] for doubt in doubts if doubt.settled]
            self.world.tell(f"looks for {list(at_hand)}, of which {settled} are settled")
        api = self.world.api
        steps = reconcile.reconcile(api, api.agent_list, doubts, newest_first=self._newest_first)
        self.drive(steps, lambda findings: self.looked(at_hand, findings), at_hand)

    def as_doubt(self, i: int) -> Doubt:
        """Return what reconcile has to know of an operation in doubt."""
        step = self.steps[i]
        since, dated = self.dated(step, self.doubts.get(i, 0.0))
        if not dated:
            self.world.undated.add(i)
        return Doubt(
            key=step.key, number=0, name=self.name(i), body=self.body(i),
            since=since, until=since + LIMIT + self.settle, dated=dated,
            settled=self.is_settled(i), sure=self.lives[i].sure,
            stamp=reconcile.stamp_of(CHECKPOINT, step.key, 0) if self.world.history.stamps else None,
        )  # fmt: skip

    def dated(self, step: StepRow, born: float) -> tuple[float, bool]:
        """Return when a step was sent by the server's clock, and whether that is sure."""
        if step.since:
            return step.since, True
        now = self.server_clock(self.monotonic())
        if now is None:
            return 0.0, False
        if born or self.clock_is_steady:
            # No clock was set since: what ours said then can be compared with what it says now.
            return now - (self.wall() - step.at), True
        return min(now, step.at) - DAY, False

    def is_settled(self, i: int) -> bool:
        """Tell whether absence may be believed of a listing that begins now."""
        return reconcile.is_settled(self.doubts.get(i, 0.0), self.monotonic(), self.settle)

    def looked(self, at_hand: tuple[int, ...], findings: Findings) -> None:
        """Carry out what a pass has found."""
        self._passing = False
        self._newest_first = findings.newest_first
        for i in at_hand:
            finding = findings.of.get((self.key(i), 0))
            if finding is not None:
                del self.doubts[i]
                self.rule(i, finding)
        if self.doubts:
            now = self.monotonic()
            waits = [wait for born in self.doubts.values() if (wait := born + self.settle - now) > 0]
            self.look_later(max(1.0, min(waits, default=10.0)))
        self.work()

    def rule(self, i: int, finding: Finding) -> None:
        """Carry out one finding."""
        if self.world.trace is not None:
            self.world.tell(f"operation {i}: {finding}")
        self.lives[i], command = lifecycle.advance(self.lives[i], finding)
        match command:
            case Adopt(entity):
                self.finish(i, entity)
            case SendAgain():
                self.note(i, StepState.NO_EFFECT)
                self.pending.append(i)
            case Keep():
                self.close(i, State.IN_DOUBT, "")
            case Refuse():
                self.note(i, StepState.NO_EFFECT)
                self.close(i, State.FAILED, "")
            case _:
                raise AssertionError(command)

    def ask_claims(self, claims: Claims, at_hand: tuple[int, ...], told: Callable[[Claimed], None]) -> None:
        """Say what is claimed; where names decide, once all that is under way now has been heard of."""
        under_way = frozenset(self.under_way)
        self.unheard = set(under_way if claims.by_name else ())
        self._tell = lambda: told(self.claimed(claims.ids, at_hand, under_way))
        self.tell()

    def tell(self) -> None:
        """Say what is claimed, if somebody waits for that and nothing is left to be heard of before."""
        tell = self._tell
        if tell is not None and not self.unheard:
            self._tell = None
            tell()

    def claimed(self, ids: tuple[str, ...], at_hand: tuple[int, ...], under_way: frozenset[int]) -> Claimed:
        """Say what is known of ids, and which names are claimed by what was under way, or is by now."""
        known = self.owned | (self.baseline or frozenset())
        busy = {*under_way, *self.under_way, *self.doubts} - set(at_hand)
        others = any(state is State.IN_DOUBT for state in self.states.values())
        names = frozenset(self.name(i) for i in busy)
        moving = any(self.world.history.orders[i].listed for i in self.moving)
        return Claimed(frozenset(ids) & known, names, others=others, moving=moving)

    def drive(self, steps: Any, ended: Callable[[Any], None], at_hand: tuple[int, ...] = ()) -> None:
        """Drive a generator of steps, each request in its own time."""

        def go_on(answer: Reply | Claimed | None) -> None:
            try:
                if answer is None:
                    step = steps.throw(OperationFailed("gone", "it is not there", status=404))
                else:
                    step = steps.send(answer)
            except StopIteration as end:
                ended(end.value)
            else:
                take(step)

        def take(step: Request | Claims) -> None:
            if isinstance(step, Claims):
                self.ask_claims(step, at_hand, go_on)
            else:
                self.read(step, go_on)

        take(next(steps))

    def read(self, request: Request, heard: Callable[[Reply | None], None]) -> None:
        """Ask until there is an answer."""
        lost = self.world.page_lost()

        def arrive() -> None:
            reply = self.world.server.answer(request, self.world.now)
            if lost:
                self.read_failed(request, heard)
                return
            if reply is not None:
                self.anchor(int(reply.headers["date"]))
            self.world.later(0.02, lambda: heard(reply), mortal=True)

        self.world.later(0.03, arrive, mortal=True)

    def read_failed(self, request: Request, heard: Callable[[Reply | None], None]) -> None:
        """Ask again."""
        self.world.later(0.5, lambda: self.read(request, heard), mortal=True)

    def anchor(self, date: float) -> None:
        """Note what the server's clock says now."""
        self._anchor = (date, self.monotonic())

    def server_clock(self, moment: float) -> float | None:
        """Return what the server's clock said at a moment of the monotonic one; None where it is not known."""
        if self._anchor is None:
            return None
        date, heard = self._anchor
        return date + moment - heard
