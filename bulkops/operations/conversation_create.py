"""Create a conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.asked import Asked
from bulkops.operation import json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateConversation(Asked):
    """Create a conversation and hear the signed URL to join it (API reference, Create Conversation).

    The URL is a credential: it stands in `results.jsonl` and the checkpoint, and nowhere else.
    """

    kind: ClassVar[str] = "conversation.create"
    makes: ClassVar[str | None] = "conversation"
    example: ClassVar[Mapping[str, Json]] = {
        "op": "conversation.create",
        "body": {"agent_id": "agent_abc123", "dynamic_variables": {"user_name": "John"}},
    }

    body: Json = json_object("the conversation, as the API wants it", required=True)
