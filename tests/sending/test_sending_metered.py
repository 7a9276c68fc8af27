"""No attempt without a turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bulkops.api import REFERENCE, Tier
from bulkops.lifecycle import Answered, Broken, Sent
from bulkops.model import RequestClass
from bulkops.pace.turns import Pace
from bulkops.sending import Heard
from bulkops.sending.metered import Metered
from tests.jumping import run_jumping
from tests.sending.sending_doubles import attempt, create, read

if TYPE_CHECKING:
    from bulkops.lifecycle import End
    from bulkops.sending import Attempt


class Noting:
    """A wire that notes when it was asked."""

    def __init__(self, *ends: End, headers: dict[str, str] | None = None) -> None:
        self._ends = list(ends)
        self._headers = headers or {}
        self.times: list[float] = []

    async def send(self, attempt: Attempt) -> Heard:
        """Answer what comes next."""
        self.times.append(asyncio.get_running_loop().time())
        end = self._ends.pop(0) if self._ends else Answered(200)
        return Heard(end, attempt.life, headers=self._headers if end == Answered(429) else {})


def test_every_attempt_takes_a_turn() -> None:
    """Of many at once, no minute sees more than the tier allows; polls count, too."""

    async def main() -> None:
        inner = Noting()
        async with Pace({"a": Tier("t", 10)}, headers=REFERENCE.rate_headers) as pace:
            metered = Metered(inner, pace)
            polls = [read(request_class=RequestClass.POLL) for _ in range(5)]
            await asyncio.gather(*(metered.send(attempt(one)) for one in [*polls, *[create()] * 20]))
        times = sorted(inner.times)
        assert len(times) == 25
        assert all(late - early > 60 for early, late in zip(times, times[10:], strict=False))

    run_jumping(main)


def test_what_is_answered_is_heard_by_the_pace() -> None:
    """After a 429 with Retry-After nobody goes before that time."""

    async def main() -> None:
        inner = Noting(Answered(429), headers={"retry-after": "30"})
        async with Pace({"a": Tier("t", 1000)}, headers=REFERENCE.rate_headers) as pace:
            metered = Metered(inner, pace)
            await metered.send(attempt(create()))
            await metered.send(attempt(create()))
        assert inner.times[1] - inner.times[0] >= 30

    run_jumping(main)


def test_no_answer_pauses_nobody() -> None:
    """A broken attempt ends its turn without having heard anything."""

    async def main() -> None:
        inner = Noting(Broken(Sent.GONE))
        async with Pace({"a": Tier("t", 1000)}, headers=REFERENCE.rate_headers) as pace:
            metered = Metered(inner, pace)
            await metered.send(attempt(create()))
            await metered.send(attempt(create()))
        assert inner.times[1] - inner.times[0] < 5

    run_jumping(main)


def test_a_closed_pace_lets_nothing_through() -> None:
    """What waits for a turn when the run is stopped is never sent."""

    async def main() -> None:
        inner = Noting()
        async with Pace({"a": Tier("t", 1000)}, headers=REFERENCE.rate_headers) as pace:
            pace.close(RuntimeError("stopped"))
            with pytest.raises(RuntimeError, match="stopped"):
                await Metered(inner, pace).send(attempt(create()))
        assert inner.times == []

    run_jumping(main)
