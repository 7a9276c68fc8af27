"""The real lifecycle and the real reconcile through thousands of histories of crashes, faults and lost answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.crash.crash_sizes import note
from tests.simulation.history import End, Fate, History, Order, history_of
from tests.simulation.mutants import MUTANTS
from tests.simulation.oracle import play, violations
from tests.simulation.process import Process
from tests.simulation.shrinking import explain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulkops.reconcile import Claimed

HISTORIES = 20_000
SEEDS = range(1000)
"""Within so many histories every mutant has to be caught."""


def test_nothing_is_made_twice_lost_or_mistaken() -> None:
    """By the server's own log: no duplicate, no loss, no wrong id, and the counts add up; in 20,000 histories."""
    ends: Counter[str] = Counter()
    for seed in range(HISTORIES):
        world = play(history_of(seed))
        ends.update(state.value for state in world.process.states.values())
        ends["attempts"] += world.attempts
        ends["crashes"] += len(world.history.crashes)
        if violations(world):
            raise AssertionError(explain(seed))
    # What is held all the time would be safe, and of no use.
    assert ends["done"] > 3 * ends["in_doubt"]
    crashes, attempts = ends.pop("crashes"), ends.pop("attempts")
    note("simulated histories", histories=HISTORIES, crashes=crashes, attempts=attempts, **ends, violations=0)


def test_every_broken_variant_is_caught() -> None:
    """What breaks one rule is caught within 1,000 histories; so the histories prove that the rules hold."""
    missed = [mutant.name for mutant in MUTANTS if mutant.caught_by(SEEDS) is None]
    note("broken variants of the core", variants=len(MUTANTS), caught=len(MUTANTS) - len(missed))
    assert not missed


def test_there_are_enough_mutants() -> None:
    """Thirty different ones at least."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 30


def test_a_history_replays_exactly() -> None:
    """The same seed is the same history, to the last event."""
    for seed in range(20):
        told = []
        for _ in range(2):
            world = play(history_of(seed), prepare=lambda world: setattr(world, "trace", []))
            told.append((world.trace, world.now, world.process.states))
        assert told[0] == told[1]


def test_a_failing_history_is_told_in_its_smallest_form() -> None:
    """Without intents, one lost process is enough to make something twice."""
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "no intent is written")
    seed = mutant.caught_by(SEEDS)
    assert seed is not None
    told = explain(seed, mutant.process)
    assert f"seed {seed}" in told
    assert told.count("takes effect: ") == 2
    assert "were made: 1 operations are done" in told


def test_what_is_just_being_taken_back_goes_to_nobody_else() -> None:
    """An answer names an id that another one named, at any moment of a pass that looks for something of that name."""
    assert not [wrong for history in taken_back_during_a_pass() if (wrong := violations(play(history)))]
    # A pass that does not wait gives it to the other one, and the one that made it finds nothing.
    assert any(violations(play(history, _Hasty)) for history in taken_back_during_a_pass())


def test_what_an_answer_to_come_tells_is_heard_first() -> None:
    """An answer names the id of one that is still to come: what its own create made goes to no namesake meanwhile."""
    assert not [wrong for history in told_too_early() if (wrong := violations(play(history)))]
    # A pass that waits for no answer takes it for what the namesake made.
    assert any(violations(play(history, _Impatient)) for history in told_too_early())


class _Hasty(Process):
    def claimed(self, *asked: Any) -> Claimed:
        return replace(super().claimed(*asked), moving=False)


class _Impatient(Process):
    def tell(self) -> None:
        self.unheard.clear()
        super().tell()


def told_too_early() -> Iterator[History]:
    """Yield histories in which the first of two namesakes is in doubt, and the second is told another one's id."""
    orders = (Order("Cleo", 1), Order("Anna", 0), Order("Cleo", 0))
    late, swapped = Fate(End.ANSWER, 0.3, 2.0), Fate(End.NEXT, 0.5, 1.2)
    for number in range(120):
        failed = Fate(End.ERROR, 20.0 if number % 2 else None, 0.02)
        fates = ((0, failed), (1, replace(late, heard=1.7 + number * 0.01)), (2, swapped))
        yield History(seed=number, orders=orders, fates=fates, workers=3)


def taken_back_during_a_pass() -> Iterator[History]:
    """Yield histories in which the second of two namesakes is looked for when the first one is taken back."""
    orders = (Order("Cleo", 0), Order("Cleo", 0), Order("Anna", 0, listed=False))
    failed = (1, Fate(End.ERROR, None, 0.02))
    for number in range(80):
        repeated = (2, Fate(End.LAST, 0.05, 1.95 + number * 0.002))
        yield History(seed=number, orders=orders, fates=(failed, repeated))
