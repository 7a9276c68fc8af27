"""Whose turn it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from bulkops.api import Tier
from tests.jumping import JumpingLoop, run_jumping
from tests.pace.pace_doubles import POLL, STANDARD, WORK, answered, one

if TYPE_CHECKING:
    from bulkops.model import RequestClass
    from bulkops.pace.turns import Pace


async def queue(
    pace: Pace, wanted: list[tuple[RequestClass, int]], seconds: float
) -> list[tuple[RequestClass, int]]:
    """Queue these in this order behind a pause and return those who went in so many seconds."""
    went: list[tuple[RequestClass, int]] = []

    async def request(request_class: RequestClass, number: int) -> None:
        async with pace.turn("a", request_class):
            went.append((request_class, number))

    async with pace.turn("a", WORK) as first:
        first.heard(429, {"retry-after": "1"})
    with anyio.move_on_after(seconds + 1):
        async with anyio.create_task_group() as tasks:
            for request_class, number in wanted:
                tasks.start_soon(request, request_class, number)
                await checkpoint()
    return went


def test_first_come_first_served_within_a_class() -> None:
    """Work goes in the order in which it came, and so do polls."""

    async def run() -> None:
        async with one(STANDARD) as pace:
            went = await queue(pace, [(cls, n) for n in range(40) for cls in (WORK, POLL)], 100)
        for cls in (WORK, POLL):
            assert [number for each, number in went if each is cls] == list(range(40))

    run_jumping(run)


def test_a_newcomer_overtakes_nobody() -> None:
    """When the loop was busy past the end of a pause, who comes then still queues behind those who waited."""

    async def run() -> list[int]:
        went: list[int] = []

        async def request(number: int) -> None:
            async with pace.turn("a", WORK):
                went.append(number)

        async with one(STANDARD) as pace:
            await answered(pace, 429, retry_after="10")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(request, 0)
                await anyio.sleep(5)
                loop = asyncio.get_running_loop()
                assert isinstance(loop, JumpingLoop)
                loop._jumping.now += 10
                await request(1)
        return went

    assert run_jumping(run) == [0, 1]


@pytest.mark.parametrize(("share", "polls"), [(None, 1), (0.1, 1), (0.4, 4), (0.0, 0), (7.0, 10)])
def test_polls_get_their_share_while_work_waits(share: float | None, polls: int) -> None:
    """Of a crowd of polls that came first, so many of ten turns go to them, steadily; a tenth unless told."""

    async def run() -> None:
        async with one(STANDARD) as pace:
            if share is not None:
                pace.poll_share("a", share)
            wanted = [(POLL, n) for n in range(100)] + [(WORK, n) for n in range(100)]
            went = [cls for cls, _ in await queue(pace, wanted, 55)]
        assert len(went) > 80
        for begin in range(0, 80, 10):
            assert went[begin : begin + 10].count(POLL) == polls

    run_jumping(run)


def test_a_share_of_nothing_starves_no_poll() -> None:
    """Polls go once in a hundred turns even if they are given no share at all."""

    async def run() -> None:
        async with one(Tier("fast", 6000)) as pace:
            pace.poll_share("a", 0.0)
            went = await queue(pace, [(POLL, 0), *((WORK, n) for n in range(200))], 10)
        assert went.index((POLL, 0)) == 99

    run_jumping(run)


def test_a_share_changes_while_it_runs() -> None:
    """From the moment on at which polls are given half, every second turn is theirs."""

    async def run() -> None:
        async with one(STANDARD) as pace:
            pace.poll_share("a", 0.1)
            asyncio.get_running_loop().call_later(30, pace.poll_share, "a", 0.5)
            wanted = [(cls, n) for n in range(100) for cls in (WORK, POLL)]
            went = [cls for cls, _ in await queue(pace, wanted, 55)]
        assert (went[:40].count(POLL), went[60:80].count(POLL)) == (4, 10)

    run_jumping(run)


def test_polls_get_everything_when_no_work_waits() -> None:
    """With nothing else to do, polls use the whole limit."""

    async def run() -> None:
        async with one(STANDARD) as pace:
            assert len(await queue(pace, [(POLL, n) for n in range(200)], 60)) >= 95

    run_jumping(run)


def test_work_gets_everything_when_no_polls_wait() -> None:
    """The share of the polls is no reservation."""

    async def run() -> None:
        async with one(STANDARD) as pace:
            assert len(await queue(pace, [(WORK, n) for n in range(200)], 60)) >= 95

    run_jumping(run)


def test_a_poll_among_much_work_is_not_starved() -> None:
    """One poll behind a hundred requests goes with the tenth turn."""

    async def run() -> None:
        async with one(STANDARD) as pace:
            went = await queue(pace, [*((WORK, n) for n in range(100)), (POLL, 0)], 20)
        assert went.index((POLL, 0)) == 9

    run_jumping(run)
