"""Histories that Hypothesis chooses: it goes to the edges, and shrinks what goes wrong."""

from __future__ import annotations

from hypothesis import find, given, settings
from hypothesis import strategies as st

from tests.simulation.history import (
    EFFECTLESS,
    LAG,
    LIMIT,
    NAMES,
    SURE,
    TAIL,
    Crash,
    End,
    Fate,
    Foreign,
    History,
    Order,
)
from tests.simulation.mutants import MUTANTS
from tests.simulation.oracle import play, violations

ORDERS = st.builds(
    Order, st.sampled_from(NAMES), st.integers(0, 1), st.booleans(), st.just(0.0) | st.floats(1, 100)
)
CLOCKS = st.floats(-4000, 4000)


@st.composite
def fates(draw: st.DrawFn) -> Fate:
    """Choose what becomes of an attempt: what had an effect is answered after it, or never."""
    end = draw(st.sampled_from(End))
    heard = LIMIT if end is End.TIMEOUT else draw(st.floats(0.001, 5))
    if end in EFFECTLESS:
        return Fate(end, None, heard)
    if end in SURE:
        return Fate(end, draw(st.floats(0, heard)), heard)
    return Fate(end, draw(st.none() | st.floats(0, TAIL)), heard)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Choose a history that keeps to the assumptions of the promise, as `history_of` does."""
    orders = tuple(draw(st.lists(ORDERS, min_size=1, max_size=5)))
    ages, stamps = draw(st.booleans()), draw(st.booleans())
    crashes = st.builds(
        Crash,
        after=st.floats(0, 150),
        power=st.booleans(),
        down=st.floats(0, 1000),
        clock=CLOCKS,
        edited=st.none() | st.integers(0, len(orders) - 1),
    )
    others = st.builds(
        Foreign,
        st.floats(0.1, 200),
        st.sampled_from(NAMES if stamps else ("Otto",)),
        st.booleans() if ages else st.just(value=True),
    )
    numbers = st.lists(st.integers(0, 14), unique=True, max_size=10)
    return History(
        seed=draw(st.integers(0, 2**32)),
        orders=orders,
        fates=tuple((number, draw(fates())) for number in draw(numbers)),
        crashes=tuple(draw(st.lists(crashes, max_size=3))),
        foreign=tuple(draw(st.lists(others, max_size=4))),
        lost_pages=tuple(draw(st.lists(st.integers(0, 12), unique=True, max_size=3))),
        before=tuple(draw(st.lists(st.sampled_from((*NAMES, "Otto")), max_size=14))),
        workers=draw(st.integers(1, 4)),
        lag=draw(st.floats(0, LAG)),
        newest_first=draw(st.booleans()),
        ages=ages,
        page=draw(st.sampled_from((2, 3, 5, 50))),
        clock=draw(CLOCKS),
        stamps=stamps,
    )


@settings(max_examples=500)
@given(histories())
def test_nothing_is_made_twice_lost_or_mistaken(history: History) -> None:
    """By the server's own log: no duplicate, no loss, no wrong id, and the counts add up."""
    assert not violations(play(history)), history


def test_a_broken_variant_is_found_and_made_small() -> None:
    """Without intents one attempt is enough: Hypothesis finds the history, and takes away what it does not need."""
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "no intent is written")
    history = find(
        histories(),
        lambda history: bool(violations(play(history, mutant.process))),
        settings=settings(max_examples=1_000, database=None),
    )
    assert len(history.orders) == len(history.crashes) == 1
