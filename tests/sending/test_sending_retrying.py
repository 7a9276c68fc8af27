"""Again or not, and when the whole run has to stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bulkops.api import REFERENCE, Tier
from bulkops.checkpoint import StepState
from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.errors import InDoubt, KeyRefused, OperationFailed, Unreachable
from bulkops.lifecycle import MOST_FAILURES, Answered, Broken, Sent
from bulkops.pace.turns import Pace
from bulkops.sending import Heard, Retrying
from bulkops.sending.metered import Metered
from bulkops.sending.recorded import Recorded
from tests.jumping import run_jumping
from tests.sending.sending_doubles import attempt, create, read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulkops.lifecycle import End
    from bulkops.sending import Attempt, Gate

OK = Answered(200)
NOBODY = Broken(Sent.NOT_CONNECTED)


class Script:
    """A wire on which attempts end as written, the last word for ever."""

    def __init__(self, *ends: End) -> None:
        self._ends = list(ends)
        self.times: list[float] = []
        self.gates: list[Gate] = []

    async def send(self, attempt: Attempt) -> Heard:
        """End as written."""
        self.times.append(asyncio.get_running_loop().time())
        self.gates.append(attempt.gate)
        end = self._ends.pop(0) if len(self._ends) > 1 else self._ends[0]
        return Heard(end, attempt.life, json={}, reason="because", code="a_code", request_id="req_1")


class Stack:
    """The whole stack over a script, without a pace unless one is given."""

    def __init__(self, *ends: End, give_up_after: float = 300.0, pace: Pace | None = None) -> None:
        self.wire = Script(*ends)
        self.checkpoint = MemoryCheckpoint()
        recorded = Recorded(self.wire, self.checkpoint, chance=lambda: 0.5)
        inner = recorded if pace is None else Metered(recorded, pace)
        self.retrying = Retrying(inner, give_up_after=give_up_after)

    async def create(self, key: bytes = b"operation") -> Heard:
        """Send a create."""
        return await self.retrying.send(attempt(create(), key=key))

    async def states(self, keys: Iterable[bytes] = (b"operation",)) -> set[StepState]:
        """Return the states of the steps of some operations."""
        return {row.state for key in keys for row in await self.checkpoint.steps_of(key)}


def test_a_passing_failure_is_repeated_until_it_has_passed() -> None:
    """Every attempt has a gate of its own, and the reply tells how many there were."""

    async def main() -> None:
        stack = Stack(Broken(Sent.WITHHELD), Answered(429), NOBODY, OK)
        heard = await stack.create()
        assert heard.life.attempt == 4
        assert len(set(map(id, stack.wire.gates))) == 4
        assert (stack.retrying.requests, stack.retrying.retries) == (4, 3)
        assert await stack.states() == {StepState.DONE}

    run_jumping(main)


def test_retries_pay_the_pace() -> None:
    """Ten attempts at one request take ten turns."""

    async def main() -> None:
        async with Pace({"a": Tier("t", 2)}, headers=REFERENCE.rate_headers) as pace:
            stack = Stack(*[Broken(Sent.WITHHELD)] * 5, OK, pace=pace)
            await stack.create()
        times = stack.wire.times
        assert len(times) == 6
        assert all(late - early > 60 for early, late in zip(times, times[2:], strict=False))

    run_jumping(main)


def test_a_refusal_carries_all_that_is_known() -> None:
    """Code, message, status, request id and the number of attempts."""

    async def main() -> None:
        stack = Stack(Answered(429), Answered(422))
        with pytest.raises(OperationFailed) as caught:
            await stack.create()
        error = caught.value
        assert (error.code, error.message) == ("a_code", "agent.create: HTTP 422: because")
        assert (error.status, error.request_id, error.attempts) == (422, "req_1", 2)
        assert await stack.states() == {StepState.NO_EFFECT}

    run_jumping(main)


def test_giving_up_says_after_how_many_attempts() -> None:
    """A read that fails for ever ends as failed, in bounded time."""

    async def main() -> None:
        stack = Stack(Broken(Sent.GONE))
        with pytest.raises(OperationFailed, match=rf"after {MOST_FAILURES} attempts") as caught:
            await stack.retrying.send(attempt(read()))
        assert (caught.value.attempts, caught.value.status) == (MOST_FAILURES, None)
        assert len(stack.wire.times) == MOST_FAILURES

    run_jumping(main)


@pytest.mark.parametrize("end", [Broken(Sent.GONE), Answered(500), Answered(200, named=False)], ids=str)
def test_a_create_in_doubt_is_not_repeated(end: End) -> None:
    """One attempt, then held, with the reason."""

    async def main() -> None:
        stack = Stack(end)
        with pytest.raises(InDoubt, match=r"because \(request req_1\)") as caught:
            await stack.create()
        assert (caught.value.attempts, len(stack.wire.times)) == (1, 1)
        sure = isinstance(end, Answered) and end.status == 200
        assert await stack.states() == {StepState.MADE if sure else StepState.UNKNOWN}
        assert caught.value.sure is sure

    run_jumping(main)


def test_an_unreachable_server_ends_the_run_and_fails_nothing() -> None:
    """After the time given for it, not before; the operation stays as it was."""

    async def main() -> None:
        stack = Stack(NOBODY, give_up_after=300)
        with pytest.raises(Unreachable, match="300 s"):
            await stack.create()
        assert 300 <= stack.wire.times[-1] <= 300 + 30
        assert await stack.states() == {StepState.NO_EFFECT}

    run_jumping(main)


@pytest.mark.parametrize("contact", [Answered(503, withheld=True), Broken(Sent.WITHHELD)], ids=str)
def test_any_contact_ends_the_time_of_being_unreachable(contact: End) -> None:
    """A server that could be connected to in between was not unreachable all the time."""

    async def main() -> None:
        stack = Stack(*[NOBODY] * 7, contact, *[NOBODY] * 7, OK, give_up_after=180)
        await stack.create()
        assert stack.wire.times[-1] > 180

    run_jumping(main)


@pytest.mark.parametrize("status", [401, 402])
def test_a_refused_key_stops_the_run(status: int) -> None:
    """At once, and the operation stays pending."""

    async def main() -> None:
        stack = Stack(Answered(status))
        with pytest.raises(KeyRefused, match=f"HTTP {status}"):
            await stack.create()
        assert await stack.states() == {StepState.NO_EFFECT}

    run_jumping(main)


def test_ten_first_403_mean_the_key() -> None:
    """The first nine fail their lines for now; the tenth, and whoever was still under way, stops the run."""

    async def main() -> None:
        stack = Stack(Answered(403))
        keys = [bytes([number]) for number in range(16)]
        ends = await asyncio.gather(*map(stack.create, keys), return_exceptions=True)
        assert [type(end) for end in ends] == [OperationFailed] * 9 + [KeyRefused] * 7
        assert stack.retrying.forbidden == set(keys)

    run_jumping(main)


def test_a_late_answer_does_not_take_the_refusal_of_the_key_back() -> None:
    """The run stops for it, so those that were refused with 403 stay pending."""

    async def main() -> None:
        stack = Stack(*[Answered(403)] * 10, OK)
        keys = [bytes([number]) for number in range(11)]
        await asyncio.gather(*map(stack.create, keys), return_exceptions=True)
        assert stack.retrying.forbidden == set(keys[:10])

    run_jumping(main)


def test_a_403_after_another_answer_fails_only_its_line() -> None:
    """One answer that is not 403 shows that the key is good."""

    async def main() -> None:
        stack = Stack(Answered(403), OK, Answered(403))
        keys = [bytes([number]) for number in range(30)]
        ends = [await asyncio.gather(stack.create(key), return_exceptions=True) for key in keys]
        kinds = [type(end) for (end,) in ends]
        assert kinds == [OperationFailed, Heard] + [OperationFailed] * 28
        assert stack.retrying.forbidden == set()

    run_jumping(main)


def test_what_cannot_be_reached_is_told_once() -> None:
    """People hear of it when it begins, and of every retry."""

    async def main() -> None:
        told: list[str] = []
        wire = Script(NOBODY, NOBODY, OK)
        retrying = Retrying(
            Recorded(wire, MemoryCheckpoint()),
            give_up_after=300,
            told=lambda event, /, **_facts: told.append(event),
        )
        await retrying.send(attempt(create()))
        assert told == ["unreachable", "retry", "retry"]

    run_jumping(main)
