"""How long things take, learned from looks."""

from __future__ import annotations

from itertools import pairwise
from math import inf, log2
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.engines.readiness import Readiness
from tests.engines.looks_simulated import lognormal, sized, two_peaks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

AGES = [0.0, *(2.0**n for n in range(13))]


def taught(
    seconds: Iterable[float], sizes: Sequence[int] | None = None, ages: Sequence[float] = AGES
) -> Readiness:
    """Return what looks at these ages have taught about things that take so many seconds."""
    readiness = Readiness(20.0)
    for number, time in enumerate(seconds):
        doublings = readiness.doublings(None if sizes is None else sizes[number])
        for after, until in pairwise(ages):
            readiness.learn(after, until, doublings, settled=time <= until)
            if time <= until:
                break
    return readiness


def test_before_any_look_the_usual_time_is_expected() -> None:
    """Half of what nothing is known about is expected to settle within the time told."""
    assert Readiness(20.0).when(0.0, 0.5, 0.0) == pytest.approx(20.0, rel=0.1)


@settings(max_examples=50)
@given(st.floats(0, 1e5), st.floats(0.05, 0.85), st.floats(-12, 12))
def test_a_surer_look_comes_later(after: float, chance: float, doublings: float) -> None:
    """At whatever age something was looked at, the next look comes after it, and later the surer it has to be."""
    readiness = taught(two_peaks(50, 1))
    sooner = readiness.when(after, chance, doublings)
    assert after < sooner < readiness.when(after, chance + 0.1, doublings) < inf


@pytest.mark.parametrize("median", [3.0, 20.0, 300.0, 2000.0])
def test_times_are_learned(median: float) -> None:
    """A hundred things teach when the next ones settle, however wrong the expectation was."""
    readiness = taught(lognormal(100, 1, median, 0.5))
    assert readiness.when(0.0, 0.5, 0.0) == pytest.approx(median, rel=0.3)
    assert readiness.when(0.0, 0.8, 0.0) == pytest.approx(median * 1.52, rel=0.4)


def test_two_peaks_are_told_apart() -> None:
    """Where half settle at 5 s and half at 200 s, what has not settled at 16 s is not looked at before 100 s."""
    readiness = taught(two_peaks(400, 1))
    assert readiness.when(0.0, 0.4, 0.0) < 10
    assert readiness.when(16.0, 0.4, 0.0) > 100


def test_that_time_follows_size_is_learned() -> None:
    """Where a file of ten times the size takes ten times as long, looks at it come ten times as late."""
    seconds, sizes = sized(200, 1)
    readiness = taught(seconds, sizes)
    small, large = (readiness.when(0.0, 0.5, readiness.doublings(size)) for size in (30_000, 300_000))
    assert large / small == pytest.approx(10, rel=0.2)


def test_sizes_that_do_not_matter_are_disregarded() -> None:
    """Where times have nothing to do with sizes, all are looked at at the same age."""
    _, sizes = sized(200, 1)
    readiness = taught(lognormal(200, 2), sizes)
    assert readiness.when(0.0, 0.5, -3.0) == readiness.when(0.0, 0.5, 3.0)


def test_one_look_is_not_enough_to_believe_in_sizes() -> None:
    """That one large file is not ready yet does not put off the looks at all large ones."""
    readiness = Readiness(20.0)
    large = 10.0
    readiness.learn(0.0, 20.0, large, settled=False)
    assert readiness.when(0.0, 0.5, large) == readiness.when(0.0, 0.5, 0.0)


def test_a_size_that_is_not_known_counts_as_the_usual_one() -> None:
    """A document without a file is taken for one of the size of the first."""
    readiness = Readiness(20.0)
    assert readiness.doublings(None) == 0.0
    assert readiness.doublings(1000) == 0.0
    assert readiness.doublings(8000) == log2(8)
    assert readiness.doublings(None) == 0.0


def test_looks_that_were_sure_beforehand_teach_nothing() -> None:
    """A thousand things found settled after three hours say nothing about when they did."""
    readiness = taught([5.0] * 1000, ages=[0.0, 10_000.0])
    assert readiness.when(0.0, 0.5, 0.0) == pytest.approx(20.0, rel=0.1)
