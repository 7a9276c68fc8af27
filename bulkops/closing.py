"""The end of an operation: its files under their names, its row in the checkpoint, its place in the counts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from bulkops.checkpoint import OperationRow, digest
from bulkops.errors import Halted
from bulkops.lifecycle import Adopt, SendAgain
from bulkops.model import State
from bulkops.outputs.records import record

if TYPE_CHECKING:
    from bulkops.checkpoint import Checkpoint
    from bulkops.lifecycle import Command
    from bulkops.model import Failure, Outcome
    from bulkops.observing import Observer
    from bulkops.outputs.files import OutputFiles
    from bulkops.planning import Planned
    from bulkops.settings import Halt


@dataclass(slots=True)
class Closing:
    """Write outcomes down, count them, and tell of them; in that order."""

    checkpoint: Checkpoint
    files: OutputFiles
    observer: Observer
    halt: Halt | None = None
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

    async def close(self, planned: Planned, outcome: Outcome, *, started: float, line: int) -> None:
        """Close one operation; `line` is its line's number in the job. Raises Halted when that was one too many."""
        written, state = planned.line, outcome.state
        done = state is State.DONE
        saved = await self.files.finish(planned.key) if done else ()
        row = OperationRow(
            planned.key,
            planned.line_key,
            line,
            planned.index,
            written.id,
            written.op,
            state,
            digest(written.raw),
            record(
                written.id,
                line,
                planned.index,
                written.count,
                written.op,
                outcome,
                written.meta,
                started,
                time.time(),
                saved,
            ),
            None if done else written.raw,
            outcome.passed,
        )
        try:
            await self.checkpoint.close_operation(row, keep_steps=not done)
        except anyio.get_cancelled_exc_class():
            # It is queued and will be committed, so it has to be counted as well.
            with anyio.CancelScope(shield=True):
                await self.checkpoint.flush()
            self.observer.report.note(row.kind, state)
            raise
        self.observer.ended(written.op, state)
        if outcome.failure is not None:
            self._tell(planned, outcome, outcome.failure, line)
        self._check_halt(planned, outcome)

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
            self.observer.progress.note(f"{where} {outcome.state.value.replace('_', ' ')}: {failure.message}")

    def _check_halt(self, planned: Planned, outcome: Outcome) -> None:
        self.ended += 1
        if outcome.state is not State.FAILED:
            return
        self.failed += 1
        if planned.line.on_error == "halt":
            name = planned.name or f"line {planned.line.number}"
            raise Halted(f"{name} failed, and its line says on_error: halt")
        if self.halt is not None and self.halt.reached(self.failed, self.ended):
            raise Halted(
                f"{self.failed} of the {self.ended} operations that ended in this run failed (--halt)"
            )
