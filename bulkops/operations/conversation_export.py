"""Export a conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import orjson

from bulkops.model import Save
from bulkops.operation import Operation, duration, entity, seconds
from bulkops.polling import until_settled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportConversation(Operation):
    """Write a conversation to `transcripts/ID.json` and what is known about it to the results.

    A conversation that is not over yet is waited for, at most `deadline`.
    """

    kind: ClassVar[str] = "conversation.export"
    example: ClassVar[Mapping[str, Json]] = {"op": "conversation.export", "conversation_id": "conv_xyz789"}

    conversation_id: str = entity("the conversation to export")
    deadline: str = duration("how long to wait for one that is not over", default="10m")

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        reply = yield api.conversation_get.request(conversation_id=self.conversation_id)
        conversation = reply.json
        if not api.watches["conversation"].settled(conversation):
            conversation = yield from until_settled(
                api, "conversation", self.conversation_id, seconds(self.deadline)
            )
        yield Save("transcripts", self.conversation_id, ".json", orjson.dumps(conversation) + b"\n")
        return {key: value for key, value in conversation.items() if key != api.transcript_field}
