"""Waiters that vanish, and a pace that closes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.api import Tier
from bulkops.errors import Interrupted
from bulkops.pace import bucket_for
from bulkops.pace.waiting import Waiting
from tests.jumping import run_jumping
from tests.pace.pace_doubles import POLL, STANDARD, WORK, answered, busy, now, one, worst_window

if TYPE_CHECKING:
    from bulkops.pace.turns import Pace
    from bulkops.pace.waiting import Place


GAP = 60 / 0.98
"""The even pace of one a minute."""


async def takes(pace: Pace, times: list[float], *, poll: bool = False) -> None:
    """Take one turn and note when it came."""
    async with pace.turn("a", POLL if poll else WORK):
        times.append(now())


class Cancelling(Waiting):
    """Queues that cancel the task just being granted, before it can run: at the nth grant if `which[n]`."""

    def __init__(self, tasks: list[asyncio.Task[None]], which: list[bool]) -> None:
        super().__init__()
        self._tasks = tasks
        self._which = iter(which)

    def take(self) -> Place | None:
        """Take the next place and let its task be cancelled first thing in the next turn of the loop."""
        place = super().take()
        if place is not None and next(self._which, False):
            for task in self._tasks:
                if task._fut_waiter is place:  # type: ignore[attr-defined]
                    asyncio.get_running_loop().call_soon(task.cancel)
        return place


def cancels_as_granted(pace: Pace, tasks: list[asyncio.Task[None]], which: list[bool]) -> None:
    """Cancel those of the tasks, none of which has begun, in the moment of their grant."""
    pace._dispatchers["a"]._waiting = Cancelling(tasks, which)


@settings(max_examples=150)
@given(
    limit=st.integers(1, 40),
    waiters=st.lists(st.tuples(st.booleans(), st.none() | st.floats(0, 60)), min_size=1, max_size=40),
    as_granted=st.lists(st.booleans(), max_size=40),
)
def test_a_storm_of_cancellations_loses_no_token(
    limit: int, waiters: list[tuple[bool, float | None]], as_granted: list[bool]
) -> None:
    """Whoever is cancelled whenever, each token that comes goes to one who stays, and nobody hangs."""
    gap = 1 / bucket_for(limit, 60).per_second

    async def storm() -> list[float]:
        times: list[float] = []
        async with one(Tier("t", limit)) as pace:
            await answered(pace)
            tasks = [asyncio.create_task(takes(pace, times, poll=poll)) for poll, _ in waiters]
            cancels_as_granted(pace, tasks, as_granted)
            for task, (_, when) in zip(tasks, waiters, strict=True):
                if when is not None:
                    asyncio.get_running_loop().call_later(when, task.cancel)
            await asyncio.gather(*tasks, return_exceptions=True)
            assert len(times) == sum(1 for task in tasks if not task.cancelled())
            assert pace.standing("a").waiting == 0
            await asyncio.wait_for(takes(pace, []), max(gap, 60.2) + 0.01)
        return times

    times = run_jumping(storm)
    # The even pace may be behind by one gap and catch up.
    assert all(time <= gap * number + 0.01 for number, time in enumerate(times, 1))
    assert worst_window(times, 60) <= limit


def test_a_token_whose_waiter_vanished_as_it_was_granted_goes_to_the_next() -> None:
    """Cancelled in the very turn of the loop that grants: the next goes at that time, not a token later."""

    async def run() -> None:
        times: list[float] = []
        async with one(Tier("t", 1)) as pace:
            await answered(pace)
            tasks = [asyncio.create_task(takes(pace, times)) for _ in range(2)]
            cancels_as_granted(pace, tasks, [True])
            await asyncio.wait(tasks)
            assert [task.cancelled() for task in tasks] == [True, False]
        assert times == [pytest.approx(GAP, abs=0.01)]

    run_jumping(run)


def test_whoever_went_alone_and_vanished_makes_way() -> None:
    """While the limit is unknown, one cancelled as it was granted does not keep the next from going."""

    async def run() -> None:
        times: list[float] = []
        async with one(Tier("enterprise", None)) as pace:
            async with pace.turn("a", WORK):
                tasks = [asyncio.create_task(takes(pace, times)) for _ in range(2)]
                cancels_as_granted(pace, tasks, [True])
                await asyncio.sleep(1)
            await asyncio.wait(tasks)
            assert [task.cancelled() for task in tasks] == [True, False]

    run_jumping(run)


@pytest.mark.parametrize("later", [0.0, 20.0, 40.0, 500.0])
def test_a_turn_given_back_serves_the_next_but_adds_nothing(later: float) -> None:
    """A turn whose waiter vanished serves the next comer at once, and the one after waits a full gap."""

    async def run() -> None:
        times: list[float] = []
        async with one(Tier("t", 1)) as pace:
            await answered(pace)
            lost = asyncio.create_task(takes(pace, times))
            cancels_as_granted(pace, [lost], [True])
            await asyncio.wait([lost])
            assert lost.cancelled()
            await asyncio.sleep(later)
            begin = now()
            await takes(pace, times)
            await takes(pace, times)
        assert times == [pytest.approx(begin, abs=0.01), pytest.approx(begin + GAP, abs=0.01)]

    run_jumping(run)


def test_with_its_answer_a_request_is_over() -> None:
    """It holds no place in flight any more once its answer was heard, and counts once, though its block goes on."""

    async def run() -> None:
        async with one(STANDARD) as pace:
            async with pace.turn("a", WORK) as turn:
                turn.heard(200, {})
                assert pace.standing("a").in_flight == 0
            assert pace.standing("a").granted_last_period == 1
            assert pace.standing("a").in_flight == 0

    run_jumping(run)


def test_a_listener_that_fails_keeps_no_request_in_flight() -> None:
    """What hearing of a pause raises comes out of the turn, and the answered request is over all the same."""

    def hear(_event: str, **_facts: object) -> None:
        raise ValueError("deaf")

    async def run() -> None:
        async with one(STANDARD, told=hear) as pace:
            with pytest.raises(ValueError, match="deaf"):
                await answered(pace, 429)
            assert pace.standing("a").in_flight == 0

    run_jumping(run)


def test_a_waiter_that_vanished_before_its_token_spends_none() -> None:
    """Who gives up while waiting for a token leaves it to who comes later."""

    async def run() -> None:
        async with one(Tier("t", 1)) as pace:
            await answered(pace)
            with anyio.move_on_after(30):
                await answered(pace)
            await anyio.sleep(50)
            assert await answered(pace) == pytest.approx(80, abs=0.01)
            assert await answered(pace) == pytest.approx(80 + GAP, abs=0.01)

    run_jumping(run)


def test_closing_wakes_all_who_wait_and_grants_none() -> None:
    """Of 64 who wait as the pace closes none is granted; each raises the error, and later ones too."""

    async def run() -> None:
        times: list[float] = []
        async with one(Tier("t", 1)) as pace:
            async with pace.turn("a", WORK) as granted:
                tasks = [asyncio.create_task(takes(pace, times, poll=n % 2 == 0)) for n in range(64)]
                await asyncio.sleep(1)
                assert pace.standing("a").waiting == 64
                error = Interrupted("stop", 2)
                pace.close(error)
                results = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(result is error for result in results)
                granted.heard(200, {"x-ratelimit-limit": "7"})
            with pytest.raises(Interrupted):
                await takes(pace, times)
            pace.close(ValueError("later"))
            with pytest.raises(Interrupted):
                await takes(pace, times)
            assert times == []
            assert pace.standing("a").limit == 7

    run_jumping(run)


def test_leaving_the_block_leaves_nobody_waiting() -> None:
    """Who still waits when the pace ends hears so instead of hanging."""

    async def run() -> None:
        times: list[float] = []
        async with one(Tier("t", 1)) as pace:
            await answered(pace)
            left = asyncio.create_task(takes(pace, times))
            await asyncio.sleep(1)
        with pytest.raises(RuntimeError, match="ended"):
            await left

    run_jumping(run)


def test_what_the_block_raises_comes_out_as_it_is() -> None:
    """An error in the block is not wrapped, and a cancellation passes through."""

    async def run() -> None:
        with pytest.raises(Interrupted):
            async with one(STANDARD):
                raise Interrupted("stop", 2)
        with anyio.move_on_after(5) as scope:
            async with one(STANDARD) as pace:
                await busy(lambda: pace.turn("a", WORK), 60)
        assert scope.cancelled_caught
        assert now() == pytest.approx(5, abs=0.01)

    run_jumping(run)


def test_a_broken_dispatcher_is_not_hidden() -> None:
    """A bug in the dispatcher is raised by those who wait; nobody hangs."""

    async def run() -> None:
        async with one(Tier("t", 1)) as pace:
            await answered(pace)
            waiting = asyncio.create_task(answered(pace))
            await asyncio.sleep(1)
            pace._dispatchers["a"]._governor.grant = None  # type: ignore[method-assign, assignment]
            with pytest.raises(TypeError):
                await waiting

    run_jumping(run)
