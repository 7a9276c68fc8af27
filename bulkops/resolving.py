"""An operation in doubt, settled by hand: what the user decides is remembered, with who decided and when."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import orjson

from bulkops.api import PROFILES
from bulkops.api.profile import is_entity_id
from bulkops.checkpoint import StepState, line_key, operation_key
from bulkops.checkpoint.store import open_checkpoint
from bulkops.engines.asking import owner_words
from bulkops.engines.doubts import adopted, chosen_by_user
from bulkops.engines.drive import BEFORE, DOUBTFUL
from bulkops.engines.reopening import told_before
from bulkops.errors import UsageError
from bulkops.jobfile import closest
from bulkops.lifecycle import Choice, Chosen
from bulkops.model import State

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.checkpoint import Checkpoint, OperationRow, StepRow

MOST_COMPARED = 20_000
"""So many operations in doubt are looked at for the one that was meant."""
_NUMBERED = re.compile(r"(.+)\[([0-9]{1,6})\]", re.DOTALL)


async def resolve(path: Path, name: str, chosen: Chosen) -> str:
    """Settle an operation of the checkpoint at a path; return what was done, in words.

    `name` is its id, ID[N] for one of several, or the id that stands for a line without one. Raises UsageError for
    what is not in doubt, and for an entity that another operation has made. The caller holds the run lock.
    """
    async with open_checkpoint(path) as checkpoint:
        row = await _row(checkpoint, name)
        steps = await checkpoint.steps_of(row.key)
        match chosen:
            case Chosen(Choice.ADOPT, str(entity)):
                _check_free(checkpoint, entity)
                await _reopen(checkpoint, row, steps, [_adopted(checkpoint, step, entity) for step in steps])
                return f"{name} has made {entity}; the next run goes on with it"
            case Chosen(Choice.RETRY):
                again = [_without_effect(step) for step in steps]
                await _reopen(checkpoint, row, steps, again, resent=True)
                return f"{name} is sent again by the next run; it may then be there twice"
            case _:
                await checkpoint.close_operation(_skipped(row), keep_steps=True)
                return f"{name} is given up"


async def _row(checkpoint: Checkpoint, name: str) -> OperationRow:
    numbered = _NUMBERED.fullmatch(name)
    places = [(name, 0)] + ([(numbered[1], int(numbered[2]) - 1)] if numbered else [])
    for line_id, index in places:
        row = await checkpoint.row_of(operation_key(line_key(line_id, b"", 0), index))
        if row is not None and row.state is State.IN_DOUBT:
            return row
        if row is not None:
            raise UsageError(f"{name} is not in doubt: it is {row.state.value.replace('_', ' ')}")
    with checkpoint.reader() as reader:
        held = (row.id for row in reader.rows([State.IN_DOUBT]) if row.id is not None)
        close = closest([name], islice(held, MOST_COMPARED))
    meant = f"did you mean {close[name]!r}? " if name in close else ""
    raise UsageError(
        f"{name!r} is no operation in doubt; {meant}in_doubt.jsonl lists them, as the last run left them "
        "(one that was killed is in it once it was run again)"
    )


def _check_free(checkpoint: Checkpoint, entity: str) -> None:
    if not is_entity_id(entity):
        raise UsageError(f"--adopt {entity!r:.80} is no id: letters, digits, `_` and `-`, at most 120")
    if (refusal := owner_words(checkpoint, entity)) is not None:
        raise UsageError(refusal)


async def _reopen(
    checkpoint: Checkpoint,
    row: OperationRow,
    steps: list[StepRow],
    after: list[StepRow],
    *,
    resent: bool = False,
) -> None:
    kept = [step for step in after if step.number != BEFORE]
    await checkpoint.reopen(row.key, [told_before(row, steps, resent=resent), *kept])


def _adopted(checkpoint: Checkpoint, step: StepRow, entity: str) -> StepRow:
    if step.state not in DOUBTFUL:
        return step
    api = PROFILES[(checkpoint.meta("origin") or "reference").split()[0]]
    return adopted(step, entity, api.endpoints()[step.endpoint].entity)


def _without_effect(step: StepRow) -> StepRow:
    return replace(step, state=StepState.NO_EFFECT) if step.state in DOUBTFUL else step


def _skipped(row: OperationRow) -> OperationRow:
    record = orjson.loads(row.record)
    record["status"] = State.SKIPPED.value
    record["error"] = {**(record["error"] or {}), "code": "skipped"}
    record["resolved_by"], record["evidence"] = "user", chosen_by_user()
    return replace(row, state=State.SKIPPED, record=orjson.dumps(record))
