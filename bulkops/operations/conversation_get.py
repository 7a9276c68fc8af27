"""Read a conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.operation import Operation, entity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class GetConversation(Operation):
    """Read what is known about a conversation, without its transcript (API reference, Get Conversation).

    A transcript is personal data and is stored only as a file: `conversation.export` writes it.
    """

    kind: ClassVar[str] = "conversation.get"
    example: ClassVar[Mapping[str, Json]] = {"op": "conversation.get", "conversation_id": "conv_xyz789"}

    conversation_id: str = entity("the conversation to read")

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        conversation = yield api.conversation_get.request(conversation_id=self.conversation_id)
        return {key: value for key, value in conversation.json.items() if key != api.transcript_field}
