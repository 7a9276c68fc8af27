"""Where no limit per time is known to exist, only what is in flight is bounded, until somebody tells another."""

from __future__ import annotations

import anyio

from bulkops.api import LIVE, Tier
from tests.jumping import run_jumping
from tests.pace.pace_doubles import WORK, answered, busy, now, one

OPEN = LIVE.tiers["open"]
ROUND = 0.2
"""Seconds that a request takes."""


def test_the_first_tier_of_the_live_api_is_open() -> None:
    """Without a word of the user's no number of requests in a time is assumed."""
    assert next(iter(LIVE.tiers.values())) == Tier("open", None, open=True)


def test_no_number_of_requests_in_a_time_is_assumed() -> None:
    """Ten thousand go in a minute when they are answered that fast, and no answer has to tell a limit."""

    async def run() -> None:
        async with one(OPEN) as pace:
            for _ in range(3):
                await answered(pace)
            times = await busy(lambda: pace.turn("a", WORK), 60)
            assert len(times) > 10_000
            assert pace.standing("a").limit is None

    run_jumping(run)


async def most_at_once(pace: object, seconds: float = 30) -> int:
    """Return how many are in flight at once at most, of a hundred who want to be."""
    flying = most = 0

    async def work() -> None:
        nonlocal flying, most
        while True:
            async with pace.turn("a", WORK) as turn:  # type: ignore[attr-defined] # a pace
                flying += 1
                most = max(most, flying)
                await anyio.sleep(ROUND)
                flying -= 1
                turn.heard(
                    200, {"maximum-concurrent-requests": "3", "current-concurrent-requests": str(flying + 1)}
                )

    with anyio.move_on_at(now() + seconds):
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(work)
    return most


def test_the_limit_of_what_is_in_flight_is_kept() -> None:
    """What the server tells in `maximum-concurrent-requests` is the bound, from the first answer on."""

    async def run() -> None:
        async with one(OPEN) as pace:
            await answered(pace, maximum_concurrent_requests="3", current_concurrent_requests="1")
            assert await most_at_once(pace) == 3

    run_jumping(run)


def test_too_many_in_flight_are_made_fewer() -> None:
    """A refusal for being too many makes the window smaller and nobody wait; one for the rate makes all wait."""

    async def run() -> None:
        async with one(OPEN) as pace:
            before = pace.standing("a").window
            await answered(pace, 429, kind="concurrent_limit_exceeded")
            assert pace.standing("a").window < before
            assert pace.standing("a").pauses == 0
            await answered(pace, 429, kind="rate_limit_exceeded")
            assert pace.standing("a").pauses == 1

    run_jumping(run)


def test_a_limit_that_a_header_tells_is_kept() -> None:
    """As soon as an answer names a number of requests in a time, it holds."""

    async def run() -> None:
        async with one(OPEN) as pace:
            await answered(pace, x_ratelimit_limit="60")
            assert len(await busy(lambda: pace.turn("a", WORK), 120)) <= 121

    run_jumping(run)
