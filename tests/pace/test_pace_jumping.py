"""The loop that the other tests stand on."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiolimiter import AsyncLimiter

from tests import jumping
from tests.jumping import run_jumping


def test_hours_pass_in_a_blink_and_in_order() -> None:
    """Timers fire in their order, each at its time, and cancelled ones move no clock."""

    async def hours() -> list[float]:
        loop = asyncio.get_running_loop()
        loop.call_later(10**6, print).cancel()

        async def until(seconds: float) -> float:
            await asyncio.sleep(seconds)
            return loop.time()

        return await asyncio.gather(*map(until, (7200, 3600, 0.5)))

    begin = time.monotonic()
    assert run_jumping(hours) == [pytest.approx(seconds, abs=0.001) for seconds in (7200, 3600, 0.5)]
    assert time.monotonic() - begin < 1


def test_a_small_bucket_does_not_spin() -> None:
    """An AsyncLimiter whose rounding leaves it a hair short of its token comes through all the same."""

    async def drain() -> float:
        limiter = AsyncLimiter(1, 0.61)
        for _ in range(500):
            await limiter.acquire()
        return asyncio.get_running_loop().time()

    assert run_jumping(drain) == pytest.approx(499 * 0.61, abs=0.01)


def test_a_deadlock_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """When nobody is ready and no timer runs, the test ends instead of hanging."""
    monkeypatch.setattr(jumping, "STUCK", 0.01)
    with pytest.raises(RuntimeError, match="stuck"):
        run_jumping(asyncio.Event().wait)
