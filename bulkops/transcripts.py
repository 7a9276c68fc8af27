"""What is kept of a conversation, and how its transcript reads as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulkops.api.profile import ConversationFields, Profile
    from bulkops.model import Json

REDACTED = "[redacted]"
_CONTROLS = {code: "\ufffd" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}
"""What a terminal would obey, were the text printed on one."""


_LONGEST = 1e9
"""Seconds: a turn that says to be later says nothing."""


def at(value: Json, path: str) -> Json:
    """Return what a dotted path leads to; None where it leads nowhere."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def kept(
    conversation: Mapping[str, Json], api: Profile, *, redact: Sequence[str] = (), drop_text: bool = False
) -> dict[str, Json]:
    """Return a conversation without what is not to be stored.

    `redact` are dotted paths, which lead into each object of a list on their way: a text there becomes `[redacted]`,
    every other value null. So does what ends the way before: a transcript that is a text, for `transcript.message`.
    With `drop_text` it has no transcript.
    """
    whole: Json = conversation
    for path in redact:
        whole = _redacted(whole, path.split("."))
    found = dict(whole)
    if drop_text:
        found.pop(api.transcript_field, None)
    return found


def _redacted(value: Json, keys: Sequence[str]) -> Json:
    if not keys:
        return REDACTED if isinstance(value, str) else None
    if isinstance(value, list):
        return [_redacted(item, keys) for item in value]
    if isinstance(value, dict) and keys[0] not in value:
        return value
    if not isinstance(value, dict):
        # It is not as the path expects: rather too much than what was not to be stored.
        return REDACTED if isinstance(value, str) else None
    return {**value, keys[0]: _redacted(value[keys[0]], keys[1:])}


def turns(transcript: Json) -> int | None:
    """Return how many turns a structured transcript has; None for one that is a text, or not there."""
    return len(transcript) if isinstance(transcript, list) else None


def as_text(transcript: Json, fields: ConversationFields) -> str | None:
    """Return a transcript as text: a line for each turn with who speaks when, or the text that it is.

    None where there is none. What a terminal would obey is replaced by U+FFFD.
    """
    if isinstance(transcript, list):
        return "".join(f"{_turn(turn, fields)}\n" for turn in transcript)
    return transcript.translate(_CONTROLS) if isinstance(transcript, str) else None


def _turn(turn: Json, fields: ConversationFields) -> str:
    role, message, seconds = (at(turn, path) for path in (fields.role, fields.message, fields.seconds))
    who = role.capitalize() if isinstance(role, str) else "?"
    known = isinstance(seconds, int | float) and 0 <= seconds < _LONGEST
    when = f"[{int(seconds) // 60}:{int(seconds) % 60:02}] " if known else ""
    said = message if isinstance(message, str) else ""
    return f"{when}{who}: {said}".rstrip().replace("\n", " ").translate(_CONTROLS)
