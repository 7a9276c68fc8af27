"""Never over the limit, in any window, from a cold start on; and nearly at it."""

from __future__ import annotations

import anyio
import pytest
from aiolimiter import AsyncLimiter
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.api import REFERENCE, Tier
from bulkops.pace.turns import Pace
from tests.jumping import run_jumping
from tests.pace.pace_doubles import (
    STANDARD,
    TEN_MINUTES,
    WORK,
    busy,
    now,
    one,
    worst_window,
)


async def paced(tier: Tier, seconds: float, workers: int = 8) -> list[float]:
    """Return when turns came to workers without end."""
    async with one(tier) as pace:
        return await busy(lambda: pace.turn("a", WORK), seconds, workers)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 49, 100, 500])
def test_ten_minutes_from_a_cold_start(limit: int) -> None:
    """No sliding window of ten minutes holds more than the limit, and the limit is nearly used."""
    times = run_jumping(paced, Tier("t", limit), TEN_MINUTES)
    assert worst_window(times, 60) <= limit
    assert len(times) >= 0.95 * limit * 10 - 1


def test_the_trap_is_seen_by_this_measure() -> None:
    """Control: an AsyncLimiter of the bare limit lets 199 go in the first minute."""

    async def trap() -> list[float]:
        limiter = AsyncLimiter(100, 60)
        return await busy(lambda: limiter, TEN_MINUTES)

    assert worst_window(run_jumping(trap), 60) == 199


@settings(max_examples=40)
@given(limit=st.integers(1, 60), period=st.floats(0.5, 600), workers=st.integers(1, 70))
def test_any_limit_any_period_any_number_of_workers(limit: int, period: float, workers: int) -> None:
    """No sliding window holds more than the limit."""
    times = run_jumping(paced, Tier("t", limit, period), 4 * period, workers)
    assert worst_window(times, period) <= limit


@settings(max_examples=40)
@given(limit=st.integers(1, 30), rests=st.lists(st.floats(0, 70), min_size=1, max_size=80))
def test_any_arrivals(limit: int, rests: list[float]) -> None:
    """Requests that come at any time, many at once or after a rest, keep to the limit."""

    async def arrivals() -> list[float]:
        times: list[float] = []

        async def request() -> None:
            async with pace.turn("a", WORK):
                times.append(now())

        async with one(Tier("t", limit)) as pace, anyio.create_task_group() as tasks:
            for rest in rests:
                tasks.start_soon(request)
                await anyio.sleep(max(0.0, rest - 40))
        return times

    times = run_jumping(arrivals)
    assert len(times) == len(rests)
    assert worst_window(times, 60) <= limit


def test_no_limit_costs_no_time() -> None:
    """A limit of a billion a second holds nobody up."""

    async def many() -> float:
        async with one(Tier("unlimited", 10**9, 1.0)) as pace:
            for _ in range(2000):
                async with pace.turn("a", WORK):
                    pass
            assert pace.standing("a").granted_last_period == 2000
            return now()

    assert run_jumping(many) < 0.01


def test_the_standing_counts_the_last_period() -> None:
    """What is shown as used is what the server may count: of the last minute, to one slot, never above the limit."""

    async def shown() -> None:
        async with one(STANDARD) as pace:
            times = await busy(lambda: pace.turn("a", WORK), 150.5)
            standing = pace.standing("a")
            really = sum(1 for time in times if time > now() - 60)
            assert really <= standing.granted_last_period <= really + 2
            assert standing.granted_last_period <= 100
            assert standing.used_share == standing.granted_last_period / 100
            assert (standing.limit, standing.period, standing.source) == (100, 60.0, "tier")
            await anyio.sleep(61)
            assert pace.standing("a").granted_last_period == 0

    run_jumping(shown)


def test_accounts_do_not_wait_for_each_other() -> None:
    """Each account has its own bucket."""

    async def two() -> None:
        async with Pace({"slow": Tier("s", 1), "fast": STANDARD}, headers=REFERENCE.rate_headers) as pace:
            slow = await busy(lambda: pace.turn("slow", WORK), 100)
            fast = await busy(lambda: pace.turn("fast", WORK), 100)
        assert len(slow) == 2
        assert len(fast) > 150

    run_jumping(two)
