"""Sums over what is remembered: the CRC-32 of each row (RFC 1952) tells whether it is still what was written."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from bulkops.checkpoint.rows import OperationRow, StepRow

_TIMES = Struct(">2d").pack
"""Not spelled out: the shortest digits of a fraction take longer to find than all the rest."""


def operation_sum(row: OperationRow) -> int:
    """Return the sum of the end of an operation; no id and an empty one are the same."""
    raw = row.raw
    head = (
        f"{row.line} {row.index} {row.state} {row.passed} {len(row.record)}"
        f" {-1 if raw is None else len(raw)} {row.kind} {row.id or ''}"
    )
    return _sum(head.encode(), row.key, row.line_key, row.digest, row.record, raw or b"")


def step_sum(row: StepRow) -> int:
    """Return the sum of a step; no text and an empty one are the same."""
    reply = row.reply
    head = (
        f"{row.number} {row.attempt} {int(row.state)} {-1 if reply is None else len(reply)}"
        f" {row.endpoint} {row.entity or ''} {row.reason or ''} "
    )
    times = _TIMES(row.at, row.since)
    return _sum(head.encode(), times, row.key, row.request, reply or b"", row.evidence or b"")


def pin_sum(line_key: bytes, request: bytes, reply: bytes) -> int:
    """Return the sum of a pinned answer."""
    return _sum(b"%d" % len(request), line_key, request, reply)


def meta_sum(key: str, value: str) -> int:
    """Return the sum of a word about the whole run."""
    return _sum(key.encode(), b"=", value.encode())


def _sum(*parts: bytes) -> int:
    # Against chance, not against people: who can write the file can write any sum.
    return crc32(b"".join(parts))
