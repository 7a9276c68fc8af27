"""The even pace of a limit, and what a reserve leaves of it."""

from __future__ import annotations

import pytest

from bulkops.pace import bucket_for
from bulkops.settings import Reserve

PERIODS = (0.001, 1.0, 6.0, 10.0, 60.0, 3600.0, 86400.0)


@pytest.mark.parametrize("period", PERIODS)
def test_the_even_pace_is_a_little_below_the_limit(period: float) -> None:
    """For every limit to 10,000 it gives 97 to 99 % of it."""
    for limit in range(1, 10_001):
        assert 0.97 * limit <= bucket_for(limit, period).per_second * period <= 0.99 * limit


@pytest.mark.parametrize(
    ("limit", "period", "burst"), [(1, 60, 1), (100, 60, 1), (500, 60, 1), (10**6, 60, 164)]
)
def test_only_high_rates_have_a_burst(limit: int, period: float, burst: int) -> None:
    """One goes at a time; more at once only above a hundred requests a second, as timers are late."""
    assert bucket_for(limit, period).burst == burst


@pytest.mark.parametrize(
    ("reserve", "left"),
    [
        (Reserve(), 100),
        (Reserve(0.2), 80),
        (Reserve(0.333), 66),
        (Reserve(per_second=20 / 60), 80),
        (Reserve(0.1, 30 / 60), 70),
        (Reserve(0.9999), 1),
        (Reserve(per_second=99), 1),
    ],
)
def test_a_reserve_is_left_to_others(reserve: Reserve, left: int) -> None:
    """A share, a rate or the larger of both is kept free, but one request is always ours."""
    assert reserve.spared(100, 60.0) == left
