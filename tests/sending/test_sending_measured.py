"""Every attempt is measured, whatever comes of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bulkops.errors import OperationFailed
from bulkops.lifecycle import Answered, Broken, Sent
from bulkops.sending import Heard
from bulkops.sending.measured import Measured
from tests.sending.sending_doubles import attempt, create

if TYPE_CHECKING:
    from bulkops.model import Request
    from bulkops.sending import Attempt


class Noting:
    """A meter that notes what it hears."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.heard_of: list[tuple[int | None, str | None]] = []
        self.seconds = 0.0

    def sent(self, request: Request) -> None:
        """Note a begin."""
        self.in_flight += 1

    def heard(self, request: Request, status: int | None, code: str | None, seconds: float) -> None:
        """Note an end."""
        self.in_flight -= 1
        self.heard_of.append((status, code))
        self.seconds = seconds


class Ending:
    """A wire on which attempts end in one way."""

    def __init__(self, end: Answered | Broken | BaseException) -> None:
        self._end = end

    async def send(self, attempt: Attempt) -> Heard:
        """End it."""
        await asyncio.sleep(0.01)
        if isinstance(self._end, BaseException):
            raise self._end
        return Heard(self._end, attempt.life, code="slow_down")


@pytest.mark.parametrize(
    ("end", "heard_of"), [(Answered(429), (429, "slow_down")), (Broken(Sent.GONE), (None, None))]
)
def test_an_attempt_is_measured(end: Answered | Broken, heard_of: tuple[int | None, str | None]) -> None:
    """The meter hears status, code and time of an answer, or that there was none; the sender hears all."""
    meter = Noting()
    heard = asyncio.run(Measured(Ending(end), meter).send(attempt(create())))
    assert heard.end == end
    assert meter.heard_of == [heard_of]
    assert meter.in_flight == 0
    assert 0.009 <= meter.seconds < 1


@pytest.mark.parametrize("error", [OperationFailed("no_file", "gone"), asyncio.CancelledError()])
def test_an_attempt_that_raises_is_measured(error: BaseException) -> None:
    """What raises, or is cancelled, is no longer in flight."""
    meter = Noting()
    with pytest.raises(type(error)):
        asyncio.run(Measured(Ending(error), meter).send(attempt(create())))
    assert meter.heard_of == [(None, None)]
    assert meter.in_flight == 0
