"""What is on disk before, during and after an attempt."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bulkops.checkpoint import StepState
from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.errors import CheckpointError, OperationFailed
from bulkops.lifecycle import Answered, Broken, Deliver, Hold, Life, RetryAfter, Sent, Verdict
from bulkops.model import Effect
from bulkops.sending import Heard
from bulkops.sending.recorded import Recorded
from tests.sending.sending_doubles import attempt, create, read, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bulkops.checkpoint import StepRow
    from bulkops.lifecycle import End
    from bulkops.sending import Attempt

NO_EFFECT, DONE, UNKNOWN, INTENT = StepState.NO_EFFECT, StepState.DONE, StepState.UNKNOWN, StepState.INTENT


@dataclass
class Inner:
    """A wire that does what it is told and notes who came."""

    act: Callable[[Attempt], Awaitable[Heard]]
    came: list[Attempt] = field(default_factory=list)

    async def send(self, attempt: Attempt) -> Heard:
        """Do it."""
        self.came.append(attempt)
        return await self.act(attempt)


def ends(end: End, **more: object) -> Inner:
    """Return a wire on which every attempt ends so."""

    async def act(attempt: Attempt) -> Heard:
        return Heard(end, attempt.life, **more)  # type: ignore[arg-type]

    return Inner(act)


async def only_step(checkpoint: MemoryCheckpoint) -> StepRow:
    """Return the one step that is remembered."""
    (row,) = await checkpoint.steps_of(b"operation")
    return row


def test_the_intent_is_durable_before_anything_is_sent() -> None:
    """When the wire is asked, the row is there: attempt, endpoint and digest."""

    async def main() -> None:
        checkpoint = MemoryCheckpoint()
        seen: list[StepRow] = []

        async def act(attempt: Attempt) -> Heard:
            seen.append(await only_step(checkpoint))
            return Heard(Answered(200), attempt.life, json={"agent_id": "a"}, entity="a")

        heard = await Recorded(Inner(act), checkpoint).send(attempt(create()))
        assert isinstance(heard.command, Deliver)
        assert (seen[0].state, seen[0].attempt) == (INTENT, 1)
        assert (seen[0].endpoint, seen[0].request) == ("agent.create", b"digest")

    run(main())


def test_the_wire_waits_for_the_disk() -> None:
    """While the intent is being written, nothing is sent."""

    async def main() -> None:
        written = asyncio.Event()

        class Slow(MemoryCheckpoint):
            async def intend(self, step: StepRow) -> None:
                await written.wait()
                await super().intend(step)

        inner = ends(Answered(200))
        task = asyncio.create_task(Recorded(inner, Slow()).send(attempt(create())))
        for _ in range(10):
            await asyncio.sleep(0)
        assert inner.came == []
        written.set()
        await task
        assert len(inner.came) == 1

    run(main())


def test_reads_write_nothing() -> None:
    """Neither when they are answered nor when they fail."""

    async def main() -> None:
        checkpoint = MemoryCheckpoint()
        for end in (Answered(200), Answered(404), Broken(Sent.GONE)):
            await Recorded(ends(end), checkpoint).send(attempt(read()))
        assert await checkpoint.steps_of(b"operation") == []

    run(main())


@pytest.mark.parametrize(
    ("effect", "end", "state"),
    [
        (Effect.CREATE, Answered(200), DONE),
        (Effect.CREATE, Answered(200, named=False), StepState.MADE),
        (Effect.CREATE, Answered(500), UNKNOWN),
        (Effect.CREATE, Broken(Sent.GONE), UNKNOWN),
        (Effect.SPEND, Broken(Sent.GONE), UNKNOWN),
        (Effect.CREATE, Broken(Sent.WITHHELD), NO_EFFECT),
        (Effect.CREATE, Broken(Sent.NOT_CONNECTED), NO_EFFECT),
        (Effect.CREATE, Answered(429), NO_EFFECT),
        (Effect.CREATE, Answered(422), NO_EFFECT),
        (Effect.CREATE, Answered(403), NO_EFFECT),
        (Effect.CREATE, Answered(401), NO_EFFECT),
        (Effect.IDEMPOTENT, Answered(200, readable=False), DONE),
        (Effect.IDEMPOTENT, Answered(500), INTENT),
        (Effect.IDEMPOTENT, Answered(429), NO_EFFECT),
        (Effect.IDEMPOTENT, Broken(Sent.GONE), INTENT),
    ],
    ids=str,
)
def test_each_end_leaves_the_right_row(effect: Effect, end: End, state: StepState) -> None:
    """What is remembered says what may be done next."""

    async def main() -> None:
        checkpoint = MemoryCheckpoint()
        inner = ends(end, json={"agent_id": "a"}, entity="a", reason="because")
        await Recorded(inner, checkpoint).send(attempt(create(effect=effect)))
        row = await only_step(checkpoint)
        assert (row.state, row.attempt, row.reason) == (state, 1, "because")
        assert row.reply == (b'{"agent_id":"a"}' if state is DONE else None)

    run(main())


@pytest.mark.parametrize(
    ("passed", "effect", "state"),
    [
        (False, Effect.CREATE, NO_EFFECT),
        (True, Effect.CREATE, UNKNOWN),
        (True, Effect.IDEMPOTENT, INTENT),
    ],
)
def test_a_cancelled_attempt_is_written_down(effect: Effect, state: StepState, *, passed: bool) -> None:
    """The gate decides whether it can have had an effect; the cancellation goes on."""

    async def main() -> None:
        checkpoint = MemoryCheckpoint()
        begun = asyncio.Event()

        async def act(attempt: Attempt) -> Heard:
            attempt.gate.passed = passed
            begun.set()
            await asyncio.Event().wait()
            raise AssertionError

        task = asyncio.create_task(Recorded(Inner(act), checkpoint).send(attempt(create(effect=effect))))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await only_step(checkpoint)).state is state

    run(main())


def test_an_attempt_that_is_cancelled_while_its_intent_is_written_had_no_effect() -> None:
    """The intent may be on disk already; the proof follows it."""

    async def main() -> None:
        class Slow(MemoryCheckpoint):
            async def intend(self, step: StepRow) -> None:
                self.note(step)
                begun.set()
                await asyncio.Event().wait()

        checkpoint, begun, inner = Slow(), asyncio.Event(), ends(Answered(200))
        task = asyncio.create_task(Recorded(inner, checkpoint).send(attempt(create())))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await only_step(checkpoint)).state is NO_EFFECT
        assert inner.came == []

    run(main())


def test_a_checkpoint_that_fails_stops_everything() -> None:
    """Without an intent on disk nothing is sent."""

    async def main() -> None:
        class Full(MemoryCheckpoint):
            async def intend(self, step: StepRow) -> None:
                raise CheckpointError("the disk is full")

            def note(self, step: StepRow) -> None:
                raise CheckpointError("the disk is full")

        inner = ends(Answered(200))
        with pytest.raises(CheckpointError):
            await Recorded(inner, Full()).send(attempt(create()))
        assert inner.came == []

    run(main())


def test_a_body_that_could_not_be_made_leaves_its_reason() -> None:
    """The row says what was wrong with the file, not that somebody stopped the run."""

    async def main() -> None:
        async def act(_attempt: Attempt) -> Heard:
            raise OperationFailed("file_changed", "a.txt changed")

        checkpoint = MemoryCheckpoint()
        with pytest.raises(OperationFailed):
            await Recorded(Inner(act), checkpoint).send(attempt(create()))
        row = await only_step(checkpoint)
        assert (row.state, row.reason) == (NO_EFFECT, "a.txt changed")

    run(main())


def test_the_next_state_travels_with_what_was_heard() -> None:
    """The command and the state are those of the lifecycle, with the chance that was given."""

    async def main() -> None:
        recorded = Recorded(ends(Broken(Sent.WITHHELD)), MemoryCheckpoint(), chance=lambda: 0.0)
        heard = await recorded.send(attempt(create(), life=Life(Effect.CREATE, attempt=4)))
        assert (heard.life.attempt, heard.life.failures) == (5, 1)
        assert isinstance(heard.command, RetryAfter)
        assert (heard.command.seconds, heard.command.no_effect) == (0.25, True)
        held = await Recorded(ends(Broken(Sent.GONE)), MemoryCheckpoint()).send(attempt(create()))
        assert isinstance(held.command, Hold)

    run(main())


def test_of_an_id_that_comes_again_the_step_keeps_no_more_than_which_it_was() -> None:
    """It is nobody's; which id it was is kept for the run that may have to tell the other operation."""

    async def main() -> None:
        checkpoint = MemoryCheckpoint()
        inner = ends(Answered(200, repeated=True), json={"agent_id": "a"}, entity="a", reason="why")
        heard = await Recorded(inner, checkpoint).send(attempt(create()))
        assert heard.command == Hold(Verdict.ID_UNKNOWN)
        row = await only_step(checkpoint)
        assert (row.state, row.entity, row.reply, row.reason) == (StepState.MADE, None, None, "why")
        assert row.evidence == b'{"repeated":"a"}'

    run(main())
