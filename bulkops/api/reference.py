"""The API as the API reference describes it, section by section, with its documented example answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.api.profile import (
    ConversationFields,
    Endpoint,
    IdPath,
    Listing,
    Pages,
    Profile,
    RateHeaders,
    Refusal,
    Tier,
    Watch,
    Webhook,
)
from bulkops.api.stamping import Suffix
from bulkops.model import Effect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulkops.model import Json

TRANSCRIPT_LIMIT = 256 * 2**20
"""An hour of conversation is some 100 KB; this only keeps a hostile answer from filling the memory."""


def _evaluation_passed(answer: Json) -> bool | None:
    passed = answer.get("passed") if isinstance(answer, dict) else None
    return passed if isinstance(passed, bool) else None


def _refusal(answer: Json) -> Refusal:
    # The reference documents status codes only; these are the shapes that servers of this family answer with.
    detail = answer.get("detail", answer) if isinstance(answer, dict) else answer
    if isinstance(detail, str):
        return Refusal(None, detail)
    if isinstance(detail, list) and detail:
        detail = detail[0]
    if not isinstance(detail, dict):
        return Refusal(None, None)
    code = detail.get("status") or detail.get("code") or detail.get("type")
    message = detail.get("message") or detail.get("msg") or detail.get("error")
    return Refusal(code if isinstance(code, str) else None, message if isinstance(message, str) else None)


_NOTHING = ""
_LIVE_ONLY = {
    "agent.duplicate": "agent.clone copies an agent",
    "conversation.audio": "conversation.export writes the transcript",
    "conversation.delete": _NOTHING,
    "conversation.list": "`bulkops listen` hears of conversations as they end",
    "document.create_text": "document.upload sends a file with the text",
    "document.create_url": "document.upload sends a file with what stands there",
    "document.delete": _NOTHING,
    "document.get": "document.index_status tells of its index",
    "document.index_delete": _NOTHING,
    "document.index_quota": _NOTHING,
    "document.list": "the results of document.upload have what was uploaded",
    "document.update_file": "document.upload sends it as another document",
    "folder.create": _NOTHING,
    "test.create": "agent.simulate runs a scenario",
    "test.delete": _NOTHING,
    "test.get": _NOTHING,
    "test.list": _NOTHING,
    "test.run": "agent.simulate runs a scenario",
    "tool.delete": _NOTHING,
    "tool.get": "the result of tool.create has what was made",
    "tool.list": "the results of tool.create have what was made",
    "tool.update": "tool.create makes another tool",
}
"""Kinds that the reference has no words for, and the nearest that it has."""


def _refuses(op: str, _fields: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    if (nearest := _LIVE_ONLY.get(op)) is not None:
        said = f"; the nearest there is: {nearest}" if nearest else ""
        yield "op", f"is {op}, which the API of the reference does not have, and `--api live` has{said}"


_CREATED_AGENT = {
    "agent_id": "agent_abc123",
    "name": "Support Agent",
    "created_at": "2025-11-03T12:00:00Z",
}
_AGENT = {
    "agent_id": "agent_abc123",
    "name": "Support Agent",
    "conversation_config": {},
    "created_at": "2025-11-03T12:00:00Z",
    "updated_at": "2025-11-03T14:00:00Z",
}

_AGENT_GET = Endpoint(
    name="agent.get",
    method="GET",
    path="/agents/{agent_id}",
    effect=Effect.READ,
    example=_AGENT,
)

# Conversations
_CONVERSATION_GET = Endpoint(
    name="conversation.get",
    method="GET",
    path="/conversations/{conversation_id}",
    effect=Effect.READ,
    max_answer=TRANSCRIPT_LIMIT,
    example={
        "conversation_id": "conv_xyz789",
        "agent_id": "agent_abc123",
        "transcript": "...",
        "duration_seconds": 120,
        "status": "completed",
        "created_at": "2025-11-03T12:00:00Z",
        "ended_at": "2025-11-03T12:02:00Z",
    },
)

# Knowledge Base
_INDEX_STATUS = Endpoint(
    name="document.index_status",
    method="GET",
    path="/knowledge-base/{document_id}/rag-index",
    effect=Effect.READ,
    example={
        "document_id": "doc_456",
        "status": "ready",
        "embedding_model": "e5_mistral_7b",
        "created_at": "2025-11-03T12:00:00Z",
    },
)

REFERENCE = Profile(
    name="reference",
    # Base URL, Authentication
    base_url="https://api.elevenlabs.io/v1/convai",
    key_header="xi-api-key",
    request_id_header="request-id",
    # Agents
    agent_create=Endpoint(
        name="agent.create",
        method="POST",
        path="/agents/create",
        effect=Effect.CREATE,
        makes="agent",
        entity="agent_id",
        example=_CREATED_AGENT,
    ),
    agent_update=Endpoint(
        name="agent.update",
        method="PATCH",
        path="/agents/{agent_id}",
        effect=Effect.IDEMPOTENT,
        example=_AGENT,
    ),
    agent_get=_AGENT_GET,
    agent_list=Listing(
        endpoint=Endpoint(
            name="agent.list",
            method="GET",
            path="/agents",
            effect=Effect.READ,
            example={"agents": [_CREATED_AGENT]},
        ),
        rows="agents",
        id_field="agent_id",
        lists="agent",
        filters=frozenset(),
        one=_AGENT_GET,
        # The order of the rows is not documented.
        created_field="created_at",
        stamps=(Suffix("name"),),
    ),
    agent_delete=Endpoint(
        name="agent.delete",
        method="DELETE",
        path="/agents/{agent_id}",
        effect=Effect.IDEMPOTENT,
        example={"success": True},
    ),
    # Testing
    agent_simulate=Endpoint(
        name="agent.simulate",
        method="POST",
        path="/agents/{agent_id}/simulate",
        effect=Effect.SPEND,
        entity="simulation_id",
        example={
            "simulation_id": "sim_123",
            "passed": True,
            "transcript": "...",
            "evaluation": {
                "criteria_met": 2,
                "criteria_total": 2,
                "details": [
                    {"criterion": "Agent acknowledges request", "passed": True},
                    {"criterion": "Agent provides timeline", "passed": True},
                ],
            },
        },
    ),
    conversation_create=Endpoint(
        name="conversation.create",
        method="POST",
        path="/conversations/create",
        effect=Effect.CREATE,
        makes="conversation",
        entity="conversation_id",
        example={
            "conversation_id": "conv_xyz789",
            "signed_url": "wss://api.elevenlabs.io/v1/convai/...",
            "created_at": "2025-11-03T12:00:00Z",
        },
    ),
    conversation_get=_CONVERSATION_GET,
    document_upload=Endpoint(
        name="document.upload",
        method="POST",
        path="/knowledge-base/upload",
        effect=Effect.CREATE,
        makes="document",
        entity="document_id",
        example={"document_id": "doc_456", "name": "Support Documentation", "status": "processing"},
    ),
    document_index=Endpoint(
        name="document.index",
        method="POST",
        path="/knowledge-base/{document_id}/rag-index",
        effect=Effect.IDEMPOTENT,
        example={"document_id": "doc_456", "status": "computing"},
    ),
    document_index_status=_INDEX_STATUS,
    # Tools
    tool_create=Endpoint(
        name="tool.create",
        method="POST",
        path="/tools/webhook",
        effect=Effect.CREATE,
        makes="tool",
        entity="tool_id",
        example={"tool_id": "tool_123", "name": "get_weather", "created_at": "2025-11-03T12:00:00Z"},
    ),
    upload_file_field="file",
    upload_name_field="name",
    index_model_field="embedding_model",
    agent_assigned=frozenset({"agent_id", "created_at", "updated_at"}),
    agent_updated_field="updated_at",
    # Create Agent, the body
    agent_ids=(
        IdPath("conversation_config.agent.prompt.tool_ids", "tool"),
        IdPath("conversation_config.agent.prompt.knowledge_base", "document"),
        IdPath("conversation_config.tts.voice_id", "voice"),
    ),
    name_field="name",
    agent_id_field="agent_id",
    document_id_field="document_id",
    transcript_field="transcript",
    # Get Conversation; Post-Call Webhook. Turns are those of the service today, which the reference does not show.
    conversation=ConversationFields(
        id="conversation_id",
        agent="agent_id",
        status="status",
        created="created_at",
        ended="ended_at",
        duration="duration_seconds",
        analysis="analysis",
        over="completed",
        role="role",
        message="message",
        seconds="time_in_call_secs",
    ),
    error_field="error",
    evaluation_passed=_evaluation_passed,
    refusal=_refusal,
    watches={
        "index": Watch(
            endpoint=_INDEX_STATUS,
            id_field="document_id",
            status_field="status",
            ready=frozenset({"ready"}),
            failed=frozenset({"failed"}),
            words=("index", "indexes"),
            usual=20.0,
        ),
        "conversation": Watch(
            endpoint=_CONVERSATION_GET,
            id_field="conversation_id",
            status_field="status",
            ready=frozenset({"completed"}),
            failed=frozenset({"failed"}),
            words=("conversation", "conversations"),
            usual=60.0,
        ),
    },
    # Pagination
    paging=Pages(page="page", per_page="per_page", size=50, total_header="x-total-count"),
    # Rate Limits
    rate_headers=RateHeaders(
        limit="x-ratelimit-limit", remaining="x-ratelimit-remaining", reset="x-ratelimit-reset"
    ),
    # Webhook Events
    webhook=Webhook(
        signature_header="elevenlabs-signature",
        # Documented is the bare form; the service signs with the moment. Neither can be made into the other: a text
        # that begins with digits and a full stop is no JSON object.
        signature_forms=frozenset({"bare", "timestamped"}),
        moment_part="t",
        digest_part="v0",
        type_field="type",
        data_field="data",
        moment_field="event_timestamp",
        conversation_id_field="conversation_id",
        post_call="post_call_transcription",
        example={
            "type": "post_call_transcription",
            "data": {
                "conversation_id": "conv_xyz789",
                "agent_id": "agent_abc123",
                "transcript": "...",
                "duration_seconds": 120,
                "analysis": {"sentiment": "positive", "resolution": True, "extracted_data": {}},
            },
            "event_timestamp": "2025-11-03T12:02:00Z",
        },
    ),
    tiers={
        "standard": Tier("standard", 100),
        "pro": Tier("pro", 500),
        "enterprise": Tier("enterprise", None),
    },
    secret_fields=frozenset({"signed_url"}),
    refuses=_refuses,
)
