"""What the checkpoint says of operations that have ended, in numbers that do not grow with the job."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from bulkops.model import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulkops.checkpoint.rows import OperationRow

MOST_GROUPS = 40
"""So many groups of failures are told apart: codes come from the server."""
MOST_NAMES = 6
SLOWEST = 8
_DURATION = re.compile(rb'"duration_ms":(\d+)')


@dataclass(slots=True)
class Group:
    """Failures of one kind of operation with the same code and status; the first message stands for all."""

    kind: str
    code: str
    status: int | None
    message: str
    count: int = 0
    names: list[str] = field(default_factory=list)
    """The first of them."""


@dataclass(slots=True)
class Ended:
    """All that has ended: how many by kind and state, failures in groups, and what took longest."""

    counts: dict[str, Counter[State]] = field(default_factory=dict)
    groups: dict[tuple[str, str, int | None], Group] = field(default_factory=dict)
    slowest: list[tuple[int, str, str]] = field(default_factory=list)
    """Milliseconds, name and kind; the longest first."""


def collect(rows: Iterable[OperationRow]) -> Ended:
    """Go through the rows once. Only what failed is parsed: most of a large job is done."""
    ended = Ended()
    longest: list[tuple[int, str, str]] = []
    for row in rows:
        ended.counts.setdefault(row.kind, Counter())[row.state] += 1
        if row.state in (State.FAILED, State.BLOCKED):
            _group(ended, row)
        took = _DURATION.search(row.record)
        milliseconds = int(took[1]) if took is not None else 0
        if len(longest) < SLOWEST or milliseconds > longest[0][0]:
            heapq.heappush(longest, (milliseconds, name_of(row), row.kind))
            if len(longest) > SLOWEST:
                heapq.heappop(longest)
    ended.slowest = sorted(longest, reverse=True)
    return ended


def name_of(row: OperationRow) -> str:
    """Return what people call an operation."""
    if row.id is None:
        return f"line {row.line}" + (f" [{row.index + 1}]" if row.index else "")
    return row.id + (f"[{row.index + 1}]" if row.index else "")


def _group(ended: Ended, row: OperationRow) -> None:
    error = orjson.loads(row.record)["error"] or {}
    code, status = str(error.get("code") or row.state.value), error.get("http_status")
    key = (row.kind, code, status)
    if key not in ended.groups and len(ended.groups) >= MOST_GROUPS:
        key, code, status = ("", "other", None), "other", None
    group = ended.groups.setdefault(key, Group(key[0], code, status, str(error.get("message") or "")))
    group.count += 1
    if len(group.names) < MOST_NAMES:
        group.names.append(name_of(row))
