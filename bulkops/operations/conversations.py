"""What is done with conversations, besides exporting their transcripts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from bulkops.asked import Deletion, Listed, request_of, result_of
from bulkops.model import Save
from bulkops.operation import Operation, entity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class ListConversations(Listed):
    """Write one row per conversation to `lists/ID.jsonl` in the run folder (live API: `/conversations`)."""

    kind: ClassVar[str] = "conversation.list"
    example: ClassVar[Mapping[str, Json]] = {
        "id": "calls",
        "op": "conversation.list",
        "query": {"agent_id": "agent_abc123"},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteConversation(Deletion):
    """Delete a conversation with its transcript and its audio (live API: `/conversations/:id`), for good.

    One that is gone already counts as deleted; its result says `gone`.
    """

    kind: ClassVar[str] = "conversation.delete"
    deletes: ClassVar[str | None] = "conversation_id"
    example: ClassVar[Mapping[str, Json]] = {"op": "conversation.delete", "conversation_id": "conv_xyz789"}

    conversation_id: str = entity("the conversation to delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationAudio(Operation):
    """Write what was heard in a conversation to `audio/ID.mp3`, or as its type is called (live API).

    It is written as it comes. A conversation without audio, or that is not over, fails with what the API says.
    """

    kind: ClassVar[str] = "conversation.audio"
    example: ClassVar[Mapping[str, Json]] = {"op": "conversation.audio", "conversation_id": "conv_xyz789"}

    conversation_id: str = entity("the conversation whose audio is to be written")

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        written = yield replace(request_of(self, api), saves=Save("audio", self.conversation_id, "", b""))
        return result_of(self, api, written.json)
