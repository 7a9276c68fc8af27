"""An operation is begun: made of its line, with what earlier runs did of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import orjson

from bulkops.checkpoint import line_key, operation_key
from bulkops.engines.drive import DOUBTFUL, Running
from bulkops.engines.reopening import start_of, taken_up_again, told_before
from bulkops.jobfile import RawLine, pick
from bulkops.model import State
from bulkops.planning import Planned
from bulkops.settings import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.checkpoint import Checkpoint, StepRow
    from bulkops.engines.drive import Start
    from bulkops.jobfile import Line, Ref
    from bulkops.model import Json
    from bulkops.planning import Plan
    from bulkops.settings import Settings


class Reopened(Protocol):
    """Who hears that an operation of a kind which had ended so is taken up again."""

    def __call__(self, kind: str, was: State, /) -> None:
        """Hear it."""


class Beginnings:
    """Looks up what earlier runs did, and makes operations of lines. `open_steps` are those of what had not ended."""

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        checkpoint: Checkpoint,
        open_steps: Mapping[bytes, list[StepRow]],
        reopened: Reopened,
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._checkpoint = checkpoint
        self._open_steps = open_steps
        self._reopened = reopened
        self.undecided = {
            key for key, steps in open_steps.items() if any(step.state in DOUBTFUL for step in steps)
        }
        """The operations that earlier runs left in doubt, as long as this one has not come to them."""

    def fresh(self, planned: Planned) -> Start | None:
        """Return the start of an operation that has not ended before; None for any other one."""
        standing = self._plan.standing
        if not standing.empty and standing.of(planned.key) is not State.NOT_STARTED:
            return None
        return start_of(planned, self._open_steps.get(planned.key, ()))

    async def begin(self, planned: Planned) -> Start:
        """Look up what earlier runs did; an operation that had ended is opened again."""
        if (start := self.fresh(planned)) is not None:
            return start
        row = await self._checkpoint.row_of(planned.key)
        if row is None:
            return start_of(planned, [])
        steps = [] if row.state is State.DONE else await self._checkpoint.steps_of(planned.key)
        resent = self._settings.in_doubt.of(planned.line.op) is Policy.RETRY
        kept = [
            told_before(row, steps, resent=resent),
            *(again for step in steps if (again := taken_up_again(row, step, resent=resent)) is not None),
        ]
        await self._checkpoint.reopen(planned.key, kept)
        # Of the kind that its line has now, under which it was planned.
        self._reopened(planned.line.op, row.state)
        start = start_of(planned, kept)
        return replace(start, pinned=row.raw) if row.state is State.IN_DOUBT else start

    def as_sent(self, planned: Planned, start: Start) -> Planned:
        """Return an operation as it was when it came to be in doubt: so it is asked for, whatever its line says now."""
        if start.pinned is None or start.pinned == planned.line.raw:
            return planned
        raw = RawLine(planned.line.number, planned.line.offset, start.pinned)
        return Planned(planned.key, planned.line_key, self._plan.parse(raw), planned.index)

    async def results(self, line: Line) -> dict[Ref, Json]:
        """Return what the operations have made that a line refers to."""
        results: dict[Ref, Json] = {}
        for ref in line.refs:
            row = await self._checkpoint.row_of(operation_key(line_key(ref.id, b"", 0), (ref.index or 1) - 1))
            results[ref] = orjson.loads(row.record)["result"] if row is not None else None
        return results

    def running(self, planned: Planned, start: Start, results: Mapping[Ref, Json]) -> Running:
        """Make the operation; OperationFailed when its line turns out wrong."""
        operation = planned.line.operation(lambda ref: pick(results[ref], ref), planned.index + 1)
        settings = self._settings
        running = Running(planned, operation, operation.steps(settings.api), settings.account.name, start)
        running.created += start.created
        running.possible_duplicate = start.possible_duplicate
        return running
