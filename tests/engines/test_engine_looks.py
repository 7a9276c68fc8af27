"""When looks are taken."""

from __future__ import annotations

from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.engines.looks import CLOSEST, DEAREST, ROUND, Agenda, Looks, Price, price
from tests.engines.looks_simulated import (
    Learned,
    Oracle,
    Scene,
    lognormal,
    mean_course,
    simulate,
    sized,
    two_peaks,
)

if TYPE_CHECKING:
    from tests.engines.looks_simulated import Course

SEEDS = 3


def looks(number: int = 1, *, overdue: float = inf) -> Looks[int]:
    """Return looks at so many things that began at nought."""
    made: Looks[int] = Looks()
    for item in range(number):
        made.add(item, "index", 20.0, size=None, began=0.0, overdue=overdue)
    return made


def look_on(looked: Looks[int], until: float, offered: Price) -> list[float]:
    """Look whenever a look is due, in vain, and return the times."""
    times = []
    looked.reprice(offered, 0.0)
    while (due := looked.next_due()) <= until:
        looked.reprice(offered, due)
        if (awaited := looked.take(due)) is not None:
            times.append(due)
            looked.learn(awaited, due, settled=False)
            looked.put_back(awaited)
    return times


def test_a_look_costs_what_the_others_would_give() -> None:
    """While others wait a look has to be worth it; an idle budget pays the more, the fewer things are awaited."""
    assert price(1, 100 / 60, others_wait=True) == Price(DEAREST)
    chances = [price(number, 100 / 60, others_wait=False).chance for number in (0, 1, 10, 30, 10_000)]
    assert chances == sorted(chances)
    assert chances[0] == chances[1] < 0.1
    assert chances[-1] == DEAREST


@settings(max_examples=30)
@given(st.floats(0.01, 0.85), st.integers(1, 4))
def test_nothing_is_looked_at_again_at_once(chance: float, number: int) -> None:
    """Two looks at the same thing are a second apart at least."""
    times = look_on(looks(number), 60.0, Price(chance, 0.0))
    assert all(after - before >= CLOSEST - 1e-9 for before, after in pairwise(times[::number]))


def test_nothing_waits_unnoticed_on_an_idle_budget() -> None:
    """With nobody else waiting, everything is looked at once in ten times what looking at all of it takes."""
    times = look_on(looks(), 7200.0, price(1, 100 / 60, others_wait=False))
    assert max(after - before for before, after in pairwise(times)) <= ROUND * 0.6 + 0.01
    assert len(times) < 7200 / 4


def test_while_others_wait_looks_widen() -> None:
    """Each look in vain comes later than the one before, so that what takes for ever costs little."""
    waits = [after - before for before, after in pairwise(look_on(looks(), 20_000.0, Price(DEAREST)))]
    assert waits[1:] == sorted(waits[1:])
    assert len(waits) < 12


def test_the_last_look_is_at_the_deadline() -> None:
    """What takes too long is looked at when it is overdue, whatever its chance."""
    looked = looks(overdue=100.0)
    look_on(looked, 99.0, Price(DEAREST))
    assert looked.next_due() == 100.0


def test_a_cheaper_price_brings_looks_forward() -> None:
    """When the uploads end, what was to be looked at late is looked at soon."""
    looked = looks()
    late = looked.next_due()
    looked.reprice(price(1, 100 / 60, others_wait=False), 1.0)
    assert looked.next_due() < late / 4


def test_what_is_learned_holds_for_what_was_awaited_before() -> None:
    """A look that was due before it was known how long things take is put off."""
    looked = looks(100)
    due = looked.next_due()
    for _ in range(20):
        awaited = looked.take(due)
        assert awaited is not None
        looked.learn(awaited, due, settled=False)
        if looked.take(due + 0.5) is None:
            break
    else:
        pytest.fail("all were looked at, although none had settled")


def test_what_turns_out_to_be_quick_is_looked_at_earlier() -> None:
    """What was put in before it was known how soon things settle does not wait for the time expected then."""
    looked = looks(100)
    expected = looked.next_due()
    for _ in range(50):
        awaited = looked.take(inf)
        assert awaited is not None
        looked.learn(awaited, 3.0, settled=True)
    looked.reprice(Price(DEAREST), 5.0)
    assert looked.next_due() < expected / 3


def test_what_is_not_alike_is_learned_apart() -> None:
    """That one model takes long says nothing about another."""
    looked = looks(50)
    for _ in range(50):
        awaited = looked.take(inf)
        assert awaited is not None
        looked.learn(awaited, 50.0, settled=False)
    looked.add(100, "another", 20.0, size=None, began=0.0, overdue=inf)
    looked.add(101, "index", 20.0, size=None, began=0.0, overdue=inf)
    first = looked.take(looked.next_due())
    assert first is not None
    assert first.item == 100
    assert looked.next_due() > 100


def course(scene: Scene) -> tuple[Course, Course]:
    """Return the course of the learned policy, and that of an oracle."""
    return mean_course(lambda _: scene, Learned, 1), mean_course(lambda _: scene, Oracle, 1)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_thousand_documents_with_a_tenth_for_looks(seed: int) -> None:
    """At most 1.1 looks per document, at least 90 % of the uploads' speed, at most 3 % longer than an oracle."""
    ours, oracle = course(Scene(lognormal(1000, seed)))
    assert ours.looks <= 1.1
    assert ours.kept >= 0.9
    assert ours.total <= 1.03 * oracle.total


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_thousand_documents_that_others_wait_for(seed: int) -> None:
    """With 40 % for looks, at most 1.6 looks per document; it is noticed within 60 s of being ready, on average."""
    ours, oracle = course(Scene(lognormal(1000, seed), share=0.4))
    assert ours.looks <= 1.4
    assert ours.mean <= 45.0
    assert ours.total <= 1.1 * oracle.total


@pytest.mark.parametrize(
    "scene", [*(Scene(lognormal(1000, seed)) for seed in range(SEEDS)), Scene([3.0] * 1000)]
)
def test_a_thousand_documents_a_hundred_at_once(scene: Scene) -> None:
    """At most 0.1 requests per document, 95 % of the uploads' speed; it is noticed within 15 s of being ready."""
    ours = simulate(scene, Learned(scene, 100))
    assert ours.looks <= 0.1
    assert ours.kept >= 0.95
    assert ours.mean <= 15.0


def test_what_is_looked_at_together_takes_along_what_is_due_next() -> None:
    """With one that is due go as many as a request can ask about, those first that are worth it soonest."""
    agenda: Agenda[int] = Agenda()
    for number in range(30):
        agenda.add(number, "index", 20.0, size=None, began=float(number), overdue=inf, most=10)
    taken = agenda.take(agenda.next_due())
    assert taken is not None
    assert [each.item for each in taken.awaited] == list(range(10))


def test_a_request_that_is_not_full_waits_for_company() -> None:
    """After one request the next goes 20 s later while others wait, 5 s with time to spare, and at once when full."""
    agenda: Agenda[int] = Agenda()
    for number in range(25):
        agenda.add(number, "index", 20.0, size=None, began=0.0, overdue=inf, most=10)
    waits = []
    for others_wait in (True, True, True, False):
        agenda.reprice(25, 2.0, 1000.0, others_wait=others_wait)
        waits.append(max(agenda.next_due(), 1000.0) - 1000.0)
        agenda.take(1000.0)
    assert waits == [0.0, 0.0, 20.0, 5.0]


def test_a_last_look_together_is_at_the_deadline() -> None:
    """What is overdue waits for no company, however short ago the request before was."""
    agenda: Agenda[int] = Agenda()
    agenda.add(0, "index", 20.0, size=None, began=0.0, overdue=inf, most=10)
    agenda.reprice(1, 2.0, 50.0, others_wait=True)
    assert agenda.take(50.0) is not None
    agenda.add(1, "index", 20.0, size=None, began=45.0, overdue=52.0, most=10)
    assert agenda.next_due() == 52.0


def test_what_is_singled_out_goes_alone() -> None:
    """What nothing was told of is due by itself, whatever is looked at together."""
    agenda: Agenda[int] = Agenda()
    for number in range(2):
        agenda.add(number, "index", 20.0, size=None, began=0.0, overdue=inf, most=10)
    both = agenda.take(agenda.next_due())
    assert both is not None
    agenda.single_out(both.awaited[0])
    alone = agenda.take(1000.0)
    assert alone is not None
    assert len(alone.awaited) == 1


@pytest.mark.parametrize("seed", range(SEEDS))
def test_ten_documents_and_an_idle_budget(seed: int) -> None:
    """A few documents are noticed within 4 s of being ready, on average."""
    ours, _ = course(Scene(lognormal(10, seed)))
    assert ours.mean <= 4.0
    assert ours.kept == 1.0


@pytest.mark.parametrize(
    ("scene", "mean"),
    [
        (Scene(*sized(1000, 1), share=0.4), 25.0),
        (Scene(two_peaks(1000, 1), share=0.4), 170.0),
        (Scene([60.0] * 1000, share=0.4), 20.0),
        (Scene(lognormal(1000, 1, 2.0), share=0.4), 25.0),
        (Scene(lognormal(1000, 1), share=0.4, per_minute=500), 45.0),
    ],
    ids=["follow the size", "two peaks", "all the same", "short", "pro tier"],
)
def test_times_of_another_shape(scene: Scene, mean: float) -> None:
    """Whatever the times are like, looks stay few and the end is that of an oracle, but for a tenth."""
    ours, oracle = course(scene)
    assert ours.looks <= 1.9
    assert ours.mean <= mean
    assert ours.total <= 1.1 * oracle.total
