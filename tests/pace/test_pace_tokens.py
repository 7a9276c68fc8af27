"""The bucket that every request passes, whatever the governor says."""

from __future__ import annotations

import pytest

from bulkops.pace.tokens import Tokens
from tests.jumping import run_jumping
from tests.pace.pace_doubles import now

rooms = pytest.mark.parametrize("at_once", [1, 3, 17, 9800])
"""How many the pace lets go at once: at 100 a minute, at 300 a second, at 100,000 a minute, at a million a second."""


async def taken(bucket: Tokens, count: int) -> float:
    """Take so many tokens one after the other; return the seconds that took."""
    begin = now()
    for _ in range(count):
        if not bucket.spend():
            await bucket.take()
    return now() - begin


@rooms
def test_as_many_as_there_is_room_for_go_at_once(at_once: int) -> None:
    """Whoever has to take a handful waits no longer than for one."""
    assert run_jumping(lambda: taken(Tokens(at_once + 1, 100.0, at_once), at_once + 1)) == 0


@rooms
def test_a_flood_is_held(at_once: int) -> None:
    """Whoever asks without end gets the room, what is refilled, and a quarter of the room at most."""

    async def run() -> float:
        return await taken(Tokens(at_once + 1, at_once * 100.0, at_once), at_once * 100)

    least = 1 - (at_once + 1 + at_once / 4) / (at_once * 100)
    assert run_jumping(run) == pytest.approx(1.0, abs=1 - least + 1e-3)
