"""The reference profile says what the API reference says, and nothing else of bulkops says it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bulkops
from bulkops.api import REFERENCE, Pages, is_entity_id
from bulkops.errors import OperationFailed
from bulkops.model import Effect, Reply, RequestClass

# Typed from the text of the API reference, section by section.
TABLE = {
    "agent.create": ("POST", "/agents/create"),
    "agent.update": ("PATCH", "/agents/:agent_id"),
    "agent.get": ("GET", "/agents/:agent_id"),
    "agent.list": ("GET", "/agents"),
    "agent.delete": ("DELETE", "/agents/:agent_id"),
    "conversation.create": ("POST", "/conversations/create"),
    "conversation.get": ("GET", "/conversations/:conversation_id"),
    "document.upload": ("POST", "/knowledge-base/upload"),
    "document.index": ("POST", "/knowledge-base/:document_id/rag-index"),
    "document.index_status": ("GET", "/knowledge-base/:document_id/rag-index"),
    "tool.create": ("POST", "/tools/webhook"),
    "agent.simulate": ("POST", "/agents/:agent_id/simulate"),
}
ANSWERS: dict[str, Any] = {
    "agent.create": {
        "agent_id": "agent_abc123",
        "name": "Support Agent",
        "created_at": "2025-11-03T12:00:00Z",
    },
    # `{ ... }` in the reference stands for a configuration of any content.
    "agent.get": {
        "agent_id": "agent_abc123",
        "name": "Support Agent",
        "conversation_config": {},
        "created_at": "2025-11-03T12:00:00Z",
        "updated_at": "2025-11-03T14:00:00Z",
    },
    "agent.list": {
        "agents": [
            {"agent_id": "agent_abc123", "name": "Support Agent", "created_at": "2025-11-03T12:00:00Z"}
        ]
    },
    "agent.delete": {"success": True},
    "conversation.create": {
        "conversation_id": "conv_xyz789",
        "signed_url": "wss://api.elevenlabs.io/v1/convai/...",
        "created_at": "2025-11-03T12:00:00Z",
    },
    "conversation.get": {
        "conversation_id": "conv_xyz789",
        "agent_id": "agent_abc123",
        "transcript": "...",
        "duration_seconds": 120,
        "status": "completed",
        "created_at": "2025-11-03T12:00:00Z",
        "ended_at": "2025-11-03T12:02:00Z",
    },
    "document.upload": {"document_id": "doc_456", "name": "Support Documentation", "status": "processing"},
    "document.index": {"document_id": "doc_456", "status": "computing"},
    "document.index_status": {
        "document_id": "doc_456",
        "status": "ready",
        "embedding_model": "e5_mistral_7b",
        "created_at": "2025-11-03T12:00:00Z",
    },
    "tool.create": {"tool_id": "tool_123", "name": "get_weather", "created_at": "2025-11-03T12:00:00Z"},
    "agent.simulate": {
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
}
NEVER_AN_ID = [
    "", ".", "..", "../agents", "a/b", "a\\b", "%2e%2e", "a%2Fb", "a b", "a\n", "a\0b", "ä", "\u0661", "a?b",
    "a#b", "a;b", "-a", "_a", "a" * 121, "{agent_id}", None, 7, ["a"], {"a": 1},
]  # fmt: skip


def test_every_endpoint_is_there() -> None:
    """The profile has the endpoints of the reference, each with its documented method and path, and no other."""
    spelled = {
        name: (endpoint.method, endpoint.path.replace("{", ":").replace("}", ""))
        for name, endpoint in REFERENCE.endpoints().items()
    }
    assert spelled == TABLE


@pytest.mark.parametrize("name", ANSWERS)
def test_the_documented_answers_stand_verbatim(name: str) -> None:
    """The example answer of an endpoint is the documented one."""
    assert REFERENCE.endpoints()[name].example == ANSWERS[name]


def test_what_has_to_be_said_of_the_whole_api() -> None:
    """Base URL, key header, rate limit headers, paging and tiers are the documented ones."""
    assert REFERENCE.base_url == "https://api.elevenlabs.io/v1/convai"
    assert REFERENCE.key_header == "xi-api-key"
    assert (REFERENCE.rate_headers.limit, REFERENCE.rate_headers.remaining, REFERENCE.rate_headers.reset) == (
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    )
    assert isinstance(REFERENCE.paging, Pages)
    assert REFERENCE.paging.query(3) == (("page", "3"), ("per_page", "50"))
    assert REFERENCE.paging.total_header == "x-total-count"
    assert {name: (tier.limit, tier.period) for name, tier in REFERENCE.tiers.items()} == {
        "standard": (100, 60.0),
        "pro": (500, 60.0),
        "enterprise": (None, 60.0),
    }


def test_the_documented_event_stands_verbatim() -> None:
    """The example of a webhook is the documented one, and its fields are where the profile says."""
    webhook = REFERENCE.webhook
    assert webhook.example == {
        "type": "post_call_transcription",
        "data": {
            "conversation_id": "conv_xyz789",
            "agent_id": "agent_abc123",
            "transcript": "...",
            "duration_seconds": 120,
            "analysis": {"sentiment": "positive", "resolution": True, "extracted_data": {}},
        },
        "event_timestamp": "2025-11-03T12:02:00Z",
    }
    assert webhook.signature_header == "elevenlabs-signature"


def test_what_makes_something_is_a_create_that_names_it() -> None:
    """Every endpoint that makes something is a create, and its documented answer carries the id."""
    for endpoint in REFERENCE.endpoints().values():
        assert (endpoint.makes is not None) == (endpoint.effect is Effect.CREATE), endpoint.name
        if endpoint.entity is not None:
            assert is_entity_id(endpoint.example[endpoint.entity])
        if endpoint.effect is Effect.READ:
            assert endpoint.method == "GET"


@pytest.mark.parametrize("value", NEVER_AN_ID)
def test_what_is_no_id_never_reaches_a_path(value: Any) -> None:
    """Path traversal, percent signs, unicode and emptiness end the operation instead of being sent."""
    with pytest.raises(OperationFailed, match="not an id"):
        REFERENCE.agent_get.request(agent_id=value)
    with pytest.raises(OperationFailed, match="not an id"):
        REFERENCE.watches["index"].request(value)


@given(st.text())
def test_any_text_is_refused_or_stands_as_one_part_of_the_path(text: str) -> None:
    """Whatever the text, a path that is made of it has the documented parts and this one unchanged."""
    try:
        path = REFERENCE.agent_simulate.request(agent_id=text).path
    except OperationFailed:
        return
    assert path.split("/") == ["", "agents", text, "simulate"]
    assert path.isascii()
    assert not {"%", ".", "?", "#"} & set(path)


def test_a_look_is_a_poll() -> None:
    """What a watch asks is asked in the class of polls, and reads."""
    look = REFERENCE.watches["index"].request("doc_456")
    assert (look.request_class, look.effect) == (RequestClass.POLL, Effect.READ)
    assert look.path == "/knowledge-base/doc_456/rag-index"


@pytest.mark.parametrize("observation", [None, [], {}, {"status": 5}, {"status": "warming_up"}])
def test_an_unknown_word_is_not_settled(observation: Any) -> None:
    """A status that nobody documented is waited out, whatever its shape."""
    assert not REFERENCE.watches["index"].settled(observation)


@pytest.mark.parametrize(
    ("text", "total"), [("250", 250), ("0", 0), ("", None), ("-1", None), ("²", None), ("9" * 16, None)]
)
def test_a_total_is_a_plain_number(text: str, total: int | None) -> None:
    """A header that holds no plain number tells no total."""
    assert REFERENCE.paging.total(Reply(200, {}, {"x-total-count": text})) == total


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"detail": {"status": "not_found", "message": "no such agent"}}, ("not_found", "no such agent")),
        ({"detail": "no such agent"}, (None, "no such agent")),
        ({"detail": [{"type": "missing", "msg": "field required"}]}, ("missing", "field required")),
        ({"error": "no such agent"}, (None, "no such agent")),
        ({"detail": 5}, (None, None)),
        ({"detail": []}, (None, None)),
        ([], (None, None)),
        (None, (None, None)),
    ],
)
def test_the_words_of_a_refusal_are_found(answer: Any, said: tuple[str | None, str | None]) -> None:
    """Code and message of a refusal are found in every shape that servers of this family use."""
    assert REFERENCE.refusal(answer)[:2] == said


NAMES = (
    "/agents", "/conversations", "/knowledge-base", "/tools", "rag-index", "x-ratelimit", "x-total-count",
    "per_page", "xi-api-key", "embedding_model", "signed_url", "tool_id", "simulation_id", "created_at",
    "updated_at", "request-id", "criteria_met", "elevenlabs-signature", "event_timestamp", "post_call_transcription",
)  # fmt: skip
WORDS = ("ready", "completed", "computing", "processing", "transcript", "agents", "api.elevenlabs.io")
# A header of a job that holds this word is refused: a user's mistake, not a name that is sent.
ALLOWED = {("jobfile/header_checks.py", "xi-api-key")}


def test_the_names_of_the_api_stay_in_the_profile() -> None:
    """No path, header name, field name or status word of the API stands in code outside api/ and emulator/."""
    root = Path(bulkops.__file__).parent
    found = set()
    for file in root.rglob("*.py"):
        place = file.relative_to(root).as_posix()
        if place.split("/")[0] in ("api", "emulator"):
            continue
        for text in _texts(ast.parse(file.read_text("utf-8"))):
            lower = text.lower()
            found |= {(place, name) for name in NAMES if name in lower}
            found |= {(place, word) for word in WORDS if word == lower}
    assert found - ALLOWED == FOUND_ON_PURPOSE


FOUND_ON_PURPOSE = {
    # A name of ours that happens to be the same: a phase of a request.
    ("lifecycle.py", "ready"),
    # The field of a line that says which one is deleted.
    ("operations/tools.py", "tool_id"),
    # The columns of exports: a data set keeps them, whatever an API calls these things.
    ("exporting/rows.py", "transcript"),
    ("exporting/rows.py", "created_at"),
    ("exporting/export.py", "created_at"),
    ("reporting/html/exports.py", "created_at"),
}


def _texts(tree: ast.AST) -> list[str]:
    """Return the texts of a module that are no docstrings and no examples of job lines."""
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            left_out.add(id(node.value))
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id == "example"
        ):
            left_out |= {id(part) for part in ast.walk(node)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out
    ]
