"""The bucket of a limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.pace import bucket_for
from tests.pace.pace_doubles import worst_window

PERIODS = (0.001, 1.0, 6.0, 10.0, 60.0, 3600.0, 86400.0)


@pytest.mark.parametrize("period", PERIODS)
def test_no_window_of_any_limit_holds_more_than_the_limit(period: float) -> None:
    """For every limit to 10,000, a full bucket and its refill stay below one more than the limit."""
    for limit in range(1, 10_001):
        bucket = bucket_for(limit, period)
        assert 1 <= bucket.burst <= limit
        assert bucket.burst + bucket.per_second * period < limit + 1


@pytest.mark.parametrize("period", PERIODS)
def test_at_least_nine_tenths_of_a_limit_from_fifty_on_are_sustained(period: float) -> None:
    """For every limit from 50 to 10,000 the refill gives 90 % of it."""
    assert all(bucket_for(limit, period).per_second * period >= 0.9 * limit for limit in range(50, 10_001))


@given(limit=st.integers(1, 10_000), period=st.floats(0.5, 3600), idle=st.floats(0, 2))
def test_a_greedy_client_stays_within_the_limit(limit: int, period: float, idle: float) -> None:
    """Whoever takes each token at once, pauses, and goes on never has more than the limit in a window."""
    bucket = bucket_for(limit, period)
    times: list[float] = []
    level, last, now = 0.0, 0.0, 0.0
    for count in range(min(3 * limit, 4000)):
        if count == limit // 2:
            now += idle * period
        level = max(0.0, level - (now - last) * bucket.per_second)
        wait = max(0.0, level + 1 - bucket.burst) / bucket.per_second
        now, last, level = now + wait, now, max(0.0, level - wait * bucket.per_second) + 1
        last = now
        times.append(now)
    assert worst_window(times, period) <= limit


@pytest.mark.parametrize(("limit", "share"), [(1, 0.97), (2, 0.97), (3, 0.97), (100, 0.96), (500, 0.95)])
def test_the_share_of_a_minute_s_limit(limit: int, share: float) -> None:
    """What a minute's limit keeps of its rate; tiny limits lose no more than large ones."""
    assert bucket_for(limit, 60).per_second * 60 >= share * limit
