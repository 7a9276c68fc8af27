"""What holds for every checkpoint, on disk and in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bulkops.checkpoint import StepState, run_key
from bulkops.model import State
from tests.checkpoint.checkpoint_rows import ended, key_of, step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bulkops.checkpoint import Checkpoint
    from tests.checkpoint.checkpoint_rows import Opener


def run(opened: Opener, act: Callable[[Checkpoint], Awaitable[None]]) -> None:
    """Act on the checkpoint that is opened, and close it."""

    async def main() -> None:
        async with opened() as checkpoint:
            await act(checkpoint)

    asyncio.run(main())


def test_intent_is_found_again(opened: Opener) -> None:
    """A step that was intended is there, every field, when the checkpoint is opened again."""
    intent = step(entity="agent_1", reply=b"{}", reason="why", attempt=3)

    async def act(checkpoint: Checkpoint) -> None:
        await checkpoint.intend(intent)

    async def again(checkpoint: Checkpoint) -> None:
        assert [intent] == await checkpoint.steps_of(intent.key)

    run(opened, act)
    run(opened, again)


def test_steps_of_the_run_are_apart(opened: Opener) -> None:
    """What a run itself has begun is remembered as any step, and is not among those of operations."""
    own, other = step(key=run_key("us")), step()

    async def act(checkpoint: Checkpoint) -> None:
        await checkpoint.intend(own)
        await checkpoint.intend(other)
        assert [own] == await checkpoint.steps_of(run_key("us"))
        assert await checkpoint.steps_of(run_key("eu")) == []
        with checkpoint.reader() as reader:
            assert list(reader.open_steps()) == [other]
            assert list(reader.steps_of_run()) == [own]

    run(opened, act)


def test_note_replaces(opened: Opener) -> None:
    """A note takes the place of what was known about its step, and of no other step."""

    async def act(checkpoint: Checkpoint) -> None:
        await checkpoint.intend(step())
        await checkpoint.intend(step(number=1))
        checkpoint.note(step(state=StepState.DONE, reply=b'{"id":"a"}'))

        assert [step(state=StepState.DONE, reply=b'{"id":"a"}'), step(number=1)] == (
            await checkpoint.steps_of(key_of(1))
        )

    run(opened, act)


def test_lone_note_is_kept(opened: Opener) -> None:
    """A note that nothing follows is there when the checkpoint is opened again."""

    async def act(checkpoint: Checkpoint) -> None:
        checkpoint.note(step(state=StepState.UNKNOWN, reason="reset"))

    async def again(checkpoint: Checkpoint) -> None:
        assert [row.state for row in await checkpoint.steps_of(key_of(1))] == [StepState.UNKNOWN]

    run(opened, act)
    run(opened, again)


@pytest.mark.parametrize("state", State)
def test_row_is_found_again(opened: Opener, state: State) -> None:
    """The end of an operation is there, every field, in every state, when the checkpoint is opened again."""
    row = ended(state=state, raw=b'{"op":"x"}', passed=False, id=None)

    async def act(checkpoint: Checkpoint) -> None:
        await checkpoint.close_operation(row, keep_steps=False)

    async def again(checkpoint: Checkpoint) -> None:
        assert row == await checkpoint.row_of(row.key)
        assert await checkpoint.row_of(key_of(2)) is None

    run(opened, act)
    run(opened, again)


def test_closing_forgets_steps(opened: Opener) -> None:
    """Closing an operation forgets its steps, also those noted in the same moment, and no others."""

    async def act(checkpoint: Checkpoint) -> None:
        await checkpoint.intend(step())
        await checkpoint.intend(step(2))
        checkpoint.note(step(state=StepState.DONE))
        checkpoint.note(step(number=1))
        await checkpoint.close_operation(ended(), keep_steps=False)

        assert await checkpoint.steps_of(key_of(1)) == []
        assert [step(2)] == await checkpoint.steps_of(key_of(2))

    run(opened, act)


def test_closing_keeps_steps(opened: Opener) -> None:
    """Closing with `keep_steps` keeps them, with what was noted last."""

    async def act(checkpoint: Checkpoint) -> None:
        await checkpoint.intend(step())
        checkpoint.note(step(state=StepState.UNKNOWN))
        await checkpoint.close_operation(ended(state=State.IN_DOUBT), keep_steps=True)

        assert [step(state=StepState.UNKNOWN)] == await checkpoint.steps_of(key_of(1))

    run(opened, act)


async def later(act: Callable[..., Awaitable[None]], *given: object, **more: object) -> None:
    """Do something when its task has its turn, as a worker does."""
    await act(*given, **more)


def test_step_after_closing_stays(opened: Opener) -> None:
    """A step noted after an operation was closed is not swept away by that close."""

    async def act(checkpoint: Checkpoint) -> None:
        await checkpoint.intend(step())
        async with asyncio.TaskGroup() as group:
            group.create_task(later(checkpoint.close_operation, ended(), keep_steps=False))
            group.create_task(later(checkpoint.intend, step(number=4)))

        assert [step(number=4)] == await checkpoint.steps_of(key_of(1))

    run(opened, act)


def test_closing_again_replaces(opened: Opener) -> None:
    """The later end of an operation takes the place of the earlier one."""

    async def act(checkpoint: Checkpoint) -> None:
        await checkpoint.close_operation(ended(state=State.FAILED, raw=b"{}"), keep_steps=False)
        await checkpoint.close_operation(ended(), keep_steps=False)

        assert ended() == await checkpoint.row_of(key_of(1))
        with checkpoint.reader() as reader:
            assert reader.counts() == {State.DONE: 1}

    run(opened, act)


def test_reopen_puts_steps_in_place(opened: Opener) -> None:
    """A reopened operation has no end, and the steps that the caller says are still true in place of its own."""

    async def act(checkpoint: Checkpoint) -> None:
        for number, state in enumerate(StepState):
            await checkpoint.intend(step(number=number, state=state))
        await checkpoint.close_operation(ended(state=State.IN_DOUBT), keep_steps=True)
        kept = step(number=2, state=StepState.DONE, request=b"asked")
        await checkpoint.reopen(key_of(1), [kept])

        assert await checkpoint.row_of(key_of(1)) is None
        assert await checkpoint.steps_of(key_of(1)) == [kept]

    run(opened, act)


def test_first_pin_stays(opened: Opener) -> None:
    """Of several answers pinned for one request of a line, all see the first; another request has its own."""

    async def act(checkpoint: Checkpoint) -> None:
        assert await checkpoint.pinned(b"line", b"GET /a") is None
        await checkpoint.pin(b"line", b"GET /a", b"first")
        await checkpoint.pin(b"line", b"GET /a", b"second")
        await checkpoint.pin(b"line", b"GET /b", b"other")

        assert await checkpoint.pinned(b"line", b"GET /a") == b"first"
        assert await checkpoint.pinned(b"line", b"GET /b") == b"other"

    run(opened, act)


def test_pins_are_read_by_their_key(opened: Opener) -> None:
    """What is pinned under a key is read in the order of time, and nothing that is pinned under another."""

    async def act(checkpoint: Checkpoint) -> None:
        for request in (b"z", b"a"):
            await checkpoint.pin(key_of(1), request, b"of " + request)
        await checkpoint.pin(key_of(2), b"b", b"other")
        await checkpoint.flush()
        with checkpoint.reader() as reader:
            assert reader.pins_of(key_of(1)) == [(b"z", b"of z"), (b"a", b"of a")]
            assert reader.pins_of(key_of(3)) == []

    run(opened, act)


def test_ends_are_read_in_the_order_of_time(opened: Opener) -> None:
    """The order is that of ending, an end that took the place of another counts as of its own time, and is found."""

    async def act(checkpoint: Checkpoint) -> None:
        for number in (3, 1, 2):
            await checkpoint.close_operation(ended(number), keep_steps=False)
        await checkpoint.row_of(key_of(3))
        await checkpoint.close_operation(ended(3), keep_steps=False)
        await checkpoint.flush()
        with checkpoint.reader() as reader:
            places = list(reader.in_time())
            assert [row.key for _, row in places] == [key_of(1), key_of(2), key_of(3)]
            assert [reader.at(place) for place, _ in places] == [row for _, row in places]

    run(opened, act)


def test_meta_is_found_again(opened: Opener) -> None:
    """A word about the run is there at once and at the next opening; the later one counts."""

    async def act(checkpoint: Checkpoint) -> None:
        assert checkpoint.meta("origin") is None
        await checkpoint.set_meta("origin", "one")
        await checkpoint.set_meta("origin", "two")
        assert checkpoint.meta("origin") == "two"

    async def again(checkpoint: Checkpoint) -> None:
        assert checkpoint.meta("origin") == "two"
        with checkpoint.reader() as reader:
            assert reader.meta("origin") == "two"

    run(opened, act)
    run(opened, again)


def test_identity_of_checkpoint_lasts(opened: Opener) -> None:
    """A checkpoint has a format, a creation time and 128 random bits, the same at every opening."""
    seen: list[list[str | None]] = []

    async def act(checkpoint: Checkpoint) -> None:
        seen.append([checkpoint.meta(word) for word in ("format", "created", "checkpoint_id")])

    run(opened, act)
    run(opened, act)

    assert seen[0] == seen[1]
    assert all(seen[0])
    assert len(bytes.fromhex(str(seen[0][2]))) == 16


def test_reads_see_everything_before(opened: Opener) -> None:
    """A read among many writers sees what was queued before it, and nothing queued after."""

    async def act(checkpoint: Checkpoint) -> None:
        async with asyncio.TaskGroup() as group:
            for line in range(40):
                group.create_task(later(checkpoint.intend, step(line)))
            read = group.create_task(checkpoint.steps_of(key_of(39)))
            group.create_task(later(checkpoint.close_operation, ended(39), keep_steps=False))

        assert [step(39)] == read.result()

    run(opened, act)


def test_reader_states(opened: Opener) -> None:
    """The reader tells key, state, line digest and line of ended operations: of all, by state and by line."""
    rows = [ended(1), ended(2, state=State.FAILED), ended(3, 1, state=State.IN_DOUBT), ended(3)]
    told = [(row.key, row.state, row.digest, row.line) for row in rows]

    async def act(checkpoint: Checkpoint) -> None:
        for row in rows:
            await checkpoint.close_operation(row, keep_steps=False)
        with checkpoint.reader() as reader:
            assert set(told) == set(reader.states())
            assert {told[1], told[2]} == set(reader.states([State.FAILED, State.IN_DOUBT]))
            assert set(told[2:]) == set(reader.states_on(3))
            assert [told[1], None] == [reader.state_of(key_of(2)), reader.state_of(key_of(4))]
            assert [reader.count_on(3), reader.count_on(4)] == [2, 0]
            assert list(reader.lines()) == [1, 2, 3]

    run(opened, act)


def test_reader_open_steps(opened: Opener) -> None:
    """The reader's open steps are those of operations that have not ended, whatever their state."""

    async def act(checkpoint: Checkpoint) -> None:
        for line, state in enumerate(StepState):
            await checkpoint.intend(step(line, number=1, state=state))
            await checkpoint.intend(step(line, number=0))
        await checkpoint.intend(step(9))
        await checkpoint.close_operation(ended(9, state=State.IN_DOUBT), keep_steps=True)

        with checkpoint.reader() as reader:
            found = list(reader.open_steps())
        assert {key_of(line) for line in range(len(StepState))} == {row.key for row in found}
        assert found == sorted(found, key=lambda row: (row.key, row.number))
        assert len(found) == 2 * len(StepState)

    run(opened, act)


@pytest.mark.parametrize(
    "states", [None, {State.FAILED}, {State.DONE, State.FAILED}, {State.BLOCKED}, set[State]()]
)
def test_reader_rows_in_order(opened: Opener, states: set[State] | None) -> None:
    """The reader's rows come by line and index, all or those in the wanted states."""
    rows = [
        ended(line, index, state=State.FAILED if line % 3 else State.DONE)
        for line in range(6)
        for index in range(2)
    ]

    async def act(checkpoint: Checkpoint) -> None:
        for row in reversed(rows):
            await checkpoint.close_operation(row, keep_steps=False)
        with checkpoint.reader() as reader:
            assert [row for row in rows if states is None or row.state in states] == list(reader.rows(states))
            assert [row.record for row in rows] == list(reader.records())
            assert rows[3] == reader.row_of(rows[3].key)
            assert reader.row_of(b"unknown") is None

    run(opened, act)


def test_reader_counts(opened: Opener) -> None:
    """The reader counts operations by state, in all and for each kind."""

    async def act(checkpoint: Checkpoint) -> None:
        for line in range(5):
            state = State.FAILED if line == 4 else State.DONE
            kind = "agent.clone" if line > 2 else "agent.create"
            await checkpoint.close_operation(ended(line, kind=kind, state=state), keep_steps=False)
        with checkpoint.reader() as reader:
            assert reader.counts() == {State.DONE: 4, State.FAILED: 1}
            assert reader.counts_by_kind() == {
                "agent.create": {State.DONE: 3},
                "agent.clone": {State.DONE: 1, State.FAILED: 1},
            }

    run(opened, act)


def test_reader_checks(opened: Opener) -> None:
    """The reader sums up the checks of each line that has some, in line order, with the first record."""

    async def act(checkpoint: Checkpoint) -> None:
        for line in (2, 1):
            for index in (2, 0, 1):
                passed = index < line
                await checkpoint.close_operation(ended(line, index, passed=passed), keep_steps=False)
        await checkpoint.close_operation(ended(3), keep_steps=False)
        with checkpoint.reader() as reader:
            assert [
                (ended(1).line_key, 1, 3, ended(1).record),
                (ended(2).line_key, 2, 3, ended(2).record),
            ] == list(reader.checks())

    run(opened, act)


def test_cancelled_waiter_leaves_others_alone(opened: Opener) -> None:
    """Cancelling a call that waits takes nothing back and disturbs no other call."""

    async def act(checkpoint: Checkpoint) -> None:
        tasks = [asyncio.ensure_future(checkpoint.intend(step(line))) for line in range(8)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)

        assert [line for line, outcome in enumerate(outcomes) if outcome is not None] == [3]
        await checkpoint.flush()
        for line in range(8):
            assert [step(line)] == await checkpoint.steps_of(key_of(line))

    run(opened, act)


def test_many_at_once(opened: Opener) -> None:
    """Thousands of operations at once, more than a batch holds, all end up as they should."""

    async def operation(checkpoint: Checkpoint, line: int) -> None:
        await checkpoint.intend(step(line))
        checkpoint.note(step(line, state=StepState.DONE))
        await checkpoint.close_operation(ended(line), keep_steps=False)

    async def act(checkpoint: Checkpoint) -> None:
        await asyncio.gather(*(operation(checkpoint, line) for line in range(3000)))
        with checkpoint.reader() as reader:
            assert [ended(line) for line in range(3000)] == list(reader.rows())
            assert list(reader.open_steps()) == []

    run(opened, act)


def test_what_was_found_out_is_kept_with_its_evidence(opened: Opener) -> None:
    """The findings of one pass are there together, every field."""
    found = [
        step(1, state=StepState.DONE, entity="agent_1", evidence=b'{"rule":"count"}', since=5.5),
        step(2, state=StepState.NO_EFFECT, evidence=b"{}"),
    ]

    async def act(checkpoint: Checkpoint) -> None:
        await checkpoint.intend(step(1))
        await checkpoint.settle(found)

    async def again(checkpoint: Checkpoint) -> None:
        assert [await checkpoint.steps_of(key_of(n)) for n in (1, 2)] == [[row] for row in found]

    run(opened, act)
    run(opened, again)


def test_whose_an_id_is(opened: Opener) -> None:
    """Ids that ended operations made, and those of operations under way, have an owner; others have none."""
    record = b'{"created":[{"kind":"agent","id":"agent_1"},{"kind":"agent","id":"agent_2"}]}'

    async def act(checkpoint: Checkpoint) -> None:
        await checkpoint.close_operation(ended(1, record=record), keep_steps=False)
        await checkpoint.close_operation(ended(2, record=b'{"created":[]}'), keep_steps=False)
        checkpoint.note(step(3, state=StepState.DONE, entity="agent_3"))
        await checkpoint.flush()
        with checkpoint.reader() as reader:
            asked = [f"agent_{n}" for n in range(1200)]
            expected = {"agent_1": key_of(1), "agent_2": key_of(1), "agent_3": key_of(3)}
            assert reader.owners(asked) == expected

    run(opened, act)
