"""The end of an operation: its files under their names, its row in the checkpoint, its place in the counts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from bulkops.checkpoint import OperationRow, digest
from bulkops.errors import Halted
from bulkops.lifecycle import Adopt, SendAgain
from bulkops.model import State, traced
from bulkops.outputs.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bulkops.checkpoint import Checkpoint
    from bulkops.errors import CheckpointError
    from bulkops.lifecycle import Command
    from bulkops.model import Failure, Outcome
    from bulkops.observing import Observer
    from bulkops.outputs.files import OutputFiles
    from bulkops.outputs.saved import Saved
    from bulkops.planning import Planned
    from bulkops.settings import Halt

_DONE = State.DONE


@dataclass(slots=True)
class Closing:
    """Write outcomes down, count them, and tell of them; in that order."""

    checkpoint: Checkpoint
    files: OutputFiles
    observer: Observer
    halt: Halt | None = None
    own: str | None = None
    """The name of the run's own account, which need not be told."""
    ended: int = 0
    failed: int = 0

    def reopened(self, kind: str, was: State) -> None:
        """Count an operation of a kind that is taken up again as not started."""
        self.observer.report.note(kind, State.NOT_STARTED, was)

    def taken_back(self, kind: str, was: State, state: State) -> None:
        """Count an operation of a kind whose end holds no more under its new state."""
        self.observer.taken_back(kind, was, state)

    def settled(self, command: Command) -> None:
        """Count what follows of an operation that was in doubt."""
        self.observer.report.found += isinstance(command, Adopt)
        # One that is absent once more than it may be fails: it is not sent again.
        self.observer.report.absent += isinstance(command, SendAgain) and not command.possible_duplicate

    async def close_done(
        self,
        planned: Planned,
        outcome: Outcome,
        started: float,
        line: int,
        hear: Callable[[CheckpointError | None], None],
    ) -> None:
        """Close an operation that is done, without waiting until that is durable: `hear` is called then.

        `line` is its line's number in the job. Without an error the end is to be `told`.
        """
        key = planned.key
        saved = await self.files.finish(key) if self.files.holds(key) else ()
        self.checkpoint.close_done(self._row(planned, outcome, started, line, saved), hear)

    def told(self, planned: Planned) -> None:
        """Count and tell the end of an operation that is done, which is durable now."""
        self.observer.ended(planned.line.op, _DONE)
        self.ended += 1

    async def close(self, planned: Planned, outcome: Outcome, *, started: float, line: int) -> None:
        """Close an operation that is not done. Raises Halted when it was one too many of those that failed."""
        row = self._row(planned, outcome, started, line)
        try:
            await self.checkpoint.close_operation(row, keep_steps=True)
        except anyio.get_cancelled_exc_class():
            # It is queued and will be committed, so it has to be counted as well.
            with anyio.CancelScope(shield=True):
                await self.checkpoint.flush()
            self.observer.report.note(row.kind, row.state)
            raise
        self.observer.ended(row.kind, row.state)
        self.ended += 1
        if outcome.failure is not None:
            self._tell(planned, outcome, outcome.failure, line)
        if outcome.state is State.FAILED:
            self._check_halt(planned)

    def _tell(self, planned: Planned, outcome: Outcome, failure: Failure, line: int) -> None:
        where = planned.name or f"line {line}"
        self.observer.events.note(
            "in_doubt" if outcome.state is State.IN_DOUBT else "operation_failed",
            id=planned.name,
            line=line,
            op=planned.line.op,
            state=outcome.state.value,
            code=failure.code,
            message=failure.message,
            http_status=failure.status,
            request_id=failure.request_id,
        )
        if outcome.state is not State.BLOCKED:
            what = f"{where} {outcome.state.value.replace('_', ' ')}"
            self.observer.progress.note(f"{what}: {failure.message}{traced(failure.request_id)}")

    def _check_halt(self, planned: Planned) -> None:
        self.failed += 1
        if planned.line.on_error == "halt":
            name = planned.name or f"line {planned.line.number}"
            raise Halted(f"{name} failed, and its line says on_error: halt")
        if self.halt is not None and self.halt.reached(self.failed, self.ended):
            raise Halted(
                f"{self.failed} of the {self.ended} operations that ended in this run failed (--halt)"
            )

    def _row(
        self, planned: Planned, outcome: Outcome, started: float, number: int, saved: Sequence[Saved] = ()
    ) -> OperationRow:
        account = planned.line.account
        return _row(planned, outcome, started, number, saved, None if account == self.own else account)


def _row(
    planned: Planned,
    outcome: Outcome,
    started: float,
    number: int,
    saved: Sequence[Saved],
    account: str | None,
) -> OperationRow:
    """Return the end of an operation that was begun on the line with this number."""
    line = planned.line
    told = record(
        line.id,
        number,
        planned.index,
        line.count,
        line.op,
        outcome,
        line.meta,
        started,
        time.time(),
        saved,
        line.tags,
        account,
        line.referred() if line.refs else (),
    )
    return OperationRow(
        planned.key,
        planned.line_key,
        number,
        planned.index,
        line.id,
        line.op,
        outcome.state,
        digest(line.raw),
        told,
        None if outcome.state is _DONE else line.raw,
        outcome.passed,
    )
