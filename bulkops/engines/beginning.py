"""An operation is begun: made of its line, with what earlier runs did of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import orjson
from anyio import to_thread

from bulkops.checkpoint import KEY_SIZE, line_key, operation_key
from bulkops.engines.drive import DOUBTFUL, Running
from bulkops.engines.reopening import start_of, taken_up_again, told_before
from bulkops.errors import OperationFailed
from bulkops.jobfile import Collect, LineError, RawLine, Ref, pick
from bulkops.jobfile.holes import Text
from bulkops.jobfile.uploads import text_of
from bulkops.model import State
from bulkops.planning import Planned
from bulkops.sending.confining import read_file
from bulkops.settings import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.checkpoint import Checkpoint, StepRow
    from bulkops.engines.drive import Start
    from bulkops.jobfile import Line, LookedUp
    from bulkops.model import Json
    from bulkops.planning import Plan
    from bulkops.settings import Settings


READ_AT_ONCE = 500 * KEY_SIZE
"""Bytes of keys, of results that are collected."""


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

    async def results(self, line: Line) -> dict[LookedUp, Json]:
        """Return what the line takes from results of others and from files; OperationFailed for what is not there."""
        results: dict[LookedUp, Json] = {}
        for ref in line.refs:
            if isinstance(ref, Collect):
                try:
                    results[ref] = await self._collected(ref)
                except LineError as error:
                    raise OperationFailed("bad_line", f"{ref} cannot be filled in: {error.message}") from None
            elif isinstance(ref, Text):
                path = self._plan.folder / ref.path
                results[ref] = await to_thread.run_sync(
                    read_file, str(path), self._settings.upload_root, text_of
                )
            else:
                key = operation_key(line_key(ref.id, b"", 0), (ref.index or 1) - 1)
                row = await self._checkpoint.row_of(key)
                results[ref] = orjson.loads(row.record)["result"] if row is not None else None
        return results

    async def _collected(self, collect: Collect) -> list[Json]:
        """Return what all operations with a tag have made, in the order of their lines."""
        values: list[Json] = []
        keys = self._plan.collected[collect.tag]
        for start in range(0, len(keys), READ_AT_ONCE):
            # What others have to write is not kept waiting for all of them.
            for record in await self._checkpoint.records_of(bytes(keys[start : start + READ_AT_ONCE])):
                told = orjson.loads(record)
                if told["status"] != State.DONE:
                    continue
                source = Ref(told["id"] or f"line {told['line']}", None, collect.path)
                values.append(pick(told["result"], source))
        return values

    def running(self, planned: Planned, start: Start, results: Mapping[LookedUp, Json]) -> Running:
        """Make the operation; OperationFailed when its line turns out wrong."""

        def looked_up(ref: LookedUp) -> Json:
            return pick(results[ref], ref) if isinstance(ref, Ref) else results[ref]

        settings = self._settings
        account = planned.line.account or settings.account.name
        operation = planned.line.operation(looked_up, planned.index + 1, account)
        running = Running(planned, operation, operation.steps(settings.api), account, start)
        running.created += start.created
        running.possible_duplicate = start.possible_duplicate
        return running
