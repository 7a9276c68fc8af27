"""Export a conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from bulkops.errors import Overdue
from bulkops.model import Save
from bulkops.operation import Operation, checked, duration, entity, seconds
from bulkops.polling import until_settled
from bulkops.transcripts import as_text, kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


def _is_flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "has to be true or false"


def _are_fields(value: Any) -> str | None:
    if isinstance(value, list) and all(isinstance(path, str) and all(path.split(".")) for path in value):
        return None
    return 'has to be a list of dotted paths, such as ["analysis.extracted_data", "transcript.message"]'


def _is_ending(value: Any) -> str | None:
    return None if value in ("fail", "leave") else "has to be fail or leave"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportConversation(Operation):
    """Write a conversation to `transcripts/ID.json` and what is known about it to the results.

    A conversation that is not over yet is waited for, at most `deadline`; then the operation fails, or with
    `if_unfinished: leave` ends well without a file, and its result says `exported: false`. With `text` the transcript
    stands in `transcripts/ID.txt` besides, a line for each turn. What `redact` names, and with `drop_text` the
    transcript, is stored nowhere.
    """

    kind: ClassVar[str] = "conversation.export"
    example: ClassVar[Mapping[str, Json]] = {"op": "conversation.export", "conversation_id": "conv_xyz789"}

    conversation_id: str = entity("the conversation to export")
    deadline: str = duration("how long to wait for one that is not over", default="10m")
    if_unfinished: Json = checked(
        "what becomes of one that is not over then: fail (the default), or leave",
        _is_ending,
        {"enum": ["fail", "leave"]},
    )
    text: Json = checked("true to write the transcript as text, too", _is_flag, {"type": "boolean"})
    redact: Json = checked(
        "dotted paths of what is replaced by `[redacted]`, or by null where it is no text",
        _are_fields,
        {"type": "array", "items": {"type": "string"}},
    )
    drop_text: Json = checked("true to leave the transcript out", _is_flag, {"type": "boolean"})

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        reply = yield api.conversation_get.request(conversation_id=self.conversation_id)
        conversation = reply.json
        if not api.watches["conversation"].settled(conversation):
            try:
                conversation = yield from until_settled(
                    api, "conversation", self.conversation_id, seconds(self.deadline)
                )
            except Overdue:
                if self.if_unfinished != "leave":
                    raise
                return _told(self._kept(conversation, api), api) | {"exported": False}
        conversation = self._kept(conversation, api)
        yield Save("transcripts", self.conversation_id, ".json", orjson.dumps(conversation) + b"\n")
        if self.text:
            told = as_text(conversation.get(api.transcript_field), api.conversation)
            if told is not None:
                yield Save("transcripts", self.conversation_id, ".txt", told.encode())
        return _told(conversation, api)

    def _kept(self, conversation: Mapping[str, Json], api: Profile) -> Mapping[str, Json]:
        return kept(conversation, api, redact=self.redact or (), drop_text=bool(self.drop_text))


def _told(conversation: Mapping[str, Json], api: Profile) -> dict[str, Json]:
    return {key: value for key, value in conversation.items() if key != api.transcript_field}
