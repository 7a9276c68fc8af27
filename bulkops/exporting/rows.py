"""A conversation as a row of the data set. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import orjson

from bulkops.model import value
from bulkops.moments import moment
from bulkops.outputs.dataset import Column
from bulkops.transcripts import as_text, at, turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bulkops.api.profile import Profile
    from bulkops.model import Json

COLUMNS: Final = (
    Column("conversation_id", "text"),
    Column("version", "whole"),
    Column("agent_id", "text"),
    Column("status", "text"),
    Column("created_at", "moment"),
    Column("ended_at", "moment"),
    Column("duration_seconds", "number"),
    Column("turns", "whole"),
    Column("transcript", "text"),
    Column("analysis", "json"),
    Column("source", "text"),
    Column("file", "text"),
    Column("sha256", "text"),
    Column("exported_at", "moment"),
)
OTHER: Final = "other"
"""The column, an object, for fields beyond the most that get one of their own."""
_NAMES: Final = frozenset(column.name for column in COLUMNS) | {OTHER, "day"}
"""What columns are called already; the day is that of the folder, which readers show as one."""
MOST_EXTRAS: Final = 200
_DIGEST: Final = 8


@value
class Facts:
    """What a row tells that the conversation itself does not; moments in epoch seconds.

    `created` is when it began, as far as that is known. What was delivered by a webhook is `over`, whether it says so
    or not; the time of its event is that of its analysis, which may be made anew.
    """

    id: str
    version: int
    source: str
    file: str
    sha256: str
    exported: float
    created: float | None = None
    over: bool = False


def content_of(conversation: Mapping[str, Json], api: Profile) -> bytes:
    """Return what tells versions apart: digests of the transcript and of the analysis; zeros for what is not there."""
    parts = (conversation.get(api.transcript_field), at(conversation, api.conversation.analysis))
    return b"".join(map(_digest, parts))


def _digest(part: Json) -> bytes:
    if part is None:
        return bytes(_DIGEST)
    return hashlib.blake2b(orjson.dumps(part, option=orjson.OPT_SORT_KEYS), digest_size=_DIGEST).digest()


def changed(before: Sequence[bytes], now: bytes) -> bytes | None:
    """Return the content of the next version, None where a reading brings nothing that one before did not have.

    `before` are the contents of all versions, in order. An answer and an event of the same conversation differ in what
    they hold at all, so what one of them leaves out is no change.
    """
    if any(_merged(earlier, now) == earlier for earlier in before):
        return None
    return _merged(before[-1], now) if before else now


def _merged(before: bytes, now: bytes) -> bytes:
    parts = (slice(at, at + _DIGEST) for at in range(0, len(now), _DIGEST))
    return b"".join(now[part] if any(now[part]) else before[part] for part in parts)


def created_of(conversation: Mapping[str, Json], api: Profile, ended: float | None = None) -> float | None:
    """Return when a conversation began, in epoch seconds; of an event without that, `ended` less its duration."""
    fields = api.conversation
    created = moment(at(conversation, fields.created))
    lasted = _number(at(conversation, fields.duration))
    if created is None and ended is not None and lasted is not None:
        return moment(ended - lasted)
    return created


def extras_of(conversation: Mapping[str, Json], api: Profile) -> dict[str, Json]:
    """Return the fields that have no column among the usual ones, by the names of theirs."""
    fields = api.conversation
    told = {
        fields.id, fields.agent, fields.status, fields.created, fields.ended, fields.duration, fields.analysis,
        api.transcript_field,
    }  # fmt: skip
    return {_column(name): found for name, found in conversation.items() if name not in told}


def _column(name: str) -> str:
    # One that the API has and we have, too; some readers do not tell upper from lower case.
    return f"conversation.{name}" if name.lower() in _NAMES else name


def columns(extras: Iterable[str], *, drop_text: bool) -> list[Column]:
    """Return the columns of a part: the usual ones, then those of other fields, then the one for fields beyond."""
    usual = [column for column in COLUMNS if not (drop_text and column.name == "transcript")]
    return [*usual, *(Column(name, "json") for name in extras), Column(OTHER, "json")]


def row_of(
    conversation: Mapping[str, Json], api: Profile, facts: Facts, extras: frozenset[str]
) -> dict[str, Json]:
    """Return the row. What is not of its column's type stands in the column `other`, under the name of the field."""
    fields = api.conversation
    transcript = conversation.get(api.transcript_field)
    told = {
        "agent_id": (fields.agent, _text),
        "status": (fields.status, _text),
        "created_at": (fields.created, moment),
        "ended_at": (fields.ended, moment),
        "duration_seconds": (fields.duration, _number),
    }
    row: dict[str, Json] = {}
    other: dict[str, Json] = {}
    for column, (path, read) in told.items():
        found = at(conversation, path)
        row[column] = read(found)
        if row[column] is None and found is not None:
            other[path] = found
    for name, found in extras_of(conversation, api).items():
        (row if name in extras else other)[name] = found
    if row["created_at"] is None:
        row["created_at"] = facts.created
    if facts.over:
        if row["status"] is None:
            row["status"] = fields.over
        if row["ended_at"] is None and None not in (facts.created, row["duration_seconds"]):
            row["ended_at"] = moment(facts.created + row["duration_seconds"])
    return row | {
        "conversation_id": facts.id,
        "version": facts.version,
        "turns": turns(transcript),
        "transcript": as_text(transcript, fields),
        "analysis": at(conversation, fields.analysis),
        "source": facts.source,
        "file": facts.file,
        "sha256": facts.sha256,
        "exported_at": facts.exported,
        OTHER: other or None,
    }


def _text(found: Json) -> str | None:
    return found if isinstance(found, str) else None


def _number(found: Json) -> float | None:
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None
