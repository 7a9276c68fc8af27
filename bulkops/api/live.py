"""The API as the service speaks it today, where that is not as the reference describes it.

Kinds ask and hear in the words of the reference; each endpoint says here what is asked and heard in its place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bulkops.api import live_answers as answers
from bulkops.api import live_requests as requests
from bulkops.api.live_more import ACCESS, LISTINGS, MORE, TEST_WATCH, TOOL
from bulkops.api.live_traps import traps
from bulkops.api.profile import Batch, Cursors, Endpoint, Listing, Tier
from bulkops.api.reference import REFERENCE
from bulkops.api.stamping import Suffix, Tag
from bulkops.model import Effect

if TYPE_CHECKING:
    from bulkops.model import Json

_MADE, _CHANGED = 1762171200, 1762178400
_AGENT: Json = {
    "agent_id": "agent_abc123",
    "name": "Support Agent",
    "conversation_config": {},
    "metadata": {"created_at_unix_secs": _MADE, "updated_at_unix_secs": _CHANGED},
    "platform_settings": {},
    "phone_numbers": [],
    "workflow": {"nodes": {}, "edges": {}, "prevent_subagent_loops": False},
    "access_info": None,
    "tags": [],
    "version_id": None,
    "branch_id": None,
}
_INDEX = {
    "id": "index_1",
    "model": "e5_mistral_7b_instruct",
    "status": "succeeded",
    "progress_percentage": 100.0,
    "document_model_index_usage": {"used_bytes": 1000},
}

_AGENT_GET = replace(REFERENCE.agent_get, example=_AGENT, hears=answers.agent)
_CONVERSATION_GET = replace(
    REFERENCE.conversation_get,
    hears=answers.conversation,
    example={
        "agent_id": "agent_abc123",
        "conversation_id": "conv_xyz789",
        "status": "done",
        "transcript": [{"role": "user", "message": "Hello", "time_in_call_secs": 1}],
        "metadata": {"start_time_unix_secs": _MADE, "call_duration_secs": 120},
        "analysis": None,
        "has_audio": False,
        "has_user_audio": False,
        "has_response_audio": False,
        "has_auxiliary_audio": False,
    },
)
_INDEX_STATUS = replace(REFERENCE.document_index_status, hears=answers.indexes, example={"indexes": [_INDEX]})
_INDEX_BATCH = Endpoint(
    "document.index_batch",
    "POST",
    "/knowledge-base/rag-index",
    # As it is asked here: see `requests.index_batch`.
    Effect.READ,
    example={"doc_456": {"status": "success", "data": _INDEX}},
)
_WHY_NO_INDEX = {
    "failed": "it may have no text that can be read; delete its index (document.index_delete), then retry",
    "rag_limit_exceeded": "indexes take up all that the account may (document.index_quota tells); delete indexes that "
    "nobody needs or have the quota raised, then delete that of this document (document.index_delete), and retry",
    "document_too_small": "what is under 500 bytes is not indexed; agents read it whole without an index, so leave the "
    "index out, or put it into a larger document",
    "cannot_index_folder": "a folder has no index; index the documents in it",
}

LIVE = replace(
    REFERENCE,
    name="live",
    agent_create=replace(REFERENCE.agent_create, example={"agent_id": "agent_abc123"}),
    agent_update=replace(REFERENCE.agent_update, example=_AGENT, hears=answers.agent),
    agent_get=_AGENT_GET,
    agent_list=Listing(
        endpoint=replace(
            REFERENCE.agent_list.endpoint,
            hears=answers.agents,
            example={
                "agents": [
                    {
                        "agent_id": "agent_abc123",
                        "name": "Support Agent",
                        "voice_id": "voice_abc123",
                        "tags": [],
                        "created_at_unix_secs": _MADE,
                        "updated_at_unix_secs": _CHANGED,
                        "access_info": ACCESS,
                        "last_call_time_unix_secs": None,
                        "archived": False,
                    }
                ],
                "next_cursor": None,
                "has_more": False,
            },
        ),
        rows="agents",
        id_field="agent_id",
        lists="agent",
        one=_AGENT_GET,
        created_field="created_at",
        # As it is asked for; whether it was so is seen from the rows.
        newest_first=True,
        query=(("sort_by", "created_at"), ("sort_direction", "desc")),
        stamps=(Suffix("name"), Tag("tags", frozenset({"agent.create"}))),
    ),
    agent_delete=replace(REFERENCE.agent_delete, example=None, hears=answers.deleted, blank=True),
    agent_simulate=replace(
        REFERENCE.agent_simulate,
        path="/agents/{agent_id}/simulate-conversation",
        # It is not kept under an id.
        entity=None,
        asks=requests.simulation,
        hears=answers.simulation,
        example={
            "simulated_conversation": [
                {"role": "user", "message": "I want a refund", "time_in_call_secs": 0}
            ],
            "analysis": {
                "call_successful": "success",
                "transcript_summary": "A refund.",
                "evaluation_criteria_results": {
                    "criterion_1": {"criteria_id": "criterion_1", "result": "success", "rationale": "It did."}
                },
                "data_collection_results": {},
            },
        },
    ),
    # Nothing is made before somebody joins by the URL.
    conversation_create=replace(
        REFERENCE.conversation_create,
        method="GET",
        path="/conversation/get-signed-url",
        effect=Effect.READ,
        makes=None,
        entity=None,
        asks=requests.conversation,
        example={"signed_url": "wss://api.elevenlabs.io/v1/convai/conversation?agent_id=agent_abc123"},
    ),
    conversation_get=_CONVERSATION_GET,
    document_upload=replace(
        REFERENCE.document_upload,
        path="/knowledge-base/file",
        hears=answers.document,
        example={"id": "doc_456", "name": "Support Documentation", "folder_path": []},
    ),
    document_index=replace(
        REFERENCE.document_index,
        asks=requests.index,
        hears=answers.index,
        example={**_INDEX, "status": "created", "progress_percentage": 0.0},
    ),
    document_index_status=_INDEX_STATUS,
    document_index_batch=_INDEX_BATCH,
    tool_create=replace(
        REFERENCE.tool_create,
        path="/tools",
        asks=requests.tool,
        hears=answers.tool,
        example=TOOL,
    ),
    agent_taken=frozenset({"conversation_config", "name", "platform_settings", "tags", "workflow"}),
    agent_unsent=("conversation_config.agent.prompt.tools", "platform_settings.safety"),
    conversation=replace(REFERENCE.conversation, over="done"),
    refusal=answers.refusal,
    key_words={
        "invalid_api_key": "the server does not know the key",
        "needs_authorization": "the server did not see a key",
        "missing_permissions": "the key is good, and lacks a permission that this needs",
    },
    spent_codes=frozenset({"quota_exceeded"}),
    spent_statuses=frozenset({402}),
    watches={
        "index": replace(
            REFERENCE.watches["index"],
            endpoint=_INDEX_STATUS,
            ready=frozenset({"succeeded"}),
            failed=frozenset(_WHY_NO_INDEX),
            why=_WHY_NO_INDEX,
            part=answers.index_of,
            batch=Batch(_INDEX_BATCH, 100, requests.index_batch, answers.index_in_batch),
        ),
        "conversation": replace(
            REFERENCE.watches["conversation"], endpoint=_CONVERSATION_GET, ready=frozenset({"done"})
        ),
        "test": TEST_WATCH,
    },
    paging=Cursors(
        cursor="cursor", per_page="page_size", size=100, next_cursor="next_cursor", has_more="has_more"
    ),
    webhook=replace(
        REFERENCE.webhook,
        signature_forms=frozenset({"timestamped"}),
        example={
            "type": "post_call_transcription",
            "event_timestamp": _CHANGED,
            "data": _CONVERSATION_GET.example,
        },
    ),
    # The service limits what is in flight, and publishes no number of requests in a time.
    tiers={"open": Tier("open", None, open=True), **REFERENCE.tiers},
    in_flight=8,
    hosts={
        "global": "https://api.elevenlabs.io/v1/convai",
        "us": "https://api.us.elevenlabs.io/v1/convai",
        "eu": "https://api.eu.residency.elevenlabs.io/v1/convai",
        "in": "https://api.in.residency.elevenlabs.io/v1/convai",
        "sg": "https://api.sg.residency.elevenlabs.io/v1/convai",
    },
    more=MORE,
    more_listings=LISTINGS,
    refuses=requests.refuses,
    traps=traps,
)
