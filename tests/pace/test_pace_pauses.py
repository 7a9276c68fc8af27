"""One refusal is one pause for everybody."""

from __future__ import annotations

from contextlib import asynccontextmanager
from email.utils import formatdate
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from bulkops.api import Tier
from bulkops.pace.pauses import LONGEST_BACKOFF, LONGEST_RETRY_AFTER, backoff
from tests.jumping import run_jumping
from tests.pace.pace_doubles import (
    STANDARD,
    WORK,
    answered,
    busy,
    now,
    one,
    worst_window,
)
from tests.pace.servers import FixedWindow
from tests.pace.simulation import WALL, Service, flow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bulkops.pace.turns import Pace

FAST = Tier("fast", 6000)


async def rest_after(status: int, headers: dict[str, str], kind: str | None = None) -> float:
    """Return how long the next waits after one such answer."""
    async with one(FAST) as pace:
        begin = await answered(pace, status, kind=kind, **headers)
        return await answered(pace) - begin


@asynccontextmanager
async def warm(tier: Tier, **more: Any) -> AsyncIterator[Pace]:
    """Return a pace that has had its first answer."""
    async with one(tier, **more) as pace:
        await answered(pace)
        yield pace


def near(seconds: float) -> Any:
    """Return what equals this many seconds, give or take the bucket's gap."""
    return pytest.approx(seconds, abs=0.1)


def test_retry_after_holds_everybody_once() -> None:
    """A 429 with Retry-After: 17 lets none of 20 workers go for 17 s; it is one pause, told once."""
    told: list[tuple[str, dict[str, object]]] = []

    async def run() -> None:
        async with one(FAST, told=lambda event, **fields: told.append((event, fields))) as pace:
            begin = await answered(pace, 429, retry_after="17")
            times = await busy(lambda: pace.turn("a", WORK), 18, workers=20)
            assert min(times) - begin == near(17)
            standing = pace.standing("a")
            assert (standing.pauses, standing.paused_seconds) == (1, near(17))

    run_jumping(run)
    assert told == [("paused", {"account": "a", "seconds": 17.0, "reason": "429"})]


def test_after_a_pause_no_herd_comes() -> None:
    """When the pause ends, 64 who waited go at the bucket's pace, its small burst ahead."""

    async def run() -> list[float]:
        async with one(STANDARD) as pace:
            await answered(pace, 429, retry_after="30")
            return await busy(lambda: pace.turn("a", WORK), 32, workers=64)

    times = run_jumping(run)
    assert sum(1 for time in times if time < times[0] + 1) <= 3
    assert worst_window(times, 60) <= 100


def test_racing_refusals_do_not_stack() -> None:
    """Five requests under way draw five 429s: one pause, no longer than the longest of their Retry-After."""

    async def run() -> None:
        async with warm(FAST) as pace:

            async def request(delay: float, headers: dict[str, str]) -> None:
                async with pace.turn("a", WORK) as turn:
                    await anyio.sleep(delay)
                    turn.heard(429, headers)

            async with anyio.create_task_group() as tasks:
                for number in range(4):
                    tasks.start_soon(request, 0.5 + number / 10, {})
                tasks.start_soon(request, 1.0, {"retry-after": "5"})
            assert await answered(pace) == near(6.0)
            standing = pace.standing("a")
            assert (standing.pauses, standing.paused_seconds) == (1, near(5.5))

    run_jumping(run)


def test_a_refusal_that_arrives_after_its_pause_starts_none() -> None:
    """A 429 to a request granted before the pause is old news once the pause is over."""

    async def run() -> None:
        async with warm(FAST) as pace, pace.turn("a", WORK) as slow:
            await answered(pace, 429, retry_after="2")
            await anyio.sleep(5)
            slow.heard(429, {})
            assert await answered(pace) == near(5)
            assert pace.standing("a").pauses == 1

    run_jumping(run)


def test_a_late_refusal_may_lengthen_its_pause() -> None:
    """The Retry-After of a 429 to a request granted before the pause counts, as more of the same pause."""
    told: list[str] = []

    async def run() -> None:
        async with (
            warm(FAST, told=lambda event, **_: told.append(event)) as pace,
            pace.turn("a", WORK) as slow,
        ):
            await answered(pace, 429, retry_after="2")
            await anyio.sleep(5)
            slow.heard(429, {"retry-after": "3"})
            assert await answered(pace) == near(8)
            standing = pace.standing("a")
            assert (standing.pauses, standing.paused_seconds) == (1, near(5))

    run_jumping(run)
    assert told == ["paused", "lengthened"]


def test_the_second_waits_for_the_first_answer_but_not_for_ever() -> None:
    """What the first answer tells holds for the second already; a slow first one holds it for a second."""
    waited: list[float] = []

    async def run(seconds: float) -> None:
        async with one(FAST) as pace, anyio.create_task_group() as tasks:

            async def first() -> None:
                async with pace.turn("a", WORK):
                    await anyio.sleep(seconds)

            tasks.start_soon(first)
            await anyio.sleep(0.001)
            waited.append(await answered(pace))

    run_jumping(run, 0.3)
    run_jumping(run, 60)
    assert waited == [near(0.3), near(1)]


def test_the_standing_counts_only_the_seconds_rested_so_far() -> None:
    """In the middle of a pause half of it counts."""

    async def run() -> None:
        async with one(FAST) as pace:
            await answered(pace, 429, retry_after="20")
            await anyio.sleep(10)
            assert pace.standing("a").paused_seconds == near(10)

    run_jumping(run)


def test_backoff_doubles_until_a_success() -> None:
    """Refusals without a hint wait 1, 2, 4 s …, at most half a period; a success starts again."""

    async def run() -> list[float]:
        async with one(FAST) as pace:
            times = [await answered(pace, 429) for _ in range(8)]
            times.append(await answered(pace, 200))
            times += [await answered(pace, 429), await answered(pace, 200)]
        return [later - earlier for earlier, later in pairwise(times)]

    waits = run_jumping(run)
    assert waits[:8] == [near(wait) for wait in (1, 2, 4, 8, 16, 30, 30, 30)]
    assert waits[-1] == near(1)


def test_a_success_from_before_the_pause_proves_nothing() -> None:
    """Only a success granted after the pause ends the row of refusals."""

    async def run() -> None:
        async with warm(FAST) as pace, pace.turn("a", WORK) as slow:
            await answered(pace, 429)
            slow.heard(200, {})
            second = await answered(pace, 429)
            assert await answered(pace) - second == near(2)

    run_jumping(run)


def test_chance_spreads_the_backoff() -> None:
    """The upper half of the backoff is up to chance, and no number of refusals overflows it."""
    assert [backoff(3, 60, chance) for chance in (0.0, 0.5, 1.0)] == [4, 6, 8]
    assert backoff(10**6, 60, 1.0) == LONGEST_BACKOFF * 60


def test_the_best_hint_wins() -> None:
    """Retry-After wins over the reset, and either over a shorter backoff."""
    reset = str(int(WALL) + 40)
    assert run_jumping(rest_after, 429, {"x_ratelimit_reset": reset}) == near(41)
    assert run_jumping(rest_after, 429, {"retry_after": "5", "x_ratelimit_reset": reset}) == near(5)
    assert run_jumping(rest_after, 429, {"retry_after": formatdate(WALL + 9)}) == near(9)


@pytest.mark.parametrize("text", ["-5", "1e9", "never", "9" * 400, "Mon, 99 Foo 2024 99:99:99 GMT"])
def test_a_hostile_retry_after_is_ignored(text: str) -> None:
    """The backoff stands in for it."""
    assert run_jumping(rest_after, 429, {"retry_after": text}) == near(1)


@pytest.mark.parametrize("text", ["999999999", formatdate(WALL + 10**7)])
def test_a_huge_retry_after_is_capped(text: str) -> None:
    """Nobody can make us sleep for days."""
    assert run_jumping(rest_after, 429, {"retry_after": text}) == near(LONGEST_RETRY_AFTER)


@pytest.mark.parametrize("skew", [-30, 30])
def test_without_retry_after_the_reset_is_waited_for(skew: int) -> None:
    """After a 429 nobody goes before the reset, though the server's clock is 30 s off."""
    told = {
        "x_ratelimit_reset": str(int(WALL) + skew + 20),
        "date": formatdate(WALL + skew, usegmt=True),
    }
    assert run_jumping(rest_after, 429, told) == near(21)


def test_a_reset_that_says_nothing_of_the_refusal_is_not_waited_for() -> None:
    """A service that is busy, or a refusal while more remains, is no matter of the limit: a backoff is enough."""
    reset = {"x_ratelimit_reset": str(int(WALL) + 40)}
    assert run_jumping(rest_after, 429, {**reset, "x_ratelimit_remaining": "0"}, "system_busy") == near(1)
    assert run_jumping(rest_after, 429, {**reset, "x_ratelimit_remaining": "975"}) == near(1)
    assert run_jumping(rest_after, 429, {**reset, "x_ratelimit_remaining": "0"}) == near(41)


def test_what_was_vouched_for_before_a_refusal_is_void() -> None:
    """A short job that the headers let go at once is paced after a 429, until an answer tells again what remains."""

    async def run() -> list[float]:
        async with warm(STANDARD) as pace:
            await answered(pace, x_ratelimit_limit="100", x_ratelimit_remaining="90")
            await answered(pace, 429, retry_after="1")
            await answered(pace)
            pace.expect("a", 10)
            return [await answered(pace) for _ in range(10)]

    times = run_jumping(run)
    assert times[-1] - times[0] == pytest.approx(9 * 60 / 98, rel=0.1)


def test_an_absurd_reset_is_not_believed() -> None:
    """A reset next year is waited for no longer than any backoff."""
    assert run_jumping(rest_after, 429, {"x_ratelimit_reset": str(int(WALL) + 10**7)}) == near(1)


def test_after_a_pause_one_goes_ahead() -> None:
    """The first one after a refusal goes alone, and the rest when it was not refused again."""

    async def run() -> None:
        async with one(FAST) as pace:
            await answered(pace, 429, retry_after="10")
            times: list[float] = []

            async def request() -> None:
                async with pace.turn("a", WORK) as turn:
                    times.append(now())
                    await anyio.sleep(3)
                    turn.heard(200, {})

            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(request)
            assert times == [near(10), near(13), near(13), near(13)]

    run_jumping(run)


def test_a_slow_request_from_before_a_pause_holds_nobody_after_it() -> None:
    """An upload that was under way when the pause began may take as long as it likes."""

    async def run() -> None:
        async with warm(FAST) as pace, pace.turn("a", WORK):
            await answered(pace, 429, retry_after="10")
            assert await answered(pace) == near(10)

    run_jumping(run)


def test_a_window_spent_by_others_is_waited_for() -> None:
    """When a stranger used the window, the pace waits and goes on; the 429s stay few."""

    async def run() -> Service:
        server = FixedWindow(100, 60.0)
        for _ in range(90):
            server.admit(0.0)
        service = Service(server, seed=1)
        async with one(STANDARD) as pace:
            return await flow(service, lambda: pace.turn("a", WORK), 190)

    service = run_jumping(run)
    assert service.refused <= 2
    assert service.admitted() >= 180


def test_a_pause_that_begins_while_somebody_waits_for_a_token_holds_him() -> None:
    """A 429 heard between two tokens counts for those who already wait."""

    async def run() -> None:
        times: list[float] = []

        async def second() -> None:
            async with pace.turn("a", WORK):
                times.append(now())

        async with (
            one(Tier("slow", 2, 20.0)) as pace,
            pace.turn("a", WORK) as first,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(second)
            await anyio.sleep(5)
            first.heard(429, {"retry-after": "30"})
        assert times == [near(35)]

    run_jumping(run)
