"""Every endpoint that the client uses, asked by the client and by the vendor's SDK: the server answers both alike."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from elevenlabs import GetOrCreateRagIndexRequestModel, SingleTestRunRequestModel, ToolRequestModel
from elevenlabs.conversational_ai.tests.types.tests_create_request_body import (
    TestsCreateRequestBody_Simulation as MakesSimulation,
)

from bulkops.api import LIVE, Cursors
from bulkops.exporting.listing import bounded
from bulkops.model import Form, Reply
from bulkops.operations import KINDS
from tests.api.test_api_live_sdk import BATCH, MODELS, NO_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from bulkops.model import Request

    from .conftest import Witness

MODEL = "e5_mistral_7b_instruct"
LONG = "What is written here is long enough to be indexed. " * 20
EXAMPLES: dict[str, Any] = {name: kind.example.get("body") for name, kind in KINDS.items()}
CONFIG = {"conversation_config": {"agent": {"first_message": "Hello"}}, "name": "A"}
TOOL = LIVE.tool_create.request(EXAMPLES["tool.create"]).body
SIMULATION = LIVE.agent_simulate.request(EXAMPLES["agent.simulate"], agent_id="agent_1").body
TEST = {key: part for key, part in EXAMPLES["test.create"].items() if key != "type"}
FORM = Form((("name", "Guide"),), LIVE.upload_file_field, "", "guide.md", "text/markdown")


def ours(name: str, **given: Any) -> Request:
    """Return our request to an endpoint."""
    return LIVE.endpoints()[name].request(**given)


def upload() -> Any:
    """Return a file as the SDK takes it."""
    return ("guide.md", io.BytesIO(LONG.encode()), "text/markdown")


def asked(live: Witness, request: Request) -> httpx.Response:
    """Ask the server as the request says; a form has the file that the SDK is given as well."""
    more: dict[str, Any] = {}
    if request.form is not None:
        form = request.form
        more = {
            "data": dict(form.fields),
            "files": {form.file_field: (form.file_name, LONG.encode(), form.content_type)},
        }
    elif request.body is not None:
        more = {"json": request.body}
    return live.raw.request(request.method, request.path, params=list(request.query), **more)


class Story:
    """The ids of two of each thing: what is deleted is deleted once by us, and once by the SDK."""

    def __init__(self, live: Witness) -> None:
        ai = live.api
        self.agents = [ai.agents.create(**CONFIG).agent_id for _ in range(2)]
        self.tools = [ai.tools.create(request=ToolRequestModel.model_validate(TOOL)).id for _ in range(2)]
        made = [ai.knowledge_base.documents.create_from_text(text=LONG, name=f"D {n}") for n in range(2)]
        self.documents = [each.id for each in made]
        self.indexes = [
            ai.knowledge_base.document.compute_rag_index(each, model=MODEL).id for each in self.documents
        ]
        files = [ai.knowledge_base.documents.create_from_file(file=upload()) for _ in range(2)]
        self.files = [each.id for each in files]
        self.tests = [ai.tests.create(request=MakesSimulation(**TEST)).id for _ in range(2)]
        runs = [SingleTestRunRequestModel(test_id=self.tests[0])]
        self.suite = ai.agents.run_tests(self.agents[0], tests=runs).id


WAYS: dict[str, tuple[Callable[[Any, Story], Any], Callable[[Story], Request]]] = {
    "agent.create": (lambda ai, _: ai.agents.create(**CONFIG), lambda _: ours("agent.create", body=CONFIG)),
    "agent.update": (
        lambda ai, s: ai.agents.update(s.agents[0], name="B"),
        lambda s: ours("agent.update", body={"name": "B"}, agent_id=s.agents[0]),
    ),
    "agent.get": (
        lambda ai, s: ai.agents.get(s.agents[0]),
        lambda s: ours("agent.get", agent_id=s.agents[0]),
    ),
    "agent.list": (
        lambda ai, _: ai.agents.list(page_size=100, sort_by="created_at", sort_direction="desc"),
        lambda _: LIVE.agent_list.page(LIVE.paging, 1),
    ),
    "agent.delete": (
        lambda ai, s: ai.agents.delete(s.agents[0]),
        lambda s: ours("agent.delete", agent_id=s.agents[1]),
    ),
    "agent.simulate": (
        lambda ai, s: ai.agents.simulate_conversation(s.agents[0], **SIMULATION),
        lambda s: ours("agent.simulate", body=EXAMPLES["agent.simulate"], agent_id=s.agents[0]),
    ),
    "agent.duplicate": (
        lambda ai, s: ai.agents.duplicate(s.agents[0], name="C"),
        lambda s: ours("agent.duplicate", body={"name": "C"}, agent_id=s.agents[0]),
    ),
    "conversation.create": (
        lambda ai, s: ai.conversations.get_signed_url(agent_id=s.agents[0]),
        lambda s: ours("conversation.create", body={"agent_id": s.agents[0]}),
    ),
    "conversation.get": (
        lambda ai, _: ai.conversations.get("conv_seed_0001"),
        lambda _: ours("conversation.get", conversation_id="conv_seed_0001"),
    ),
    "conversation.list": (
        lambda ai, _: ai.conversations.list(page_size=100, call_start_before_unix=2**33 + 1),
        lambda _: bounded(LIVE, -float("inf"), 2.0**33).page(LIVE.paging, 1),
    ),
    "conversation.audio": (
        lambda ai, _: list(ai.conversations.audio.get("conv_seed_0001")),
        lambda _: ours("conversation.audio", conversation_id="conv_seed_0001"),
    ),
    "conversation.delete": (
        lambda ai, _: ai.conversations.delete("conv_seed_0002"),
        lambda _: ours("conversation.delete", conversation_id="conv_seed_0003"),
    ),
    "document.upload": (
        lambda ai, _: ai.knowledge_base.documents.create_from_file(file=upload(), name="Guide"),
        lambda _: ours("document.upload", form=FORM),
    ),
    "document.create_text": (
        lambda ai, _: ai.knowledge_base.documents.create_from_text(text=LONG, name="T"),
        lambda _: ours("document.create_text", body={"text": LONG, "name": "T"}),
    ),
    "document.create_url": (
        lambda ai, _: ai.knowledge_base.documents.create_from_url(url="https://example.com/", name="U"),
        lambda _: ours("document.create_url", body={"url": "https://example.com/", "name": "U"}),
    ),
    "folder.create": (
        lambda ai, _: ai.knowledge_base.documents.create_folder(name="F"),
        lambda _: ours("folder.create", body={"name": "F"}),
    ),
    "document.list": (
        lambda ai, _: ai.knowledge_base.list(page_size=100, sort_by="created_at", sort_direction="desc"),
        lambda _: LIVE.listing("document.list").page(LIVE.paging, 1),
    ),
    "document.get": (
        lambda ai, s: ai.knowledge_base.documents.get(s.files[0]),
        lambda s: ours("document.get", document_id=s.files[0]),
    ),
    "document.update_file": (
        lambda ai, s: ai.knowledge_base.document.update_file(s.files[0], file=upload()),
        lambda s: ours("document.update_file", form=FORM, document_id=s.files[0]),
    ),
    "document.index": (
        lambda ai, s: ai.knowledge_base.document.compute_rag_index(s.documents[0], model=MODEL),
        lambda s: ours(
            "document.index", body={"embedding_model": "e5_mistral_7b"}, document_id=s.documents[0]
        ),
    ),
    "document.index_status": (
        lambda ai, s: ai.get_document_rag_indexes(s.documents[0]),
        lambda s: ours("document.index_status", document_id=s.documents[0]),
    ),
    "document.index_batch": (
        lambda ai, s: ai.knowledge_base.get_or_create_rag_indexes(
            items=[
                GetOrCreateRagIndexRequestModel(document_id=each, create_if_missing=False, model=MODEL)
                for each in s.documents
            ]
        ),
        lambda s: BATCH.request(s.documents, MODEL),
    ),
    "document.index_quota": (
        lambda ai, _: ai.rag_index_overview(),
        lambda _: ours("document.index_quota"),
    ),
    "document.index_delete": (
        lambda ai, s: ai.delete_document_rag_index(s.documents[0], s.indexes[0]),
        lambda s: ours("document.index_delete", document_id=s.documents[1], index_id=s.indexes[1]),
    ),
    "document.delete": (
        lambda ai, s: ai.knowledge_base.documents.delete(s.documents[0]),
        lambda s: ours("document.delete", document_id=s.documents[1]),
    ),
    "tool.create": (
        lambda ai, _: ai.tools.create(request=ToolRequestModel.model_validate(TOOL)),
        lambda _: ours("tool.create", body=EXAMPLES["tool.create"]),
    ),
    "tool.list": (
        lambda ai, _: ai.tools.list(page_size=100, sort_by="created_at", sort_direction="desc"),
        lambda _: LIVE.listing("tool.list").page(LIVE.paging, 1),
    ),
    "tool.get": (lambda ai, s: ai.tools.get(s.tools[0]), lambda s: ours("tool.get", tool_id=s.tools[0])),
    "tool.update": (
        lambda ai, s: ai.tools.update(s.tools[0], request=ToolRequestModel.model_validate(TOOL)),
        lambda s: ours("tool.update", body=EXAMPLES["tool.create"], tool_id=s.tools[0]),
    ),
    "tool.delete": (
        lambda ai, s: ai.tools.delete(s.tools[0]),
        lambda s: ours("tool.delete", tool_id=s.tools[1]),
    ),
    "test.create": (
        lambda ai, _: ai.tests.create(request=MakesSimulation(**TEST)),
        lambda _: ours("test.create", body=EXAMPLES["test.create"]),
    ),
    "test.list": (
        lambda ai, _: ai.tests.list(page_size=100),
        lambda _: LIVE.listing("test.list").page(LIVE.paging, 1),
    ),
    "test.get": (lambda ai, s: ai.tests.get(s.tests[0]), lambda s: ours("test.get", test_id=s.tests[0])),
    "test.delete": (
        lambda ai, s: ai.tests.delete(s.tests[0]),
        lambda s: ours("test.delete", test_id=s.tests[1]),
    ),
    "test.run": (
        lambda ai, s: ai.agents.run_tests(s.agents[0], tests=[SingleTestRunRequestModel(test_id=s.tests[0])]),
        lambda s: ours("test.run", body={"tests": [{"test_id": s.tests[0]}]}, agent_id=s.agents[0]),
    ),
    "test.poll": (
        lambda ai, s: ai.tests.invocations.get(s.suite),
        lambda s: LIVE.watches["test"].request(s.suite),
    ),
}


def test_every_endpoint_goes_both_ways() -> None:
    """What the profile has, and nothing else, is asked by both."""
    assert set(WAYS) == set(LIVE.endpoints())


@pytest.mark.parametrize("name", WAYS)
def test_the_server_answers_both_alike(live: Witness, name: str) -> None:
    """The SDK reads what it is answered without loss, and what we are answered; we find in ours what we look for."""
    theirs, our_request = WAYS[name]
    story = Story(live)
    endpoints = live.emulator.requests.endpoints
    before = endpoints[name]
    answer = asked(live, our_request(story))
    assert answer.is_success, answer.text
    parsed = theirs(live.api, story)
    assert endpoints[name] == before + 2
    theirs_whole = live.heard[-1]
    assert theirs_whole.status_code == answer.status_code
    assert theirs_whole.headers["content-type"] == answer.headers["content-type"]
    if name in NO_MODEL:
        return
    if name == "document.index_batch":
        # An end for each of the documents, by their ids.
        ends = {one: end.model_dump(mode="json", exclude_unset=True) for one, end in parsed.items()}
        assert ends == theirs_whole.json() == orjson.loads(answer.content)
        return
    live.whole(parsed)
    told = orjson.loads(answer.content)
    read = MODELS[name].model_validate(told)
    assert read.model_dump(mode="json", exclude_unset=True, by_alias=True).keys() == told.keys()
    assert told.keys() == theirs_whole.json().keys()
    endpoint = LIVE.endpoints()[name]
    if endpoint.entity is not None:
        assert endpoint.heard(told)[endpoint.entity]


@pytest.mark.parametrize("name", LIVE.listings())
def test_a_second_page_goes_on_where_the_first_ended(live: Witness, name: str) -> None:
    """Our request for the page after one that has a cursor brings other rows than that had."""
    listing = LIVE.listings()[name]
    Story(live)
    assert isinstance(LIVE.paging, Cursors)
    first = listing.page(LIVE.paging, 1)
    small = {**dict(first.query), LIVE.paging.per_page: "1"}
    page = live.raw.get(first.path, params=small).json()
    second = listing.page(LIVE.paging, 2, Reply(200, page))
    rows = live.raw.get(second.path, params=list(second.query)).json()[listing.rows]
    heard = listing.endpoint.heard(page)[listing.rows]
    assert heard[0][listing.id_field] not in [
        row[listing.id_field] for row in listing.endpoint.heard({listing.rows: rows})[listing.rows]
    ]
    assert len(rows) >= 1
