"""Each algorithm of a limit against its definition, for requests at any times and limits that change."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.emulator.algorithms import Algorithm, make_limit

if TYPE_CHECKING:
    from bulkops.emulator.limits import Limit

PERIOD = 8
BURST = 3
WINDOWED = [algorithm for algorithm in Algorithm if algorithm.has_windows]
algorithms = pytest.mark.parametrize("algorithm", Algorithm)
# Moments in eighths of a second are exact as floats.
GAPS = st.integers(0, 30).map(lambda eighths: eighths / 8)
EVENTS = st.lists(st.tuples(GAPS, st.none() | st.integers(1, 6)), max_size=40)
LIMITS = st.integers(1, 6)


def fresh(algorithm: Algorithm, limit: int, *, rejects_count: bool = False) -> Limit:
    """Make a limit; windows of the wall clock begin at 1, 9, 17 and so on."""
    return make_limit(algorithm, limit, float(PERIOD), origin=1.0, burst=BURST, rejects_count=rejects_count)


def moved(limit: Limit, gaps: list[float]) -> float:
    """Let requests come after these gaps; the moment of the last."""
    now = 0.0
    for gap in gaps:
        now += gap
        limit.admit(now)
    return now


@dataclass
class Definition:
    """What an algorithm is, said over everything that ever happened and in exact fractions."""

    algorithm: Algorithm
    limits: list[tuple[float, int]]
    counted: list[float] = field(default_factory=list)
    opened: list[float] = field(default_factory=list)

    def allows(self, now: float) -> bool:
        """Tell whether a request at `now` may pass; `counted` holds the moments of those before it."""
        limit, counted = self.limits[-1][1], self.counted
        match self.algorithm:
            case Algorithm.FIXED:
                return sum(self.window(each) == self.window(now) for each in counted) < limit
            case Algorithm.FIXED_FROM_FIRST:
                if not self.opened or now >= self.opened[-1] + PERIOD:
                    self.opened.append(now)
                    self.counted = counted = []
                return len(counted) < limit
            case Algorithm.SLIDING_LOG:
                return sum(now - PERIOD < each for each in counted) < limit
            case Algorithm.SLIDING_COUNTER:
                before = sum(self.window(each) == self.window(now) - 1 for each in counted)
                used = sum(self.window(each) == self.window(now) for each in counted)
                gone = Fraction(now - 1) / PERIOD - self.window(now)
                return before * (1 - gone) + used + 1 <= limit
            case Algorithm.TOKEN_BUCKET | Algorithm.GCRA:
                # At no time more than the burst and what has dropped in since.
                return all(
                    sum(each >= since for each in counted) + 1 <= BURST + self.dropped(since, now)
                    for since in {*counted, now}
                )

    def dropped(self, since: float, until: float) -> Fraction:
        """Give the tokens of a time, each part of it at the limit that it had."""
        ends = [moment for moment, _ in self.limits[1:]] + [until]
        spans = [
            (Fraction(min(end, until)) - Fraction(max(begin, since))) * limit
            for (begin, limit), end in zip(self.limits, ends, strict=True)
            if max(begin, since) < min(end, until)
        ]
        return sum(spans, Fraction()) / PERIOD

    @staticmethod
    def window(moment: float) -> int:
        """Give the number of the window of the wall clock around a moment."""
        return int((moment - 1) // PERIOD)


@algorithms
@given(limit=LIMITS, events=EVENTS, rejects_count=st.booleans())
def test_it_admits_exactly_what_its_definition_allows(
    algorithm: Algorithm, limit: int, events: list[tuple[float, int | None]], *, rejects_count: bool
) -> None:
    """Whatever comes when, and however the limit changes: what is allowed passes, and nothing else does."""
    rejects_count = rejects_count and algorithm.has_windows
    tried = fresh(algorithm, limit, rejects_count=rejects_count)
    definition = Definition(algorithm, [(0.0, limit)])
    now = 0.0
    for gap, change in events:
        now += gap
        if change is not None:
            tried.change(change, now)
            definition.limits.append((now, change))
        allowed = definition.allows(now)
        assert tried.admit(now).admitted == allowed
        if allowed or rejects_count:
            definition.counted.append(now)


@algorithms
@given(limit=LIMITS, gaps=st.lists(GAPS, min_size=1, max_size=30))
def test_as_many_as_it_says_remain(algorithm: Algorithm, limit: int, gaps: list[float]) -> None:
    """After an answer with `remaining`, that many more pass at the same moment, and then none."""
    tried = fresh(algorithm, limit)
    now = moved(tried, gaps)
    remaining = tried.admit(now).remaining
    assert [tried.admit(now).admitted for _ in range(remaining + 1)] == [True] * remaining + [False]


@algorithms
@given(limit=LIMITS, gaps=st.lists(GAPS, min_size=1, max_size=30), rejects_count=st.booleans())
def test_it_opens_when_it_says(
    algorithm: Algorithm, limit: int, gaps: list[float], *, rejects_count: bool
) -> None:
    """A refused request would pass at `opens`, and at no moment before; an admitted one opens at its own."""
    tried = fresh(algorithm, limit, rejects_count=rejects_count and algorithm.has_windows)
    now = moved(tried, gaps)
    verdict = tried.admit(now)
    if verdict.admitted:
        assert verdict.opens == now
        return
    assert now < verdict.opens
    assert deepcopy(tried).admit(verdict.opens).admitted
    early = max(now, verdict.opens - 1 / 64)
    assert not deepcopy(tried).admit(early).admitted


@pytest.mark.parametrize(
    ("algorithm", "afresh"),
    [
        (Algorithm.FIXED, 3),
        (Algorithm.FIXED_FROM_FIRST, 3),
        (Algorithm.TOKEN_BUCKET, BURST - 1),
        (Algorithm.GCRA, BURST - 1),
    ],
)
@given(gaps=st.lists(GAPS, min_size=1, max_size=30))
def test_at_its_reset_it_is_as_new(algorithm: Algorithm, afresh: int, gaps: list[float]) -> None:
    """At `reset` a fixed window is empty and what refills is full."""
    tried = fresh(algorithm, 4)
    reset = tried.admit(moved(tried, gaps)).reset
    assert tried.admit(reset).remaining == afresh


@given(limit=LIMITS, gaps=st.lists(GAPS, min_size=1, max_size=30))
def test_a_log_forgets_one_at_its_reset(limit: int, gaps: list[float]) -> None:
    """At `reset` of a log its oldest request is forgotten, so that one more passes, and not before."""
    tried = fresh(Algorithm.SLIDING_LOG, limit)
    now = moved(tried, gaps)
    while (verdict := tried.admit(now)).admitted:
        pass
    assert verdict.reset == verdict.opens


@algorithms
@given(limit=LIMITS, gaps=st.lists(GAPS, min_size=1, max_size=30))
def test_a_reset_lies_ahead(algorithm: Algorithm, limit: int, gaps: list[float]) -> None:
    """`reset` is never past, and of what has windows never more than a period away."""
    tried = fresh(algorithm, limit)
    now = moved(tried, gaps)
    reset = tried.admit(now).reset
    assert now < reset
    assert not algorithm.has_windows or reset <= now + PERIOD


@pytest.mark.parametrize("algorithm", WINDOWED)
def test_who_keeps_asking_is_kept_out_where_refusals_count(algorithm: Algorithm) -> None:
    """Where refused requests count, steady asking at twice the limit gets less through than where they do not."""
    moments = [PERIOD * n / 8 for n in range(80)]
    fair, strict = (fresh(algorithm, 4, rejects_count=each) for each in (False, True))
    passed = [sum(limit.admit(now).admitted for now in moments) for limit in (fair, strict)]
    if algorithm in (Algorithm.SLIDING_LOG, Algorithm.SLIDING_COUNTER):
        assert passed[1] < passed[0] / 2
    else:
        assert passed[1] == passed[0]


@algorithms
@given(limit=st.integers(1, 500), period=st.floats(0.01, 5000), origin=st.floats(-1e5, 1e5))
def test_any_limit_lets_the_first_one_pass(
    algorithm: Algorithm, limit: int, period: float, origin: float
) -> None:
    """Without a burst of its own too, whatever its numbers: the first request passes and the last one opens again."""
    tried = make_limit(algorithm, limit, period, origin=origin)
    now = 123_456.7
    assert tried.admit(now).admitted
    while (verdict := tried.admit(now)).admitted:
        pass
    assert tried.admit(verdict.opens).admitted
