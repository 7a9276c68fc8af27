"""The vendor's own SDK as the witness of the live profile: it reads our examples, and sends what we send."""

from __future__ import annotations

import inspect
import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest

from bulkops.api import LIVE
from bulkops.model import Request
from bulkops.operations import KINDS

elevenlabs = pytest.importorskip("elevenlabs")
from elevenlabs import types  # noqa: E402 - the line above says whether it is there
from elevenlabs.conversational_ai.knowledge_base.document.types.document_update_file_response import (  # noqa: E402
    DocumentUpdateFileResponse_File,
)
from elevenlabs.conversational_ai.knowledge_base.documents.types.documents_get_response import (  # noqa: E402
    DocumentsGetResponse_File,
)
from elevenlabs.conversational_ai.tests.types.tests_create_request_body import (  # noqa: E402
    TestsCreateRequestBody_Simulation as MakesSimulation,
)
from elevenlabs.conversational_ai.tests.types.tests_get_response import (  # noqa: E402
    TestsGetResponse_Simulation as Simulation,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
    "agent.duplicate": types.CreateAgentResponseModel,
    "conversation.list": types.GetConversationsPageResponseModel,
    "document.create_text": types.AddKnowledgeBaseResponseModel,
    "document.create_url": types.AddKnowledgeBaseResponseModel,
    "folder.create": types.AddKnowledgeBaseResponseModel,
    "document.list": types.GetKnowledgeBaseListResponseModel,
    "document.get": DocumentsGetResponse_File,
    "document.update_file": DocumentUpdateFileResponse_File,
    "document.index_delete": types.RagDocumentIndexResponseModel,
    "document.index_quota": types.RagIndexOverviewResponseModel,
    "tool.list": types.ToolsResponseModel,
    "tool.get": types.ToolResponseModel,
    "tool.update": types.ToolResponseModel,
    "test.create": types.CreateAgentTestResponseModel,
    "test.list": types.GetTestsPageResponseModel,
    "test.get": Simulation,
    "test.run": types.GetTestSuiteInvocationResponseModel,
    "test.poll": types.GetTestSuiteInvocationResponseModel,
}
_FOUND = LIVE.watches["index"].batch
assert _FOUND is not None
BATCH = _FOUND
NO_MODEL = {
    "agent.delete", "conversation.audio", "conversation.delete", "document.delete", "tool.delete", "test.delete",
}  # fmt: skip
"""What answers nothing, anything or a file."""
FORMS = {"document.upload", "document.update_file"}


def asked(op: str, **changed: Any) -> Request:
    """Return the first request of the example line of a kind."""
    fields = {key: value for key, value in KINDS[op].example.items() if key not in ("op", "id")}
    step = next(KINDS[op](**{**fields, **changed}).steps(LIVE))
    assert isinstance(step, Request)
    return step


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
    "document.index_batch": (
        lambda ai: ai.knowledge_base.get_or_create_rag_indexes(
            items=[
                types.GetOrCreateRagIndexRequestModel(
                    document_id=each, create_if_missing=False, model="e5_mistral_7b_instruct"
                )
                for each in ("doc_1", "doc_2")
            ]
        ),
        BATCH.request(("doc_1", "doc_2", "doc_1"), "e5_mistral_7b"),
    ),
    "tool.create": (
        lambda ai: ai.tools.create(request=types.ToolRequestModel.model_validate(TOOL)),
        LIVE.tool_create.request(KINDS["tool.create"].example["body"]),
    ),
    "agent.duplicate": (
        lambda ai: ai.agents.duplicate("agent_abc123", name="Support Agent 2"),
        asked("agent.duplicate"),
    ),
    "conversation.list": (
        lambda ai: ai.conversations.list(page_size=100, agent_id="agent_abc123"),
        asked("conversation.list"),
    ),
    "conversation.audio": (
        lambda ai: list(ai.conversations.audio.get("conv_xyz789")),
        asked("conversation.audio"),
    ),
    "conversation.delete": (
        lambda ai: ai.conversations.delete("conv_xyz789"),
        asked("conversation.delete"),
    ),
    "document.create_text": (
        lambda ai: ai.knowledge_base.documents.create_from_text(
            text="Refunds take 3 to 5 working days.", name="Refunds"
        ),
        asked("document.create_text"),
    ),
    "document.create_url": (
        lambda ai: ai.knowledge_base.documents.create_from_url(
            url="https://example.com/refunds", name="Refunds"
        ),
        asked("document.create_url"),
    ),
    "folder.create": (
        lambda ai: ai.knowledge_base.documents.create_folder(name="Handbook"),
        asked("folder.create"),
    ),
    "document.list": (
        lambda ai: ai.knowledge_base.list(
            page_size=100, sort_by="created_at", sort_direction="desc", types=["file", "url"]
        ),
        asked("document.list", query={"types": ["file", "url"]}),
    ),
    "document.get": (lambda ai: ai.knowledge_base.documents.get("doc_456"), asked("document.get")),
    "document.update_file": (
        lambda ai: ai.knowledge_base.document.update_file(
            "doc_456", file=("a.md", io.BytesIO(b"x"), "text/markdown")
        ),
        asked("document.update_file"),
    ),
    "document.delete": (
        lambda ai: ai.knowledge_base.documents.delete("doc_456", force=True),
        asked("document.delete", query={"force": True}),
    ),
    "document.index_delete": (
        lambda ai: ai.delete_document_rag_index("doc_456", "index_1"),
        asked("document.index_delete"),
    ),
    "document.index_quota": (lambda ai: ai.rag_index_overview(), asked("document.index_quota")),
    "tool.list": (
        lambda ai: ai.tools.list(page_size=100, sort_by="created_at", sort_direction="desc"),
        asked("tool.list"),
    ),
    "tool.get": (lambda ai: ai.tools.get("tool_123"), asked("tool.get")),
    "tool.update": (
        lambda ai: ai.tools.update("tool_123", request=types.ToolRequestModel.model_validate(TOOL)),
        asked("tool.update", body=KINDS["tool.create"].example["body"]),
    ),
    "tool.delete": (
        lambda ai: ai.tools.delete("tool_123", force=True),
        asked("tool.delete", query={"force": True}),
    ),
    "test.create": (
        lambda ai: ai.tests.create(
            request=MakesSimulation(
                **{key: part for key, part in KINDS["test.create"].example["body"].items() if key != "type"}
            )
        ),
        asked("test.create"),
    ),
    "test.list": (lambda ai: ai.tests.list(page_size=100), asked("test.list")),
    "test.get": (lambda ai: ai.tests.get("test_1"), asked("test.get")),
    "test.delete": (lambda ai: ai.tests.delete("test_1"), asked("test.delete")),
    "test.run": (
        lambda ai: ai.agents.run_tests(
            "agent_abc123", tests=[types.SingleTestRunRequestModel(test_id="test_1")]
        ),
        asked("test.run"),
    ),
    "test.poll": (
        lambda ai: ai.tests.invocations.get("suite_1"),
        LIVE.watches["test"].request("suite_1"),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_sdk_reads_the_example_without_loss(name: str) -> None:
    """Each example answer has all that the SDK's model of it demands, and nothing that the model reads otherwise."""
    example = LIVE.endpoints()[name].example
    read = MODELS[name].model_validate(example)
    assert read.model_dump(mode="json", exclude_unset=True, by_alias=True) == example


def test_the_sdk_reads_the_example_of_many_without_loss() -> None:
    """An answer about several documents has an end for each, and each is read whole."""
    example = LIVE.endpoints()["document.index_batch"].example
    client = elevenlabs.ElevenLabs(
        api_key="key",
        httpx_client=httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=example))),
    )
    read = client.conversational_ai.knowledge_base.get_or_create_rag_indexes(items=[])
    ends = {name: end.model_dump(mode="json", exclude_unset=True) for name, end in read.items()}
    assert ends == example


def test_every_endpoint_has_a_witness() -> None:
    """Nothing of the profile goes unwitnessed."""
    assert set(INTENTS) == set(LIVE.endpoints())
    assert set(MODELS) == set(LIVE.endpoints()) - NO_MODEL - {"document.index_batch"}


def test_a_clone_is_sent_with_what_the_sdk_sends() -> None:
    """What is left of an agent for a copy are the parameters of the SDK's create, with what its models have there."""
    takes = set(
        inspect.signature(elevenlabs.ElevenLabs(api_key="key").conversational_ai.agents.create).parameters
    )
    # The one is ignored by the service, the other is for the SDK.
    assert set(LIVE.agent_taken or ()) == takes - {"enable_versioning", "request_options"}
    told = types.AgentPlatformSettingsResponseModel.model_fields.keys()
    lacks = told - types.AgentPlatformSettingsRequestModel.model_fields.keys()
    path = "platform_settings."
    assert {path + name for name in lacks} == {name for name in LIVE.agent_unsent if name.startswith(path)}


DOCUMENT_LIST = LIVE.listing("document.list")
assert DOCUMENT_LIST.folder is not None
FOLDER = DOCUMENT_LIST.folder


def stamped(way: str, request: Request) -> Request:
    """Return a request whose thing bears a stamp."""
    listing = LIVE.listing_of(request.makes)
    assert listing is not None
    found = next(stamp.on(request, "k7qmz2tafw4x") for stamp in listing.stamps if stamp.word == way)
    assert found is not None
    return found


STAMPED: dict[str, tuple[Callable[[Any], Any], Request]] = {
    "tag": (
        lambda ai: ai.agents.create(**AGENT, tags=["mine", "bulkops:k7qmz2tafw4x"]),
        stamped("tag", LIVE.agent_create.request({**AGENT, "tags": ["mine"]})),
    ),
    "folder": (
        lambda ai: ai.knowledge_base.documents.create_from_text(
            text="Refunds take 3 to 5 working days.", name="Refunds", parent_folder_id="folder_1"
        ),
        FOLDER.into(asked("document.create_text"), "folder_1"),
    ),
    "folder of a page": (
        lambda ai: ai.knowledge_base.documents.create_from_url(
            url="https://example.com/refunds", name="Refunds", parent_folder_id="folder_1"
        ),
        FOLDER.into(asked("document.create_url"), "folder_1"),
    ),
    "in a folder": (
        lambda ai: ai.knowledge_base.list(
            page_size=100, sort_by="created_at", sort_direction="desc", parent_folder_id="folder_1"
        ),
        DOCUMENT_LIST.within("folder_1").page(LIVE.paging, 1),
    ),
    "folders": (
        lambda ai: ai.knowledge_base.list(
            page_size=100, sort_by="created_at", sort_direction="desc", types=["folder"]
        ),
        replace(DOCUMENT_LIST, query=(*DOCUMENT_LIST.query, *FOLDER.query)).page(LIVE.paging, 1),
    ),
    "suffix": (
        lambda ai: ai.agents.create(**{**AGENT, "name": "A [k7qmz2tafw4x]"}),
        stamped("suffix", LIVE.agent_create.request(AGENT)),
    ),
}


@pytest.mark.parametrize(
    ("name", "call", "ours"),
    [(name, *INTENTS[name]) for name in INTENTS]
    + [pytest.param(ours.endpoint, call, ours, id=way) for way, (call, ours) in STAMPED.items()],
)
def test_the_sdk_sends_the_same(name: str, call: Callable[[Any], Any], ours: Request) -> None:
    """For the same intent the SDK sends the same method, path, query and body, to the same host."""
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
    if name in FORMS:
        assert f'name="{LIVE.upload_file_field}"; filename="a.md"'.encode() in theirs.content
    else:
        assert (orjson.loads(theirs.content) if theirs.content else None) == ours.body
    assert theirs.headers[LIVE.key_header] == "key"


def test_the_sdk_sends_the_same_form(tmp_path: Path) -> None:
    """A file that goes into a folder is sent with the fields of the SDK, in its order, before the file."""
    sent: list[bytes] = []

    def hear(request: httpx.Request) -> httpx.Response:
        sent.append(request.read())
        return httpx.Response(200, json=LIVE.document_upload.example)

    client = elevenlabs.ElevenLabs(
        api_key="key", httpx_client=httpx.Client(transport=httpx.MockTransport(hear))
    )
    client.conversational_ai.knowledge_base.documents.create_from_file(
        file=("a.md", io.BytesIO(b"x"), "text/markdown"), name="A", parent_folder_id="folder_1"
    )
    form = FOLDER.into(asked("document.upload", file=str(tmp_path / "a.md"), name="A"), "folder_1").form
    assert form is not None
    theirs = re.findall(rb'form-data; name="(\w+)"(?:; filename="a.md"\r\n[^\r]+)?\r\n\r\n([^\r]*)', sent[0])
    ours = [*form.fields, (form.file_field, "x")]
    assert [(name.decode(), said.decode()) for name, said in theirs] == ours
