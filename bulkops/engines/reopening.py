"""What earlier runs left of an operation, and what it counts for when the operation is taken up again."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from bulkops.checkpoint import StepRow, StepState
from bulkops.engines.drive import BEFORE, DOUBTFUL, STARTED_OVER, Start
from bulkops.model import Created, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bulkops.checkpoint import OperationRow
    from bulkops.engines.drive import Running
    from bulkops.planning import Planned


def start_of(planned: Planned, steps: Sequence[StepRow]) -> Start:
    """Return the start of an operation of which earlier runs left these steps."""
    if not steps:
        return Start(time.time(), planned.line.number, {})
    remembered = {step.number: step for step in steps}
    before = remembered.pop(BEFORE, None)
    if before is None:
        return Start(time.time(), planned.line.number, remembered)
    told = orjson.loads(before.reply or b"{}")
    return Start(
        time.time(),
        told["line"],
        remembered,
        tuple(Created(made["kind"], made["id"]) for made in told["created"]),
        possible_duplicate=told["possible_duplicate"],
    )


def told_before(row: OperationRow, steps: Sequence[StepRow], *, resent: bool) -> StepRow:
    """Return a step that keeps what the end of an operation told, until it ends again."""
    record = orjson.loads(row.record)
    doubtful = resent and any(step.state in DOUBTFUL for step in steps)
    told = {
        "line": row.line,
        "created": record["created"],
        # What is in doubt and sent again may be there twice; where repeating does no harm, it is not in doubt.
        "possible_duplicate": "possible_duplicate" in record or (row.state is State.IN_DOUBT and doubtful),
    }
    return StepRow(row.key, BEFORE, row.kind, 0, StepState.DONE, reply=orjson.dumps(told))


def told_now(running: Running) -> StepRow:
    """Return a step that keeps what is known of an operation under way, should this run not see its end."""
    line, doubled = running.start.line, running.possible_duplicate
    return told_of(running.planned, line, running.created, possible_duplicate=doubled)


def told_of(planned: Planned, line: int, created: Iterable[Created], *, possible_duplicate: bool) -> StepRow:
    """Return a step that keeps what is known of an operation that has not ended."""
    told = {
        "line": line,
        "created": [{"kind": made.kind, "id": made.id} for made in created],
        "possible_duplicate": possible_duplicate,
    }
    return StepRow(planned.key, BEFORE, planned.line.op, 0, StepState.DONE, reply=orjson.dumps(told))


def taken_up_again(ended: OperationRow, row: StepRow, *, resent: bool) -> StepRow | None:
    """Return what a failed or held operation's step counts for when it is taken up again."""
    if row.number == BEFORE:
        return None
    if row.state in DOUBTFUL and ended.state is State.IN_DOUBT and not resent:
        # In doubt as before: the API is asked what became of it.
        return row
    if row.state is StepState.DONE:
        # What was made is there; what can be repeated is repeated, since its answer may be why it failed.
        return replace(row, reason=STARTED_OVER) if row.entity is not None else None
    if row.state in DOUBTFUL:
        return replace(row, state=StepState.NO_EFFECT)
    return None
