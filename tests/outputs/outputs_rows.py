"""Rows of a checkpoint, made as the engine makes them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bulkops.checkpoint.rows import OperationRow
from bulkops.model import Outcome, State
from bulkops.outputs.records import record

if TYPE_CHECKING:
    from bulkops.model import Created, Failure, Json
    from bulkops.outputs.saved import Saved

STARTED = 1_790_000_000.25


def row(
    state: State = State.DONE,
    *,
    line: int = 1,
    index: int = 0,
    count: int = 1,
    id: str | None = "one",
    kind: str = "agent.create",
    raw: bytes | None = None,
    result: Json = None,
    failure: Failure | None = None,
    created: tuple[Created, ...] = (),
    meta: Json = None,
    files: tuple[Saved, ...] = (),
    line_key: bytes | None = None,
    tags: tuple[str, ...] = (),
    account: str | None = None,
) -> OperationRow:
    """Return the row of an operation that ended like this."""
    outcome = Outcome(state, result=result, failure=failure, created=created, attempts=1)
    line_key = line_key or hashlib.sha256(b"%d" % line).digest()[:16]
    return OperationRow(
        key=hashlib.sha256(line_key + b"%d" % index).digest()[:16],
        line_key=line_key,
        line=line,
        index=index,
        id=id,
        kind=kind,
        state=state,
        digest=b"\0" * 16,
        record=record(
            id=id,
            line=line,
            index=index,
            count=count,
            kind=kind,
            outcome=outcome,
            meta=meta,
            started=STARTED,
            ended=STARTED + 1.5,
            files=files,
            tags=tags,
            account=account,
        ),
        raw=raw,
    )
