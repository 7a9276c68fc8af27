"""The vendor's own SDK as the witness of the live profile: it reads our examples, and sends what we send."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest

from bulkops.api import LIVE
from bulkops.operations import KINDS

elevenlabs = pytest.importorskip("elevenlabs")
from elevenlabs import types  # noqa: E402 - the line above says whether it is there

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.model import Request

MODELS: dict[str, Any] = {
    "agent.create": types.CreateAgentResponseModel,
    "agent.update": types.GetAgentResponseModel,
    "agent.get": types.GetAgentResponseModel,
    "agent.list": types.GetAgentsPageResponseModel,
    "agent.simulate": types.AgentSimulatedChatTestResponseModel,
    "conversation.create": types.ConversationSignedUrlResponseModel,
    "conversation.get": types.GetConversationResponseModel,
    "document.upload": types.AddKnowledgeBaseResponseModel,
    "document.index": types.RagDocumentIndexResponseModel,
    "document.index_status": types.RagDocumentIndexesResponseModel,
    "tool.create": types.ToolResponseModel,
}
AGENT = {"conversation_config": {"agent": {"first_message": "Hello"}}, "name": "A"}
SIMULATION = LIVE.agent_simulate.request(KINDS["agent.simulate"].example["body"], agent_id="agent_1").body
TOOL = LIVE.tool_create.request(KINDS["tool.create"].example["body"]).body
INTENTS: dict[str, tuple[Callable[[Any], Any], Request]] = {
    "agent.create": (lambda ai: ai.agents.create(**AGENT), LIVE.agent_create.request(AGENT)),
    "agent.update": (
        lambda ai: ai.agents.update("agent_1", name="A"),
        LIVE.agent_update.request({"name": "A"}, agent_id="agent_1"),
    ),
    "agent.get": (lambda ai: ai.agents.get("agent_1"), LIVE.agent_get.request(agent_id="agent_1")),
    "agent.list": (
        lambda ai: ai.agents.list(page_size=100, sort_by="created_at", sort_direction="desc"),
        LIVE.agent_list.page(LIVE.paging, 1),
    ),
    "agent.delete": (lambda ai: ai.agents.delete("agent_1"), LIVE.agent_delete.request(agent_id="agent_1")),
    "agent.simulate": (
        lambda ai: ai.agents.simulate_conversation("agent_1", **SIMULATION),
        LIVE.agent_simulate.request(SIMULATION, agent_id="agent_1"),
    ),
    "conversation.create": (
        lambda ai: ai.conversations.get_signed_url(agent_id="agent_1"),
        LIVE.conversation_create.request({"agent_id": "agent_1"}),
    ),
    "conversation.get": (
        lambda ai: ai.conversations.get("conv_1"),
        LIVE.conversation_get.request(conversation_id="conv_1"),
    ),
    "document.upload": (
        lambda ai: ai.knowledge_base.documents.create_from_file(
            file=("a.md", io.BytesIO(b"x"), "text/markdown")
        ),
        LIVE.document_upload.request(),
    ),
    "document.index": (
        lambda ai: ai.knowledge_base.document.compute_rag_index("doc_1", model="e5_mistral_7b_instruct"),
        LIVE.document_index.request({"embedding_model": "e5_mistral_7b"}, document_id="doc_1"),
    ),
    "document.index_status": (
        lambda ai: ai.get_document_rag_indexes("doc_1"),
        LIVE.document_index_status.request(document_id="doc_1"),
    ),
    "tool.create": (
        lambda ai: ai.tools.create(request=types.ToolRequestModel.model_validate(TOOL)),
        LIVE.tool_create.request(KINDS["tool.create"].example["body"]),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_sdk_reads_the_example_without_loss(name: str) -> None:
    """Each example answer has all that the SDK's model of it demands, and nothing that the model reads otherwise."""
    example = LIVE.endpoints()[name].example
    read = MODELS[name].model_validate(example)
    assert read.model_dump(mode="json", exclude_unset=True, by_alias=True) == example


def test_every_endpoint_has_a_witness() -> None:
    """Nothing of the profile goes unwitnessed."""
    assert set(INTENTS) == set(LIVE.endpoints())
    assert set(MODELS) == set(LIVE.endpoints()) - {"agent.delete"}


@pytest.mark.parametrize("name", INTENTS)
def test_the_sdk_sends_the_same(name: str) -> None:
    """For the same intent the SDK sends the same method, path, query and body, to the same host."""
    call, ours = INTENTS[name]
    sent: list[httpx.Request] = []

    def hear(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=LIVE.endpoints()[name].example)

    client = elevenlabs.ElevenLabs(
        api_key="key", httpx_client=httpx.Client(transport=httpx.MockTransport(hear))
    )
    call(client.conversational_ai)
    (theirs,) = sent
    assert theirs.method == ours.method
    assert str(theirs.url.copy_with(query=None)) == LIVE.base_url + ours.path
    assert sorted(theirs.url.params.multi_items()) == sorted(ours.query)
    if name == "document.upload":
        assert f'name="{LIVE.upload_file_field}"; filename="a.md"'.encode() in theirs.content
    else:
        assert (orjson.loads(theirs.content) if theirs.content else None) == ours.body
    assert theirs.headers[LIVE.key_header] == "key"
