"""What the service has today and the reference has not: documents, tools, conversations and tests, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.api import live_answers as answers
from bulkops.api import live_requests as requests
from bulkops.api.profile import Endpoint, Listing, Watch
from bulkops.api.reference import REFERENCE, TRANSCRIPT_LIMIT
from bulkops.api.stamping import Folder
from bulkops.model import Effect

if TYPE_CHECKING:
    from bulkops.model import Json

AUDIO_LIMIT = 1024 * 2**20
"""It is written as it comes; an hour has some 60 MB."""
ACCESS: Json = {
    "is_creator": True,
    "creator_name": "Ada",
    "creator_email": "ada@example.com",
    "role": "admin",
}
_MADE, _CHANGED = 1762171200, 1762178400
_ADDED: Json = {"id": "doc_456", "name": "Support Documentation", "folder_path": []}
_ROW: Json = {
    "type": "file",
    "id": "doc_456",
    "name": "Support Documentation",
    "metadata": {"created_at_unix_secs": _MADE, "last_updated_at_unix_secs": _CHANGED, "size_bytes": 1000},
    "supported_usages": ["prompt", "auto"],
    "access_info": ACCESS,
    "folder_parent_id": None,
    "folder_path": [],
    "dependent_agents": [],
}
_DOCUMENT: Json = {
    **{key: part for key, part in _ROW.items() if key != "dependent_agents"},
    "extracted_inner_html": "<p>Refunds take 3 to 5 working days.</p>",
    "filename": "handbook.md",
}
TOOL: Json = {
    "id": "tool_123",
    "tool_config": {
        "type": "webhook",
        "name": "get_weather",
        "description": "Fetch current weather for a city",
        "api_schema": {"url": "https://api.weather.com/v1/current", "method": "GET"},
    },
    "access_info": ACCESS,
    "usage_stats": {"total_calls": 0, "avg_latency_secs": 0.0},
}
_TEST: Json = {
    "type": "simulation",
    "id": "test_1",
    "name": "Refund",
    "simulation_scenario": "Customer requests refund",
    "success_conditions": ["Agent acknowledges request"],
}
_TEST_ROW: Json = {
    "id": "test_1",
    "name": "Refund",
    "access_info": ACCESS,
    "created_at_unix_secs": _MADE,
    "last_updated_at_unix_secs": _CHANGED,
    "type": "simulation",
}
_RUN: Json = {
    "test_run_id": "run_1",
    "test_invocation_id": "suite_1",
    "agent_id": "agent_abc123",
    "test_id": "test_1",
    "status": "passed",
}
_SUITE: Json = {
    "id": "suite_1",
    "name": "Refund",
    "agent_id": "agent_abc123",
    "created_at": _MADE,
    "test_runs": [_RUN],
}
_PAGE: Json = {"next_cursor": None, "has_more": False}

_DOCUMENT_GET = Endpoint(
    name="document.get",
    method="GET",
    path="/knowledge-base/{document_id}",
    effect=Effect.READ,
    example=_DOCUMENT,
    # All that was read out of the document comes along.
    max_answer=TRANSCRIPT_LIMIT,
    hears=answers.document_read,
    leaves=answers.without_content,
)
_TOOL_GET = Endpoint(
    name="tool.get",
    method="GET",
    path="/tools/{tool_id}",
    effect=Effect.READ,
    example=TOOL,
    hears=answers.tool,
)
_CONVERSATION_ROW: Json = {
    "agent_id": "agent_abc123",
    "agent_name": "Support Agent",
    "conversation_id": "conv_xyz789",
    "start_time_unix_secs": _MADE,
    "call_duration_secs": 120,
    "message_count": 8,
    "status": "done",
    "call_successful": "success",
    "direction": None,
    "tag_ids": [],
}
_TEST_GET = Endpoint(
    name="test.get",
    method="GET",
    path="/agent-testing/{test_id}",
    effect=Effect.READ,
    example=_TEST,
    hears=answers.test,
)
_SUITE_GET = Endpoint(
    name="test.poll",
    method="GET",
    path="/test-invocations/{test_invocation_id}",
    effect=Effect.READ,
    example=_SUITE,
    max_answer=TRANSCRIPT_LIMIT,
    hears=answers.invocation,
)


def _adds(name: str, path: str) -> Endpoint:
    """Return an endpoint that adds to the knowledge base."""
    return Endpoint(
        name=name,
        method="POST",
        path=path,
        effect=Effect.CREATE,
        makes="document",
        entity="document_id",
        example=_ADDED,
        hears=answers.document,
    )


def _deletes(name: str, path: str) -> Endpoint:
    """Return an endpoint that deletes, and whose answer may be empty or anything."""
    return Endpoint(
        name=name,
        method="DELETE",
        path=path,
        effect=Effect.IDEMPOTENT,
        example=None,
        hears=answers.deleted,
        blank=True,
    )


def _by_name(*endpoints: Endpoint) -> dict[str, Endpoint]:
    return {endpoint.name: endpoint for endpoint in endpoints}


MORE = _by_name(
    Endpoint(
        name="agent.duplicate",
        method="POST",
        path="/agents/{agent_id}/duplicate",
        effect=Effect.CREATE,
        makes="agent",
        entity="agent_id",
        example={"agent_id": "agent_def456"},
    ),
    Endpoint(
        name="conversation.audio",
        method="GET",
        path="/conversations/{conversation_id}/audio",
        effect=Effect.READ,
        # What is heard of a file that was written.
        example={"content_type": "audio/mpeg", "bytes": 1040},
        max_answer=AUDIO_LIMIT,
        download={
            "audio/mpeg": ".mp3",
            "audio/mp3": ".mp3",
            "audio/wav": ".wav",
            "audio/x-wav": ".wav",
            "audio/ogg": ".ogg",
            "audio/webm": ".webm",
            "audio/mp4": ".m4a",
        },
    ),
    _deletes("conversation.delete", "/conversations/{conversation_id}"),
    _adds("document.create_text", "/knowledge-base/text"),
    _adds("document.create_url", "/knowledge-base/url"),
    _adds("folder.create", "/knowledge-base/folder"),
    _DOCUMENT_GET,
    Endpoint(
        name="document.update_file",
        method="PATCH",
        path="/knowledge-base/{document_id}/update-file",
        effect=Effect.IDEMPOTENT,
        example=_DOCUMENT,
        max_answer=TRANSCRIPT_LIMIT,
        hears=answers.document_read,
        leaves=answers.without_content,
    ),
    _deletes("document.delete", "/knowledge-base/{document_id}"),
    Endpoint(
        name="document.index_delete",
        method="DELETE",
        path="/knowledge-base/{document_id}/rag-index/{index_id}",
        effect=Effect.IDEMPOTENT,
        example={
            "id": "index_1",
            "model": "e5_mistral_7b_instruct",
            "status": "succeeded",
            "progress_percentage": 100.0,
            "document_model_index_usage": {"used_bytes": 1000},
        },
        hears=answers.index,
    ),
    Endpoint(
        name="document.index_quota",
        method="GET",
        path="/knowledge-base/rag-index",
        effect=Effect.READ,
        example={
            "total_used_bytes": 1000,
            "total_max_bytes": 1000000,
            "models": [{"model": "e5_mistral_7b_instruct", "used_bytes": 1000}],
        },
    ),
    _TOOL_GET,
    Endpoint(
        name="tool.update",
        method="PATCH",
        path="/tools/{tool_id}",
        effect=Effect.IDEMPOTENT,
        example=TOOL,
        asks=requests.tool,
        hears=answers.tool,
    ),
    _deletes("tool.delete", "/tools/{tool_id}"),
    Endpoint(
        name="test.create",
        method="POST",
        path="/agent-testing/create",
        effect=Effect.CREATE,
        makes="test",
        entity="test_id",
        example={"id": "test_1"},
        hears=answers.test,
    ),
    _TEST_GET,
    _deletes("test.delete", "/agent-testing/{test_id}"),
    Endpoint(
        name="test.run",
        method="POST",
        path="/agents/{agent_id}/run-tests",
        effect=Effect.SPEND,
        entity="test_invocation_id",
        example={**_SUITE, "test_runs": [{**_RUN, "status": "pending"}]},
        max_answer=TRANSCRIPT_LIMIT,
        hears=answers.invocation,
        leaves=answers.without_talk,
    ),
    _SUITE_GET,
)

_YOUNGEST = (("sort_by", "created_at"), ("sort_direction", "desc"))
LISTINGS = {
    "document.list": Listing(
        endpoint=Endpoint(
            name="document.list",
            method="GET",
            path="/knowledge-base",
            effect=Effect.READ,
            example={"documents": [_ROW], **_PAGE},
            hears=answers.documents,
        ),
        rows="documents",
        id_field="document_id",
        lists="document",
        one=_DOCUMENT_GET,
        created_field="created_at",
        newest_first=True,
        query=_YOUNGEST,
        sent=requests.seen_of_document,
        folder=Folder(
            endpoint="folder.create",
            field="parent_folder_id",
            endpoints=frozenset({"document.upload", "document.create_text", "document.create_url"}),
            query=(("types", "folder"),),
        ),
    ),
    "tool.list": Listing(
        endpoint=Endpoint(
            name="tool.list",
            method="GET",
            path="/tools",
            effect=Effect.READ,
            example={"tools": [TOOL], **_PAGE},
            hears=answers.tools,
        ),
        rows="tools",
        id_field="tool_id",
        lists="tool",
        one=_TOOL_GET,
        # It tells no times: it is read whole.
        query=_YOUNGEST,
        sent_name=("tool_config", "name"),
        sent=requests.seen_of_tool,
    ),
    "conversation.list": Listing(
        endpoint=Endpoint(
            name="conversation.list",
            method="GET",
            path="/conversations",
            effect=Effect.READ,
            example={"conversations": [_CONVERSATION_ROW], **_PAGE},
            hears=answers.conversations,
        ),
        rows="conversations",
        id_field="conversation_id",
        # Nothing that bulkops asks for makes one.
        lists="conversation",
        one=REFERENCE.conversation_get,
        created_field="created_at",
    ),
    "test.list": Listing(
        endpoint=Endpoint(
            name="test.list",
            method="GET",
            path="/agent-testing",
            effect=Effect.READ,
            example={"tests": [_TEST_ROW], **_PAGE},
            hears=answers.tests,
        ),
        rows="tests",
        id_field="test_id",
        lists="test",
        one=_TEST_GET,
        created_field="created_at",
        sent=requests.seen_of_test,
    ),
}
TEST_WATCH = Watch(
    endpoint=_SUITE_GET,
    id_field="test_invocation_id",
    status_field="status",
    # One that failed is a result.
    ready=frozenset({"passed", "failed", "cancelled"}),
    failed=frozenset(),
    words=("run of tests", "runs of tests"),
    usual=60.0,
)
