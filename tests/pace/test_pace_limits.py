"""Headers correct a wrong limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from bulkops.api import Tier
from bulkops.errors import UsageError
from bulkops.pace import Allowance
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
from tests.pace.simulation import Service, flow

if TYPE_CHECKING:
    from bulkops.pace.turns import Pace

UNKNOWN = Tier("enterprise", None)


async def later(pace: Pace, times: list[float]) -> None:
    """Take one turn and note when it came."""
    async with pace.turn("a", WORK):
        times.append(now())


async def rate(pace: Pace, seconds: float = 120) -> float:
    """Return how many go a minute."""
    return len(await busy(lambda: pace.turn("a", WORK), seconds)) * 60 / seconds


@pytest.mark.parametrize("told", [30, 1000])
def test_a_header_corrects_in_both_directions(told: int) -> None:
    """The limit that the server names is kept from the next request on, and nearly used."""
    events: list[tuple[str, dict[str, object]]] = []

    async def run() -> None:
        async with one(STANDARD, told=lambda event, **fields: events.append((event, fields))) as pace:
            await answered(pace, x_ratelimit_limit=str(told))
            assert told * 0.93 <= await rate(pace) <= told
            standing = pace.standing("a")
            assert (standing.limit, standing.period, standing.source) == (told, 60.0, "header")

    run_jumping(run)
    assert events == [("limit", {"account": "a", "limit": told, "period": 60.0, "source": "header"})]


def test_a_raise_wakes_those_who_wait() -> None:
    """Who waits for the slow bucket's next token goes by the new one at once."""

    async def run() -> None:
        times: list[float] = []
        async with (
            one(Tier("slow", 1)) as pace,
            pace.turn("a", WORK) as first,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(later, pace, times)
            await anyio.sleep(5)
            first.heard(200, {"x-ratelimit-limit": "100"})
        assert 5 < times[0] < 6

    run_jumping(run)


def test_limits_that_alternate_give_no_credit() -> None:
    """A header that changes with every answer never fills the bucket anew."""

    async def run() -> list[float]:
        times: list[float] = []
        async with one(STANDARD) as pace:
            while now() < 180:
                times.append(await answered(pace, x_ratelimit_limit=str(99 + len(times) % 2)))
        return times

    times = run_jumping(run)
    assert worst_window(times, 60) <= 99
    assert len(times) > 250


def test_a_fixed_rate_is_only_lowered() -> None:
    """What the user fixed is not exceeded on the server's word, but undercut, and taken up again."""

    async def run() -> None:
        async with one(Allowance(STANDARD, source="flag", fixed=True)) as pace:
            for told, kept, source in ((500, 100, "flag"), (50, 50, "header"), (500, 100, "flag")):
                await answered(pace, x_ratelimit_limit=str(told))
                standing = pace.standing("a")
                assert (standing.limit, standing.source) == (kept, source)

    run_jumping(run)


def test_an_unknown_limit_is_learnt_by_one_alone() -> None:
    """Without a limit one request goes alone; its answer tells the limit, and the others follow."""

    async def run() -> None:
        async with one(UNKNOWN) as pace:
            async with pace.turn("a", WORK) as first, anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(answered, pace)
                await anyio.sleep(10)
                assert pace.standing("a").waiting == 5
                first.heard(200, {"x-ratelimit-limit": "600"})
            assert await rate(pace) > 540

    run_jumping(run)


def test_an_unknown_limit_that_nobody_tells_is_a_usage_error() -> None:
    """A success without the header ends it: every other turn says what to give."""

    async def run() -> None:
        async with one(UNKNOWN) as pace:
            await answered(pace)
            with pytest.raises(UsageError, match="give --rate"):
                await answered(pace)

    run_jumping(run)


def test_a_failure_tells_nothing_about_an_unknown_limit() -> None:
    """After a 502, or no answer at all, or a cancelled turn, the next goes alone."""

    async def run() -> None:
        async with one(UNKNOWN) as pace:
            await answered(pace, 502)
            async with pace.turn("a", WORK):
                pass
            async with pace.turn("a", WORK), anyio.create_task_group() as tasks:
                tasks.start_soon(answered, pace)
                await checkpoint()
                tasks.cancel_scope.cancel()
            await answered(pace, 429, retry_after="3")
            begin = now()
            await answered(pace, x_ratelimit_limit="100")
            assert now() - begin == pytest.approx(3, abs=0.01)
            assert pace.standing("a").limit == 100

    run_jumping(run)


def test_a_lowered_limit_holds_at_once() -> None:
    """What was sent under the old limit counts under the new one: the next waits until there is room."""

    async def run() -> None:
        async with one(STANDARD) as pace:
            for _ in range(3):
                await answered(pace)
            async with pace.turn("a", WORK) as last:
                sent = now()
                last.heard(200, {"x-ratelimit-limit": "2"})
            assert sent + 59 <= await answered(pace) <= sent + 61

    run_jumping(run)


def test_a_tier_guessed_too_high_is_cured_by_the_first_answer() -> None:
    """With the pro tier set and a standard server, the headers keep the 429s away."""

    async def run() -> Service:
        service = Service(FixedWindow(100, 60.0), seed=3)
        async with one(Tier("pro", 500)) as pace:
            return await flow(service, lambda: pace.turn("a", WORK), 300)

    service = run_jumping(run)
    assert service.refused == 0
    assert service.admitted() >= 0.97 * 500


def test_places_in_flight_that_others_have_are_left_to_them() -> None:
    """Of ten that the server takes at once, four are somebody else's: six are ours."""

    async def run() -> int:
        async with one(STANDARD) as pace:
            await answered(pace, maximum_concurrent_requests="10", current_concurrent_requests="5")
            return pace.standing("a").window

    assert run_jumping(run) == 6
