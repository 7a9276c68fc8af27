"""What the pace makes of the time that requests take there and back, and of its own delays."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.api import Tier
from bulkops.pace import Allowance
from bulkops.pace.credit import Credit, Flight
from bulkops.pace.governor import Governor
from bulkops.pace.headers import Told
from bulkops.pace.ledger import Ledger
from bulkops.pace.state import State
from bulkops.pace.ways import LONGEST, Ways

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT, PERIOD = 100, 6.0
GAP = PERIOD / (0.98 * LIMIT)


def governor() -> Governor:
    """Return one for 100 in 6 seconds."""
    return Governor(Allowance(Tier("t", LIMIT, PERIOD)), State.fresh(PERIOD))


def sent(
    governor: Governor, ways: Sequence[float], remaining: Sequence[int | None]
) -> list[tuple[float, float]]:
    """Send one for each way as soon as it may go; return when each was granted and answered."""
    flying: list[tuple[float, int, Flight]] = []
    times: list[tuple[float, float]] = []
    now = 0.0
    for number, way in enumerate(ways):
        while (at := governor.when(now, 1)) > now or (flying and min(flying)[0] <= now):
            answer = min(flying)[0] if flying else inf
            now = max(now, min(at, answer))
            if answer <= now:
                flight = flying.pop(flying.index(min(flying)))
                governor.hear(flight[2], 200, Told(remaining=remaining[flight[1]]), now)
                governor.end(flight[2], now)
        flying.append((now + way, number, governor.grant(now)))
        times.append((now, now + way))
    return times


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0.001, 3.0), st.none() | st.integers(0, LIMIT)), min_size=1, max_size=60))
def test_no_period_holds_more_whatever_the_ways_were(requests: list[tuple[float, int | None]]) -> None:
    """Counted as it is granted, with all others as they are answered, none is one too many: true or false headers."""
    ways, remaining = zip(*(requests * (1 + 300 // len(requests))), strict=True)
    times = sent(governor(), ways, remaining)
    for number, (granted, _) in enumerate(times):
        assert sum(answered > granted - PERIOD + 1e-9 for _, answered in times[:number]) < LIMIT


@given(st.lists(st.floats(0, 1e6)))
def test_what_is_believed_of_ways_is_bounded(seconds: list[float]) -> None:
    """However long answers took, no more than a twentieth of the period counts as their way."""
    ways = Ways()
    for each in seconds:
        ways.hear(each, PERIOD)
    assert 0 <= ways.mean <= LONGEST * PERIOD * 1.001
    assert 0 <= ways.spread <= LONGEST * PERIOD * 1.001


def test_uneven_ways_slow_the_pace_where_nothing_is_told() -> None:
    """The server sees what is sent evenly come unevenly; without headers so much more is left unused."""
    even, uneven, told = governor(), governor(), governor()
    for it, way in ((even, 0.0), (uneven, 0.06), (told, 0.06)):
        it.state.ledger.granted, it.state.ways = 50, Ways(0.06, way)
    told.state.credit.told = 0.0
    for it, gap in ((even, GAP), (uneven, GAP * 1.01), (told, GAP)):
        it.grant(0.0)
        assert it.state.due == pytest.approx(gap)


@pytest.mark.parametrize(("late", "made_up"), [(0.03, 0.03), (0.2, GAP), (0.3, 0.0)])
def test_a_late_wake_up_is_made_up_for(late: float, made_up: float) -> None:
    """Who is held up, by up to a quarter of a second, has the next go sooner by a gap at most; a rest gives nothing."""
    it = governor()
    it.state.ledger.granted, it.state.due = 50, 10.0
    it.grant(10.0 + late)
    assert it.state.due == pytest.approx(10.0 + late + GAP - made_up)


def test_who_was_sent_before_counts_as_counted() -> None:
    """Of 3 that were under way as the fourth went, whose answer told 9, none is expected to come on top of it."""
    ledger, credit = Ledger(PERIOD, granted=4), Credit()
    credit.hear(Flight(1.0, 0, number=4), 9, 1.1, ledger)
    assert credit.expects(9, 1.0, ledger.granted) == 1.0
    assert credit.expects(10, 1.0, ledger.granted) == 2.0
    assert credit.left(1.1, ledger) == 6
