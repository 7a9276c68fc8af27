"""What a checkpoint can do, whoever keeps it: the part that writes, and the part that reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
    from types import TracebackType

    from bulkops.checkpoint.rows import LineChecks, OperationRow, StateRow, StepRow
    from bulkops.errors import CheckpointError
    from bulkops.model import State


class Checkpoint(Protocol):
    """The memory of a run that goes on.

    After any failed write it stops for good: every call that would let something begin raises CheckpointError,
    those that wait as well as later ones. What has happened already (`note`, `close_operation`, `close_done`) is
    still saved, where that can be done, for the next run to take up; else these calls raise as well. Cancelling a
    call that waits disturbs no other and takes nothing back.
    """

    def intend(self, step: StepRow) -> Awaitable[None]:
        """Remember a step before its request is sent; durable when that was awaited."""

    def note(self, step: StepRow) -> None:
        """Remember what is known about a step, in place of what was; durable with the next commit."""

    def close_operation(self, row: OperationRow, *, keep_steps: bool) -> Awaitable[None]:
        """Remember the end of an operation, in place of an earlier one; durable when that was awaited.

        Unless `keep_steps`, its steps are forgotten in the same moment: one that has ended needs none.
        """

    def close_done(self, row: OperationRow, hear: Callable[[CheckpointError | None], None]) -> None:
        """Remember the end of an operation that is done, and forget its steps, without anybody waiting for it.

        `hear` is called when that is durable, or saved for the next run, or with the reason why it never will be.
        What is remembered after it is durable after it.
        """

    async def reopen(self, key: bytes, steps: Sequence[StepRow] = ()) -> None:
        """Forget the end of an operation and put these steps in the place of its own; durable when it returns.

        The caller says what stays true of the steps, so that nothing is made twice by oversight.
        """

    async def settle(self, steps: Sequence[StepRow]) -> None:
        """Remember what was found out about steps in doubt, all or nothing; durable when it returns."""

    async def steps_of(self, key: bytes) -> list[StepRow]:
        """Return the steps of an operation by number, with everything noted before."""

    async def row_of(self, key: bytes) -> OperationRow | None:
        """Return the end of an operation, None while it has none."""

    async def records_of(self, keys: bytes) -> list[bytes]:
        """Return the records of those operations that have ended, in this order; the keys stand one after the other."""

    async def pin(self, key: bytes, request: bytes, reply: bytes, *, anew: bool = False) -> None:
        """Remember an answer that all operations of a line see, or one of them; durable when it returns.

        `key` is that of the line or the operation. The first answer stays, unless it is `anew`.
        """

    async def pinned(self, key: bytes, request: bytes) -> bytes | None:
        """Return the answer that was pinned, None before."""

    async def set_meta(self, key: str, value: str) -> None:
        """Remember a word about the whole run, in place of an earlier one; durable when it returns."""

    def meta(self, key: str) -> str | None:
        """Return a word about the whole run; `format`, `checkpoint_id` and `created` are always there."""

    async def flush(self) -> None:
        """Return when everything noted before is durable."""

    def reader(self) -> Reader:
        """Return a reader of what is durable by now."""


class Reader(Protocol):
    """What can be read without an event loop, also while a run is writing; streams show one moment each."""

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""

    def meta(self, key: str) -> str | None:
        """Return a word about the whole run."""

    def indexed(self) -> bool:
        """Tell whether the end of an operation is found by its key without a look at all of them.

        In a first run it need not be, nor after one that did not end as it should.
        """

    def states(self, states: Collection[State] | None = None) -> Iterator[StateRow]:
        """Yield what is known of where ended operations stand, in no order: of all, or of those in some states."""

    def state_of(self, key: bytes) -> StateRow | None:
        """Return the same of one operation, None while it has not ended."""

    def states_on(self, line: int) -> Iterator[StateRow]:
        """Yield the same of the ended operations that were on the line with this number."""

    def count_on(self, line: int) -> int:
        """Return how many operations have ended that were on the line with this number."""

    def lines(self) -> Iterator[int]:
        """Yield the numbers of the lines with ended operations in order, each once."""

    def open_steps(self) -> Iterator[StepRow]:
        """Yield the steps of operations that have not ended, by operation and number."""

    def steps_of_run(self) -> Iterator[StepRow]:
        """Yield the steps of the run itself, which are no operation's."""

    def rows(self, states: Collection[State] | None = None) -> Iterator[OperationRow]:
        """Yield the ended operations by line and index: all, or those in some states."""

    def records(self) -> Iterator[bytes]:
        """Yield the record of every ended operation, by line and index."""

    def in_time(self) -> Iterator[tuple[int, OperationRow]]:
        """Yield the ended operations in the order of ending, each with its place in it."""

    def at(self, place: int) -> OperationRow:
        """Return the ended operation at a place in that order."""

    def pins_of(self, key: bytes) -> list[tuple[bytes, bytes]]:
        """Return what is pinned under the key of an operation or a line: requests and answers, in order of time."""

    def owners(self, ids: Collection[str]) -> dict[str, bytes]:
        """Return which of these ids operations have made, and which operation; a look at everything."""

    def row_of(self, key: bytes) -> OperationRow | None:
        """Return the end of an operation, None while it has none."""

    def counts(self) -> dict[State, int]:
        """Return how many operations have ended in which state; states of none are left out."""

    def counts_by_kind(self) -> dict[str, dict[State, int]]:
        """Return the same for each kind of operation."""

    def checks(self) -> Iterator[LineChecks]:
        """Yield, in line order, how the checks of each line that has some came out."""
