"""Sums over what is remembered: the CRC-32 of each row (RFC 1952) tells whether it is still what was written."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from bulkops.checkpoint.rows import StepRow

_TIMES = Struct(">2d").pack
"""Not spelled out: the shortest digits of a fraction take longer to find than all the rest."""


def operation_sum(
    key: bytes,
    line_key: bytes,
    line: int,
    index: int,
    id: str | None,
    kind: str,
    state: str,
    digest: bytes,
    record: bytes,
    raw: bytes | None,
    passed: bool | None,  # noqa: FBT001 - a field among others
    /,
) -> int:
    """Return the sum of the end of an operation, given its fields in order; no id and an empty one are the same."""
    # After a crash a million of them are checked: no row is made for that, and nothing is joined.
    size = -1 if raw is None else len(raw)
    head = f"{line} {index} {state} {passed} {len(record)} {size} {kind} {id or ''}".encode()
    return crc32(raw or b"", crc32(record, crc32(digest, crc32(line_key, crc32(key, crc32(head))))))


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
