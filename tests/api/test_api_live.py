"""The live profile: what jobs say in the words of the reference is asked and heard as the service speaks today."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.api import LIVE, REFERENCE
from bulkops.api.live_requests import refuses
from bulkops.api.live_traps import traps
from bulkops.errors import OperationFailed
from bulkops.mapping import sendable
from bulkops.model import Effect, Reply, Request, RequestClass, Save
from bulkops.moments import END, in_words, moment
from bulkops.operation import fields_of
from bulkops.operations import KINDS
from bulkops.operations.agent_list import ListAgents
from bulkops.operations.agent_simulate import SimulateConversation
from bulkops.operations.conversation_export import ExportConversation
from bulkops.operations.document_index import IndexDocument
from bulkops.operations.document_upload import UploadDocument
from bulkops.youngest import read_youngest
from tests.operations.steps_doubles import drive, saved

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bulkops.youngest import Young

# Typed from live.md, section 1.
TABLE = {
    "agent.create": ("POST", "/agents/create"),
    "agent.update": ("PATCH", "/agents/:agent_id"),
    "agent.get": ("GET", "/agents/:agent_id"),
    "agent.list": ("GET", "/agents"),
    "agent.delete": ("DELETE", "/agents/:agent_id"),
    "conversation.create": ("GET", "/conversation/get-signed-url"),
    "conversation.get": ("GET", "/conversations/:conversation_id"),
    "document.upload": ("POST", "/knowledge-base/file"),
    "document.index": ("POST", "/knowledge-base/:document_id/rag-index"),
    "document.index_status": ("GET", "/knowledge-base/:document_id/rag-index"),
    "document.index_batch": ("POST", "/knowledge-base/rag-index"),
    "tool.create": ("POST", "/tools"),
    "agent.simulate": ("POST", "/agents/:agent_id/simulate-conversation"),
    # Section 2.
    "agent.duplicate": ("POST", "/agents/:agent_id/duplicate"),
    "conversation.list": ("GET", "/conversations"),
    "conversation.audio": ("GET", "/conversations/:conversation_id/audio"),
    "conversation.delete": ("DELETE", "/conversations/:conversation_id"),
    "document.create_text": ("POST", "/knowledge-base/text"),
    "document.create_url": ("POST", "/knowledge-base/url"),
    "folder.create": ("POST", "/knowledge-base/folder"),
    "document.list": ("GET", "/knowledge-base"),
    "document.get": ("GET", "/knowledge-base/:document_id"),
    "document.update_file": ("PATCH", "/knowledge-base/:document_id/update-file"),
    "document.delete": ("DELETE", "/knowledge-base/:document_id"),
    "document.index_delete": ("DELETE", "/knowledge-base/:document_id/rag-index/:index_id"),
    "document.index_quota": ("GET", "/knowledge-base/rag-index"),
    "tool.list": ("GET", "/tools"),
    "tool.get": ("GET", "/tools/:tool_id"),
    "tool.update": ("PATCH", "/tools/:tool_id"),
    "tool.delete": ("DELETE", "/tools/:tool_id"),
    "test.create": ("POST", "/agent-testing/create"),
    "test.list": ("GET", "/agent-testing"),
    "test.get": ("GET", "/agent-testing/:test_id"),
    "test.delete": ("DELETE", "/agent-testing/:test_id"),
    "test.run": ("POST", "/agents/:agent_id/run-tests"),
    "test.poll": ("GET", "/test-invocations/:test_invocation_id"),
}
_BATCH = LIVE.watches["index"].batch
assert _BATCH is not None
BATCH = _BATCH
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            [
                "metadata", "created_at_unix_secs", "agents", "indexes", "model", "status", "id", "tool_config",
                "analysis", "evaluation_criteria_results", "simulated_conversation", "detail", "loc", "msg", "code",
                "start_time_unix_secs", "call_duration_secs", "documents", "tools", "conversations", "tests",
                "test_runs", "evaluation_criteria_results_list", "criteria_id", "result",
            ]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


RENAMED = ("agent.simulate", "document.index", "document.index_status")
"""Endpoints whose answers have a part under another name."""


ROWS = ("agents", "indexes", "documents", "tools", "conversations", "tests")
"""Fields with rows, in each of which something stands beside what was said."""


def test_every_endpoint_is_there() -> None:
    """The profile has the live equivalent of every endpoint of the reference, and of section 2 what kinds ask."""
    spelled = {
        name: (endpoint.method, endpoint.path.replace("{", ":").replace("}", ""))
        for name, endpoint in LIVE.endpoints().items()
    }
    assert spelled == TABLE


def test_what_makes_something_is_told_by_our_name() -> None:
    """The answer to whatever makes something carries the id where every other part looks for it."""
    for name, endpoint in LIVE.endpoints().items():
        assert (endpoint.makes is not None) == (endpoint.effect is Effect.CREATE), name
        if endpoint.entity is not None:
            of_reference = REFERENCE.endpoints().get(name)
            assert of_reference is None or endpoint.entity == of_reference.entity
            assert endpoint.told[endpoint.entity]


@given(JSON)
def test_no_answer_is_too_strange(answer: Any) -> None:
    """Whatever a server answers is heard without an error, and nothing that it said is replaced."""
    for endpoint in LIVE.endpoints().values():
        told = endpoint.heard(answer)
        if isinstance(answer, dict) and endpoint.name not in RENAMED and endpoint.method != "DELETE":
            assert {key: told[key] for key in answer if key not in ROWS} == {
                key: part for key, part in answer.items() if key not in ROWS
            }
    LIVE.refusal(answer)
    LIVE.watches["index"].status(LIVE.watches["index"].seen(answer, "e5_mistral_7b"))
    BATCH.part(answer, "id", "e5_mistral_7b")
    BATCH.part({"doc": answer}, "doc", "e5_mistral_7b")
    BATCH.part({"doc": {"status": "success", "data": answer}}, "doc", "e5_mistral_7b")


@given(st.integers(0, int(END) - 1))
def test_a_moment_in_words_is_the_same_moment(seconds: int) -> None:
    """Epoch seconds that are written in words are read as the same seconds."""
    text = in_words(seconds)
    assert text is not None
    assert moment(text) == seconds


def test_an_agent_tells_its_times_by_our_names() -> None:
    """Epoch seconds in `metadata` become `created_at` and `updated_at`; the raw answer stays beside them."""
    raw = {"agent_id": "a", "metadata": {"created_at_unix_secs": 0, "updated_at_unix_secs": 1_762_171_200}}
    told = LIVE.agent_get.heard(raw)
    assert told == {**raw, "created_at": "1970-01-01T00:00:00Z", "updated_at": "2025-11-03T12:00:00Z"}


def test_a_clone_is_sent_without_what_no_create_takes() -> None:
    """What only the server says of an agent is left out, and so is `prompt.tools`, which comes beside `tool_ids`.

    That also holds for what nobody knows yet.
    """
    prompt = {"prompt": "Help.", "tools": [{"name": "t"}], "tool_ids": ["tool_1"]}
    agent = LIVE.agent_get.heard(
        {
            **LIVE.agent_get.example,
            "conversation_config": {"agent": {"prompt": prompt}},
            "platform_settings": {"archived": False, "safety": {"is_blocked_ivc": False}},
            "something_of_tomorrow": 1,
        }
    )
    assert sendable(LIVE, agent) == {
        "name": "Support Agent",
        "conversation_config": {"agent": {"prompt": {"prompt": "Help.", "tool_ids": ["tool_1"]}}},
        "platform_settings": {"archived": False},
        "workflow": LIVE.agent_get.example["workflow"],
        "tags": [],
    }


def test_the_status_of_an_index_is_that_of_its_model() -> None:
    """A document of several indexes is ready when the one that was asked for is; an empty list is not ready."""
    watch = LIVE.watches["index"]
    rows = [
        {"id": "1", "model": "multilingual_e5_large_instruct", "status": "succeeded"},
        {"id": "2", "model": "e5_mistral_7b_instruct", "status": "processing"},
    ]
    both = LIVE.document_index_status.heard({"indexes": rows})
    assert watch.settled(watch.seen(both, "multilingual_e5_large_instruct"))
    assert not watch.settled(watch.seen(both, "e5_mistral_7b"))
    assert not watch.settled(watch.seen({"indexes": []}, "e5_mistral_7b"))
    assert "status" not in both


def batched(model: str = "e5_mistral_7b_instruct", outer: str = "success", **index: Any) -> Any:
    """Return what is seen of a document in an answer about many."""
    told = {"doc": {"status": outer, "data": {"id": "i", "model": model, **index}}, "other": {}}
    return BATCH.part(told, "doc", "e5_mistral_7b")


def test_a_look_at_many_never_begins_an_index() -> None:
    """Nothing that is asked about is made where it is missing, so the request is repeated like any read."""
    look = BATCH.request([f"doc_{number}" for number in range(BATCH.most)], "e5_mistral_7b")
    assert (look.request_class, look.effect) == (RequestClass.POLL, Effect.READ)
    assert [item["create_if_missing"] for item in look.body["items"]] == [False] * 100


def test_a_document_that_is_awaited_twice_is_asked_about_once() -> None:
    """The answer has one place for a document."""
    look = BATCH.request(["doc_1", "doc_2", "doc_1"], "m")
    assert [item["document_id"] for item in look.body["items"]] == ["doc_1", "doc_2"]


def test_a_look_at_many_sees_what_a_look_at_one_does() -> None:
    """The observation of a document, and so a result, is the same whichever way it was looked at."""
    told: dict[str, Any] = {"status": "succeeded", "progress_percentage": 100.0}
    row = {"id": "i", "model": "e5_mistral_7b_instruct", **told}
    alone = LIVE.document_index_status.heard({"indexes": [row]})
    assert batched(**told) == LIVE.watches["index"].seen(alone, "e5_mistral_7b")


@pytest.mark.parametrize(
    "seen",
    [
        batched(outer="failure", status="succeeded"),
        batched(model="multilingual_e5_large_instruct", status="succeeded"),
        BATCH.part({}, "doc", "e5_mistral_7b"),
        BATCH.part({"doc": {"status": "failure", "error_code": 404}}, "doc", "e5_mistral_7b"),
        BATCH.part({"doc": {"status": "success"}}, "doc", "e5_mistral_7b"),
    ],
    ids=["failure", "another model", "missing", "an error", "nothing"],
)
def test_what_is_not_told_of_a_document_is_not_believed(seen: Any) -> None:
    """An end that is no success, or not of the index that was asked for, tells nothing."""
    assert seen is None


@pytest.mark.parametrize(
    ("word", "ready", "failed"),
    [
        ("SUCCEEDED", True, False),
        ("failed", False, True),
        ("rag_limit_exceeded", False, True),
        ("document_too_small", False, True),
        ("cannot_index_folder", False, True),
        ("new", False, False),
        ("created", False, False),
        ("processing", False, False),
        ("thinking", False, False),
    ],
)
def test_each_word_for_an_index_is_known(word: str, *, ready: bool, failed: bool) -> None:
    """The eight states are told apart without regard to case, and one that nobody knows is waited out."""
    watch = LIVE.watches["index"]
    for observation in ({"status": word}, batched("E5_Mistral_7B_Instruct", "SUCCESS", status=word)):
        status = watch.status(observation)
        assert (status in watch.ready, status in watch.failed) == (ready, failed)


def test_a_document_is_uploaded_and_indexed_by_the_same_line() -> None:
    """An upload with an index goes to the endpoints of today, and its result has the fields of the reference."""
    line = UploadDocument(file="handbook.md", index={"model": "e5_mistral_7b"})
    started = LIVE.document_index.told
    done = {"indexes": [{**started, "status": "succeeded"}]}
    uploaded = LIVE.document_upload.told
    seen = LIVE.watches["index"].seen(LIVE.document_index_status.heard(done), "e5_mistral_7b")
    steps, result = drive(line, [uploaded, started, seen], LIVE)
    sent = [step for step in steps if isinstance(step, Request)]
    assert [(step.path, step.body) for step in sent] == [
        ("/knowledge-base/file", None),
        ("/knowledge-base/doc_456/rag-index", {"model": "e5_mistral_7b_instruct"}),
    ]
    assert (result["document_id"], result["id"], result["index_id"]) == ("doc_456", "doc_456", "index_1")
    assert (result["status"], result["embedding_model"]) == ("succeeded", "e5_mistral_7b_instruct")


@pytest.mark.parametrize(
    ("word", "helps"),
    [
        ("FAILED", "document.index_delete"),
        ("rag_limit_exceeded", "document.index_quota"),
        ("document_too_small", "under 500 bytes"),
        ("cannot_index_folder", "index the documents in it"),
    ],
)
def test_an_index_that_was_refused_says_why(word: str, helps: str) -> None:
    """An index that comes to a state of no return fails its operation with that word, what it means and what helps."""
    line = IndexDocument(document_id="doc_456", model="e5_mistral_7b")
    failed = {**LIVE.document_index.told, "status": word}
    looked = LIVE.document_index_status.heard({"indexes": [failed]})
    with pytest.raises(OperationFailed) as caught:
        drive(line, [failed, looked], LIVE)
    assert caught.value.code == f"index_{word.lower()}"
    assert f"the API answers {word.lower()!r}: " in caught.value.message
    assert helps in caught.value.message


def test_every_word_for_a_failed_index_is_explained() -> None:
    """None of them is told bare."""
    watch = LIVE.watches["index"]
    assert watch.failed == watch.why.keys()


def test_a_tool_of_the_reference_is_put_into_todays_shape() -> None:
    """Parameters of a GET go into the query, those of a POST into the body; what else there is stays."""
    body = dict(KINDS["tool.create"].example["body"])
    got = LIVE.tool_create.request({**body, "response_timeout_secs": 30}).body
    assert got == {
        "tool_config": {
            "type": "webhook",
            "name": "get_weather",
            "description": "Fetch current weather for a city",
            "api_schema": {
                "url": "https://api.weather.com/v1/current",
                "method": "GET",
                "request_headers": {"Authorization": "Bearer {{secret__weather_api_key}}"},
                "query_params_schema": {"properties": {"city": {"type": "string"}}, "required": ["city"]},
            },
            "response_timeout_secs": 30,
        }
    }
    posted = LIVE.tool_create.request({**body, "method": "POST"}).body["tool_config"]["api_schema"]
    assert posted["request_body_schema"] == body["parameters"]
    ours = {"tool_config": {"type": "client", "name": "n", "description": "d"}}
    assert LIVE.tool_create.request(ours).body == ours


def test_a_conversation_is_a_signed_url() -> None:
    """What makes a conversation in the reference reads a signed URL, and its body is the query."""
    request = LIVE.conversation_create.request({"agent_id": "agent_1", "include_conversation_id": True})
    assert (request.method, request.body, request.effect) == ("GET", None, Effect.READ)
    assert request.query == (("agent_id", "agent_1"), ("include_conversation_id", "true"))


def test_a_simulation_of_the_reference_is_put_into_todays_shape() -> None:
    """Scenario and messages go into the prompt of the simulated user, each criterion is judged by itself."""
    sent = LIVE.agent_simulate.request(KINDS["agent.simulate"].example["body"], agent_id="agent_1").body
    prompt = sent["simulation_specification"]["simulated_user_config"]["prompt"]["prompt"]
    assert prompt.startswith("Customer requests refund\n")
    assert "2. I ordered it last week" in prompt
    assert [row["conversation_goal_prompt"] for row in sent["extra_evaluation_criteria"]] == [
        "Agent acknowledges request",
        "Agent provides timeline",
    ]


def test_a_simulation_passes_when_all_criteria_are_met() -> None:
    """One criterion that is not met fails the check; without criteria it goes by the call as a whole."""

    def passed(**analysis: Any) -> Any:
        return LIVE.evaluation_passed(LIVE.agent_simulate.heard({"analysis": analysis}))

    met, missed = {"result": "success"}, {"result": "unknown"}
    assert passed(call_successful="failure", evaluation_criteria_results={"a": met, "b": met}) is True
    assert passed(call_successful="success", evaluation_criteria_results={"a": met, "b": missed}) is False
    assert passed(call_successful="success") is True
    assert LIVE.evaluation_passed(LIVE.agent_simulate.heard({})) is None


def test_criteria_that_are_told_in_a_list_count_as_well() -> None:
    """Criteria in a list, in the place of those by name or beside them, are passed when none was missed."""

    def evaluated(**analysis: Any) -> Any:
        told = LIVE.agent_simulate.heard({"analysis": {"call_successful": "success", **analysis}})
        return (
            LIVE.evaluation_passed(told),
            told["evaluation"]["criteria_met"],
            told["evaluation"]["criteria_total"],
        )

    def rows(**ends: str) -> Any:
        return [{"criteria_id": name, "result": end, "rationale": "r"} for name, end in ends.items()]

    named = {row["criteria_id"]: row for row in rows(a="success", b="success")}
    assert evaluated(evaluation_criteria_results_list=rows(a="success", b="failure")) == (False, 1, 2)
    assert evaluated(evaluation_criteria_results_list=rows(a="success", b="success")) == (True, 2, 2)
    both = {
        "evaluation_criteria_results": named,
        "evaluation_criteria_results_list": rows(b="failure", c="success"),
    }
    assert evaluated(**both) == (False, 2, 3)
    assert evaluated(evaluation_criteria_results_list=[{"result": "unknown"}, None]) == (False, 0, 2)
    assert evaluated(evaluation_criteria_results_list=[]) == (True, 0, 0)


@pytest.mark.parametrize(
    ("ends", "status", "passed"),
    [
        ([], "failed", False),
        (["passed", "passed"], "passed", True),
        (["passed", "cancelled"], "cancelled", False),
        (["passed", "pending"], "pending", None),
    ],
)
def test_tests_are_passed_when_some_were_run_and_all_passed(
    ends: list[str], status: str, passed: Any
) -> None:
    """An answer without a single run is an end that is not passed, and nothing to wait for."""
    told = LIVE.endpoint("test.run").heard({"id": "s", "test_runs": [{"status": end} for end in ends]})
    assert (told["status"], LIVE.evaluation_passed(told)) == (status, passed)
    assert LIVE.watches["test"].settled(told) is (passed is not None)


def test_what_was_said_in_a_simulation_is_no_result() -> None:
    """The turns of a simulation go to the transcripts, not to the results."""
    line = SimulateConversation(agent_id="agent_1", body={"scenario": "A refund"})
    steps, result = drive(line, [LIVE.agent_simulate.told], LIVE)
    assert b"I want a refund" in saved(steps)
    assert b"I want a refund" not in orjson.dumps(result)
    assert result["evaluation"]["criteria_met"] == 1


def test_a_conversation_that_is_over_is_exported() -> None:
    """`done` is the end of a call today; its times stand under our names, and its turns are the text."""
    line = ExportConversation(conversation_id="conv_xyz789", text=True)
    steps, result = drive(line, [LIVE.conversation_get.told], LIVE)
    assert [step.suffix for step in steps if isinstance(step, Save)] == [".json", ".txt"]
    assert (result["created_at"], result["ended_at"]) == ("2025-11-03T12:00:00Z", "2025-11-03T12:02:00Z")
    assert result["duration_seconds"] == 120


def page(numbers: Sequence[int], cursor: Any, *, more: Any = None) -> Reply:
    """Return a page with these agents, each made so many seconds after the epoch."""
    rows = [
        {"agent_id": f"agent_{number}", "name": "N", "created_at_unix_secs": number} for number in numbers
    ]
    has_more = {} if more == "not said" else {"has_more": cursor is not None if more is None else more}
    return Reply(200, LIVE.agent_list.endpoint.heard({"agents": rows, "next_cursor": cursor, **has_more}))


def test_a_listing_is_read_from_cursor_to_cursor() -> None:
    """Pages are read until one says that there is no more, whatever cursor it names."""
    pages = [page(range(200, 100, -1), "one"), page([], "two"), page(range(100, 90, -1), "left", more=False)]
    steps, result = drive(ListAgents(), pages, LIVE)
    queries = [dict(step.query) for step in steps if isinstance(step, Request)]
    assert [query.get("cursor") for query in queries] == [None, "one", "two"]
    assert {query["page_size"] for query in queries} == {"100"}
    assert result == {"count": 110}


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        ([page([2, 1], None, more=True)], "not where"),
        ([page([2, 1], "", more=True)], "not where"),
        ([page([2, 1], 5, more=True)], "not where"),
        ([page([3], "a"), page([2], "a")], "in a circle"),
        ([page([3], "a"), page([2], "b"), page([1], "a")], "in a circle"),
        ([page([3], "a"), page([3], "b")], "repeats"),
        ([page([2, 1], "a", more="not said")], "has_more"),
    ],
)
def test_a_listing_never_ends_early_in_silence(pages: list[Reply], why: str) -> None:
    """A cursor that is missing, is no text or comes again fails the listing."""
    with pytest.raises(OperationFailed, match=why):
        drive(ListAgents(), pages, LIVE)


def youngest(since: float | None, *pages: Reply) -> tuple[Young, int]:
    """Read the young end of a listing of these pages; return it, and how many were asked for."""
    reading = read_youngest(LIVE, LIVE.agent_list, since)
    request, asked = next(reading), 0
    while True:
        assert dict(request.query)["sort_direction"] == "desc"
        asked += 1
        try:
            request = reading.send(pages[asked - 1])
        except StopIteration as end:
            return end.value, asked


def test_the_young_end_is_read_as_far_back_as_is_needed() -> None:
    """Newest first, the first page that reaches back is the last that is asked for; several are read twice."""
    pages = [page(range(300, 200, -1), "one"), page(range(200, 100, -1), "two"), page([100], None)]
    for since, count in ((250, 1), (150, 2), (None, 3)):
        young, asked = youngest(since, *pages[:count], *pages[:count])
        assert (young.whole, asked) == (True, count if count == 1 else 2 * count)


def test_what_moved_to_a_page_that_was_read_is_found() -> None:
    """A row that a deletion pulls to an earlier page between two requests is missed once, and never called absent."""
    before = [page(range(300, 200, -1), "one"), page(range(199, 99, -1), "two"), page([99], None)]
    after = [page(range(299, 199, -1), "one"), page(range(199, 99, -1), "two"), page([99], None)]
    young, asked = youngest(None, *before, *after, *after, *after)
    assert (young.whole, asked) == (True, 12)
    assert "agent_200" in {row["agent_id"] for row in young.rows}


def test_what_is_made_meanwhile_is_no_sign_of_that() -> None:
    """A row that is younger than all that was read is new, and the listing is whole."""
    pages = [page(range(300, 200, -1), "one"), page([200], None)]
    young, asked = youngest(None, *pages, page(range(301, 201, -1), "one"), page([201, 200], None))
    assert (young.whole, asked) == (True, 4)


def test_a_listing_in_no_order_is_read_to_its_end() -> None:
    """Where the order that was asked for is not kept, nothing is called whole before the end."""
    pages = [page([300, 1, 200], "one"), page([100, 290], None)]
    young, asked = youngest(250, *pages, *pages)
    assert (young.whole, asked, len(young.rows)) == (True, 4, 5)


def test_a_circle_of_cursors_is_no_answer() -> None:
    """A listing whose cursors go round cannot show that something is not in it."""
    with pytest.raises(OperationFailed, match="circle"):
        youngest(None, page([3], "a"), page([2], "a"), page([1], "a"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"detail": {"status": "old", "message": "m"}}, ("old", "m", None)),
        (
            {
                "detail": {
                    "type": "t",
                    "code": "c",
                    "status": "s",
                    "message": "m",
                    "request_id": "r",
                    "param": "p",
                }
            },
            ("c", "p: m", "r"),
        ),
        (
            {
                "detail": [
                    {
                        "loc": ["body", "conversation_config", "tts", 0],
                        "msg": "field required",
                        "type": "missing",
                    },
                    {"loc": ["query", "page_size"], "msg": "too large", "type": "le"},
                ]
            },
            ("missing", "conversation_config.tts.0: field required; query.page_size: too large", None),
        ),
        ({"detail": "cannot parse"}, (None, "cannot parse", None)),
        ({"detail": []}, (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_every_shape_of_a_refusal_is_read(answer: Any, said: tuple[Any, ...]) -> None:
    """Objects old and new, lists with their places, texts and nothing."""
    assert LIVE.refusal(answer)[:3] == said


@pytest.mark.parametrize(
    ("op", "body", "why"),
    [
        (
            "conversation.create",
            {"agent_id": "a", "dynamic_variables": {}},
            "conversation_initiation_client_data",
        ),
        ("conversation.create", {"agent_id": "a", "overrides": {}}, "conversation_initiation_client_data"),
        ("conversation.create", {}, "agent_id"),
        ("conversation.create", {"agent_id": "a", "x": []}, "no plain value"),
        ("agent.simulate", {"success_criteria": []}, "scenario"),
        ("agent.simulate", {"scenario": "s", "user_messages": "no list"}, "list of texts"),
        ("agent.simulate", {"scenario": "s", "simulation_specification": {}}, "the one or the other"),
        ("tool.create", {"tool_config": {}, "url": "u"}, "the one or the other"),
    ],
)
def test_what_cannot_be_said_is_refused_with_the_nearest(op: str, body: Any, why: str) -> None:
    """A plan refuses what the API has no words for; what only a reference brings fails its operation."""
    assert any(why in what for _, what in refuses(op, {"body": body}))
    kind: Any = KINDS[op]
    line = kind(**{name: "agent_1" for name in fields_of(kind) if name == "agent_id"}, body=body)
    with pytest.raises(OperationFailed):
        next(line.steps(LIVE))


def test_the_examples_of_the_kinds_can_be_said() -> None:
    """Every example but that of a conversation with variables is taken by the live API as it stands."""
    refused = {op for op, kind in KINDS.items() if any(refuses(op, kind.example))}
    assert refused == {"conversation.create"}


@pytest.mark.parametrize(
    ("agent", "why"),
    [
        ({"prompt": {"knowledge_base": ["doc_456"]}}, "objects with type, id and name"),
        ({"prompt": {"knowledge_base": [{"type": "file", "id": "d", "name": "n"}]}}, "rag.enabled"),
        ({"prompt": {"tools": []}}, "built_in_tools"),
        ({"llm": "gpt-4o"}, "ignores it"),
        ({"rag": {"enabled": True}}, "ignores it"),
    ],
)
def test_a_trap_is_told(agent: Any, why: str) -> None:
    """What the service drops or refuses is told of each kind that sends a configuration."""
    config = {"conversation_config": {"agent": agent}}
    for op, field in (("agent.create", "body"), ("agent.update", "body"), ("agent.clone", "set")):
        told = any(where == field and why in what for where, what in traps(op, {field: config}))
        # What is changed or copied may have its index on already.
        assert told or (why == "rag.enabled" and op != "agent.create")
    assert list(traps("agent.create", {"body": {"conversation_config": {"agent": {"prompt": {}}}}})) == []


@pytest.mark.parametrize(
    ("op", "body", "why"),
    [
        ("agent.create", {"name": "A"}, "no `conversation_config`"),
        ("agent.create", {"conversation_config": {}, "agent": {}}, "belongs into `conversation_config`"),
        ("agent.update", {"conversation_config": {"prompt": {}}}, "into `conversation_config.agent`"),
        (
            "agent.update",
            {"conversation_config": {"llm": "gpt-4o"}},
            "into `conversation_config.agent.prompt`",
        ),
        ("agent.update", {"conversation_config": {"asr": {"quality": "low"}}}, "`high` alone"),
        (
            "agent.update",
            {"conversation_config": {"agent": {"prompt": {"rag": {"embedding_model": "e5_mistral_7b"}}}}},
            "'e5_mistral_7b_instruct'",
        ),
        ("tool.create", {"name": "n"}, "neither `tool_config` nor `url`"),
        ("tool.update", {"tool_config": {"type": "webhook", "api_schema": {}}}, "api_schema.url"),
        ("folder.create", {}, "no `name`"),
        ("test.create", {"type": "llm"}, "no `name`"),
        ("test.run", {}, "no `tests`"),
    ],
)
def test_what_a_body_lacks_or_has_elsewhere_is_told(op: str, body: Any, why: str) -> None:
    """What is needed and missing, and what stands where it is dropped, is told before anything is sent."""
    assert any(field == "body" and why in what for field, what in traps(op, {"body": body}))
    assert not any(why in what for _, what in traps(op, KINDS[op].example))


def test_a_plan_refuses_and_warns(tmp_path: Path) -> None:
    """A plan against the live API tells line and field of what it cannot be told, and notes the traps."""
    from bulkops.errors import JobError
    from bulkops.jobfile import JobFile
    from bulkops.planning import make_plan
    from tests.planning.planning_jobs import write

    knowledge = {"agent": {"prompt": {"knowledge_base": ["doc_456"]}}}
    trapped = {"op": "agent.create", "body": {"name": "A", "conversation_config": knowledge}}
    with JobFile.open(write(tmp_path / "traps.jsonl", [trapped, {**trapped, "id": "x"}])) as job:
        words = [told for _, told in make_plan(job, api=LIVE, environ={}).trap_words()]
    assert any(
        "line 1: `body` has a `conversation_config.agent.prompt.knowledge_base`" in told for told in words
    )
    refused = KINDS["conversation.create"].example
    with JobFile.open(write(tmp_path / "job.jsonl", [trapped, refused])) as job:
        with pytest.raises(JobError, match="line 2: `body` has `dynamic_variables`"):
            make_plan(job, api=LIVE, environ={})
        make_plan(job, api=REFERENCE, environ={})
