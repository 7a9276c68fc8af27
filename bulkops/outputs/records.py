"""The finished line of `results.jsonl` of one operation."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulkops.model import Failure, Json, Outcome
    from bulkops.outputs.saved import Saved

_ENDS = tuple(f".{milliseconds:03}Z" for milliseconds in range(1000))


def display_id(id: str | None, index: int, count: int) -> str | None:
    """Return how people call an operation: `ID`, or `ID[N]` counted from 1 when its line has several."""
    return id if id is None or count == 1 else f"{id}[{index + 1}]"


def record(
    id: str | None,
    line: int,
    index: int,
    count: int,
    kind: str,
    outcome: Outcome,
    meta: Json,
    started: float,
    ended: float,
    files: Sequence[Saved] = (),
    tags: Sequence[str] = (),
    account: str | None = None,
    refers_to: Sequence[str] = (),
) -> bytes:
    """Return the JSON line (without its end) that tells how an operation ended; times are epoch seconds.

    `index` counts from zero, `count` is how many operations the line has. `account` is told where it is not the run's
    own. `refers_to` are the lines and tags whose results it was given.
    """
    created = outcome.created
    # The order of the keys is that of the line.
    fields: dict[str, Json] = (
        {"id": id} if count == 1 else {"id": display_id(id, index, count), "copy": index + 1}
    )
    fields |= {"line": line, "op": kind}
    if account is not None:
        fields["account"] = account
    fields |= {
        "status": str(outcome.state),
        "result": outcome.result,
        "error": None if outcome.failure is None else _error(outcome.failure),
        "attempts": outcome.attempts,
        "created": [{"kind": made.kind, "id": made.id} for made in created] if created else (),
        "files": [{"path": file.path, "bytes": file.bytes, "sha256": file.sha256} for file in files]
        if files
        else (),
        "meta": meta,
        "started_at": _rfc3339(started),
        "ended_at": _rfc3339(ended),
        # A clock that was set back in between does not make an operation end before its begin.
        "duration_ms": max(0, round((ended - started) * 1000)),
    }
    if tags:
        fields["tags"] = tags
    if refers_to:
        fields["refers_to"] = refers_to
    if outcome.passed is not None:
        fields["passed"] = outcome.passed
    if outcome.resolved_by:
        fields["resolved_by"] = outcome.resolved_by
    if outcome.evidence is not None:
        fields["evidence"] = outcome.evidence
    if outcome.possible_duplicate:
        fields["possible_duplicate"] = True
    # A result may be another mapping than a dict.
    return orjson.dumps(fields, default=dict)


def _error(failure: Failure) -> Json:
    return {
        "code": failure.code,
        "message": failure.message,
        "http_status": failure.status,
        "request_id": failure.request_id,
    }


def _rfc3339(seconds: float) -> str:
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return _whole_second(whole) + _ENDS[milliseconds]


@lru_cache(maxsize=64)
def _whole_second(seconds: int) -> str:
    # Many operations end in the same second.
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
