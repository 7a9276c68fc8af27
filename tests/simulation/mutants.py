"""Broken variants, each by one rule: what does not fail on these proves nothing."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from unittest import mock

from bulkops import lifecycle, reconcile, youngest
from bulkops.checkpoint.rows import StepState
from bulkops.ends import Answered, Broken, Sent, Verdict
from bulkops.lifecycle import Hold, Life
from bulkops.model import Found, Reply, State
from tests.simulation.history import history_of
from tests.simulation.oracle import play, violations
from tests.simulation.process import ENDS, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulkops.model import Effect, Request
    from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Mutant:
    """A variant: another process, or functions put in the place of others."""

    name: str
    process: type[Process] = Process
    patches: tuple[tuple[Any, str, Any], ...] = ()
    prepare: Callable[[World], None] | None = None

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Break the rule while this lasts."""
        with ExitStack() as stack:
            for place, name, other in self.patches:
                stack.enter_context(mock.patch.object(place, name, other))
            yield

    def caught_by(self, seeds: range) -> int | None:
        """Return the first seed that shows what is broken."""
        with self.applied():
            for seed in seeds:
                try:
                    world = play(history_of(seed), self.process, self.prepare)
                except (AssertionError, ValueError, KeyError):
                    return seed
                if violations(world):
                    return seed
        return None


def process(name: str, **methods: Any) -> Mutant:
    """Return a variant of the process with other methods."""
    return Mutant(name, type("Broken", (Process,), methods))


def classified(name: str, breaks: Callable[[Any], bool], verdict: Verdict) -> Mutant:
    """Return a variant that takes some ends for something else."""
    sound = lifecycle.classify

    def classify(effect: Effect, end: Any, **more: Any) -> Verdict:
        return verdict if breaks(end) else sound(effect, end, **more)

    return Mutant(name, patches=((lifecycle, "classify", classify),))


def heard(name: str, **ends: Any) -> Mutant:
    """Return a variant whose wire takes some ends for others."""
    return process(name, end_of=lambda _, end: ends.get(end.name, ENDS[end]))


# The order of things


def _intend_after(self: Process, i: int) -> None:
    self.durable(i)
    self.world.disk.intend(self.steps[i], lambda: None)


def _intend_not(self: Process, i: int) -> None:
    self.durable(i)


def _told_first(self: Process, i: int, state: State, entity: str) -> None:
    self.report(i, state, entity)
    Process.close(self, i, state, entity)


def _not_written(self: Process, i: int, entity: str) -> None:
    self.owned.add(entity)
    self.states[i] = State.DONE
    self.report(i, State.DONE, entity)


def _held_and_forgotten(self: Process, i: int, state: State, entity: str) -> None:
    if state is not State.IN_DOUBT:
        Process.close(self, i, state, entity)


def _doubt_not_noted(self: Process, i: int, state: StepState, entity: str | None = None) -> None:
    Process.note(self, i, StepState.NO_EFFECT if state is StepState.UNKNOWN else state, entity)


def _done_again(self: Process) -> None:
    reader = self.world.disk.image.reader()
    with mock.patch.object(type(reader), "row_of", return_value=None):
        Process.start(self)


def _sure_again(self: Process, i: int, command: Any, entity: str | None) -> None:
    if isinstance(command, Hold) and self.lives[i].sure:
        self.lives[i] = Life(self.lives[i].effect, attempt=self.lives[i].attempt)
        self.again(i)
    else:
        Process.obey(self, i, command, entity)


def _believed(self: Process, heard: Answered, i: int, entity: str) -> Answered:
    self.named.setdefault(entity, i)
    return heard


def _still_owned(self: Process, entity: str) -> None:
    Process.repeated(self, entity)
    self.owned.add(entity)


# Settling


def _by_wall_clock(self: Process, i: int) -> bool:
    return self.wall() - self.steps[i].at >= self.settle


def _by_restart(self: Process, i: int) -> bool:
    return self.doubts.get(i, 0.0) == 0.0 or Process.is_settled(self, i)


def _from_the_start(self: Process, i: int) -> bool:
    return self.monotonic() >= self.settle


def _dated_by_the_end(self: Process, i: int, state: StepState, entity: str | None = None) -> None:
    now = self.server_clock(self.monotonic())
    if now is not None:
        self.steps[i] = replace(self.steps[i], since=now)
    Process.note(self, i, state, entity)


def _dated_by_wall_clock(self: Process, step: Any, born: float) -> tuple[float, bool]:
    return step.at, True


# Reading the listing


def _lost_is_empty(self: Process, request: Request, heard: Callable[[Reply | None], None]) -> None:
    date = str(int(self.wall() - self.clock))
    heard(Reply(200, {"agents": []}, {"x-total-count": "0", "date": date}) if request.query else None)


def _one_page(self: Any) -> Any:
    yield from self._page(1)
    return True


_read = youngest._Reader.read


def _whatever_moves(self: Any) -> Any:
    yield from _read(self)
    self.moved = False
    return True


def _learnt_backwards(self: Any, first: Any, end: Any) -> bool | None:
    found = _learnt(self, first, end)
    return None if found is None else not found


_learnt = youngest._Reader._learnt

# Matching


def _nothing_owned(self: Process, *asked: Any) -> reconcile.Claimed:
    sound = Process.claimed(self, *asked)
    return reconcile.Claimed(sound.owned & (self.baseline or frozenset()), sound.busy, others=sound.others)


def _nothing_before(self: Process, *asked: Any) -> reconcile.Claimed:
    sound = Process.claimed(self, *asked)
    return reconcile.Claimed(sound.owned & self.owned, sound.busy, others=sound.others)


def _nothing_busy(self: Process, *asked: Any) -> reconcile.Claimed:
    sound = Process.claimed(self, *asked)
    return reconcile.Claimed(sound.owned, others=sound.others)


def _no_others(self: Process, *asked: Any) -> reconcile.Claimed:
    sound = Process.claimed(self, *asked)
    return reconcile.Claimed(sound.owned, sound.busy)


def _adopted_not_owned(self: Process, i: int, finding: Any) -> None:
    before = set(self.owned)
    Process.rule(self, i, finding)
    self.owned = before


def _the_first_for_all(group: Any, candidates: Any) -> Any:
    return {(doubt.key, doubt.number): candidates[0] for doubt in group} if candidates else {}


def _any_time(group: Any, candidates: Any) -> Any:
    return {(d.key, d.number): c for d, c in zip(group, candidates, strict=False)}


def _matched_at_once(group: Any, candidates: Any, young: Any) -> Any:
    theirs = reconcile._matched(group, candidates)
    evidence = reconcile._evidence("count", young, [])
    found = {of: Found(candidate.id, evidence) for of, candidate in theirs.items()}
    missing = [d for d in group if (d.key, d.number) not in theirs and reconcile.may_be_absent(d, young)]
    return found | reconcile._judge_missing(missing, [], evidence)


def _by_plain_name(self: Process, i: int) -> reconcile.Doubt:
    return replace(Process.as_doubt(self, i), stamp=None, name=self.world.history.orders[i].name)


def _never_asked(self: Process, i: int, born: float) -> None:
    found = reconcile.unlisted([self.as_doubt(i)], "thing")
    self.rule(i, found.of[self.key(i), 0])


def _asynchronous(world: World) -> None:
    world.disk.synchronous = False


MUTANTS = (
    process("the intent is written after sending", intend=_intend_after),
    process("no intent is written", intend=_intend_not),
    process("done is told before it is written", close=_told_first),
    process("done is told and not written", finish=_not_written),
    process("what is held is forgotten", close=_held_and_forgotten),
    process("a doubt is written down as no effect", note=_doubt_not_noted),
    process("what is done is done again", start=_done_again),
    Mutant("a commit is not synced", prepare=_asynchronous),
    Mutant(
        "an intent that is found is taken for nothing",
        patches=((lifecycle, "begin", lambda effect, **_: Life(effect)),),
    ),
    classified(
        "500 on a create is sent again",
        lambda end: isinstance(end, Answered) and end.status >= 500,
        Verdict.AGAIN,
    ),
    classified("a lost answer is sent again", lambda end: end == Broken(Sent.GONE), Verdict.AGAIN),
    classified(
        "half an answer is sent again",
        lambda end: isinstance(end, Answered) and end.status == 200 and not end.named,
        Verdict.AGAIN,
    ),
    classified(
        "half an answer is a failure",
        lambda end: isinstance(end, Answered) and not end.readable,
        Verdict.REFUSED,
    ),
    classified(
        "429 is a failure", lambda end: isinstance(end, Answered) and end.status == 429, Verdict.REFUSED
    ),
    classified(
        "what names an id again is sent again",
        lambda end: isinstance(end, Answered) and end.repeated,
        Verdict.AGAIN,
    ),
    process("an id that comes again is believed", looked_at=_believed),
    process("the first of two with one id stays done", repeated=lambda *_: None),
    process("the first of two with one id is done until its end comes", mark=lambda *_: None),
    process("the id that came twice stays owned", repeated=_still_owned),
    heard("a reset is taken for a refused connection", RESET=Broken(Sent.NOT_CONNECTED)),
    heard("a timeout is taken for a body that never left", TIMEOUT=Broken(Sent.WITHHELD)),
    heard("the gate is inverted", RESET=Broken(Sent.WITHHELD), STUCK=Broken(Sent.GONE)),
    heard("an answer without id is a lost one that had no effect", NO_ID=Answered(429)),
    process("done without id is sent again", obey=_sure_again),
    Mutant("nothing has to settle", patches=((reconcile, "is_settled", lambda *_: True),)),
    Mutant(
        "settling takes five seconds",
        patches=((reconcile, "is_settled", lambda born, now, _: now - born >= 5.0),),
    ),
    process("settling goes by the wall clock", is_settled=_by_wall_clock),
    process("a restart settles", is_settled=_by_restart),
    process("settling goes from the start of the process", is_settled=_from_the_start),
    process("a doubt is dated by the end of its attempt", note=_dated_by_the_end),
    process("a doubt is dated by our own clock", dated=_dated_by_wall_clock),
    process("a read that fails is an empty listing", read_failed=_lost_is_empty),
    Mutant("one page is the whole listing", patches=((youngest._Reader, "read", _one_page),)),
    Mutant("pages that move are taken as they come", patches=((youngest._Reader, "read", _whatever_moves),)),
    Mutant(
        "the last page is young enough",
        patches=((youngest._Reader, "_reaches_back", lambda *_: True),),
    ),
    Mutant("the old end is read", patches=((youngest._Reader, "_learnt", _learnt_backwards),)),
    process("owned ids are candidates", claimed=_nothing_owned),
    process("what was there before is a candidate", claimed=_nothing_before),
    process("names under way are adopted", claimed=_nothing_busy),
    process("other doubts are not thought of", claimed=_no_others),
    process("what is adopted is not owned", rule=_adopted_not_owned),
    Mutant("the same id is given to all", patches=((reconcile, "_matched", _the_first_for_all),)),
    Mutant("whatever its age, it is ours", patches=(
        (reconcile, "_matched", _any_time), (reconcile, "is_before", lambda *_: False),
    )),
    Mutant("an hour before is soon enough", patches=((reconcile, "SLACK", 3600.0),)),
    Mutant("what is there is given away before all has settled", patches=((reconcile, "_judge", _matched_at_once),)),
    Mutant("bodies are not compared", patches=((reconcile, "equal", lambda *_: True),)),
    process("an edited line is what was sent", is_another=lambda *_: False),
    process("the stamp is ignored", as_doubt=_by_plain_name),
    Mutant(
        "the stamp is that of the job",
        patches=((reconcile, "stamp_of", lambda *_: "aaaaaaaaaaaa"),),
    ),
    process("nobody asks", doubt=_never_asked),
)  # fmt: skip
