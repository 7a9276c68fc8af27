"""Every endpoint against the example that the API reference documents for it, key by key and type by type."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from bulkops.emulator.faults import ENDPOINTS
from bulkops.emulator.routes import ROUTES

if TYPE_CHECKING:
    import httpx

# Copied from the API reference; `{ ... }` of Get Agent is written as {}.
CREATE_AGENT = """{
  "name": "Support Agent",
  "conversation_config": {
    "agent": {
      "prompt": {
        "prompt": "You are a helpful support agent.",
        "llm": "gpt-4o",
        "temperature": 0.7,
        "max_tokens": 500,
        "tool_ids": ["tool_123"],
        "knowledge_base": ["doc_456"]
      },
      "first_message": "Hello! How can I help?",
      "language": "en"
    },
    "tts": {
      "model_id": "eleven_turbo_v2_5",
      "voice_id": "voice_abc123",
      "stability": 0.5,
      "similarity_boost": 0.75,
      "speed": 1.0
    },
    "asr": {"quality": "high", "provider": "deepgram"},
    "turn": {"mode": "normal"}
  }
}"""
AGENT_LINE = """{
  "agent_id": "agent_abc123",
  "name": "Support Agent",
  "created_at": "2025-11-03T12:00:00Z"
}"""
AGENT = """{
"agent_id": "agent_abc123",
"name": "Support Agent",
"conversation_config": {},
"created_at": "2025-11-03T12:00:00Z",
"updated_at": "2025-11-03T14:00:00Z"
}"""
AGENTS = f'{{"agents": [{AGENT_LINE}]}}'
DELETED = '{"success": true}'
CREATE_CONVERSATION = """{
  "agent_id": "agent_abc123",
  "dynamic_variables": {"user_name": "John", "account_tier": "premium"},
  "overrides": {"agent": {"prompt": {"prompt": "Custom prompt override"}}}
}"""
CONVERSATION_CREATED = """{
  "conversation_id": "conv_xyz789",
  "signed_url": "wss://api.elevenlabs.io/v1/convai/...",
  "created_at": "2025-11-03T12:00:00Z"
}"""
CONVERSATION = """{
  "conversation_id": "conv_xyz789",
  "agent_id": "agent_abc123",
  "transcript": "...",
  "duration_seconds": 120,
  "status": "completed",
  "created_at": "2025-11-03T12:00:00Z",
  "ended_at": "2025-11-03T12:02:00Z"
}"""
UPLOADED = '{"document_id": "doc_456", "name": "Support Documentation", "status": "processing"}'
COMPUTE = '{"embedding_model": "e5_mistral_7b"}'
COMPUTING = '{"document_id": "doc_456", "status": "computing"}'
INDEX = """{
  "document_id": "doc_456",
  "status": "ready",
  "embedding_model": "e5_mistral_7b",
  "created_at": "2025-11-03T12:00:00Z"
}"""
CREATE_TOOL = """{
  "name": "get_weather",
  "description": "Fetch current weather for a city",
  "url": "https://api.weather.com/v1/current",
  "method": "GET",
  "parameters": {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "City name"}},
    "required": ["city"]
  },
  "headers": {"Authorization": "Bearer {{secret__weather_api_key}}"}
}"""
TOOL_CREATED = '{"tool_id": "tool_123", "name": "get_weather", "created_at": "2025-11-03T12:00:00Z"}'
SIMULATE = """{
  "scenario": "Customer requests refund",
  "user_messages": ["I want a refund for order #12345", "I ordered it last week"],
  "success_criteria": ["Agent acknowledges request", "Agent provides timeline"]
}"""
SIMULATED = """{
  "simulation_id": "sim_123",
  "passed": true,
  "transcript": "...",
  "evaluation": {
    "criteria_met": 2,
    "criteria_total": 2,
    "details": [
      {"criterion": "Agent acknowledges request", "passed": true},
      {"criterion": "Agent provides timeline", "passed": true}
    ]
  }
}"""
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def assert_same_shape(reply: Any, example: Any, where: str = "reply") -> None:
    """Keys are the same (an empty example object stands for any), types are the same, all the way down."""
    assert type(reply) is type(example), where
    if isinstance(example, dict) and example:
        assert reply.keys() == example.keys(), where
        for key, value in example.items():
            assert_same_shape(reply[key], value, f"{where}.{key}")
    elif isinstance(example, list):
        assert len(reply) == len(example), where
        for each, value in zip(reply, example, strict=True):
            assert_same_shape(each, value, f"{where}[]")
    elif isinstance(example, str):
        assert bool(MOMENT.fullmatch(reply)) == bool(MOMENT.fullmatch(example)), where
        if re.fullmatch(r"[a-z]+_\w+", example) and "_id" in where:
            assert re.fullmatch(example.split("_")[0] + r"_\w{20}", reply), where


@pytest.fixture
def agent_id(api: httpx.Client) -> str:
    """Give the id of an agent made from the documented example."""
    return str(api.post("/agents/create", json=json.loads(CREATE_AGENT)).json()["agent_id"])


@pytest.fixture
def document_id(api: httpx.Client) -> str:
    """Give the id of an uploaded document."""
    reply = api.post(
        "/knowledge-base/upload",
        files={"file": ("a.md", b"# Help")},
        data={"name": "Support Documentation"},
    )
    return str(reply.json()["document_id"])


def test_the_examples_reach_every_endpoint_of_the_reference() -> None:
    """The routes are the twelve endpoints that faults can name, and no others."""
    assert sorted(e.name for methods in ROUTES.values() for e in methods.values()) == sorted(ENDPOINTS)


def test_create_agent(api: httpx.Client) -> None:
    """Create Agent answers its example."""
    reply = api.post("/agents/create", json=json.loads(CREATE_AGENT))
    assert reply.status_code == 200
    assert_same_shape(reply.json(), json.loads(AGENT_LINE))
    assert reply.json()["name"] == "Support Agent"


def test_get_agent(api: httpx.Client, agent_id: str) -> None:
    """Get Agent answers its example, with the config as it was sent."""
    reply = api.get(f"/agents/{agent_id}").json()
    assert_same_shape(reply, json.loads(AGENT))
    assert reply["conversation_config"] == json.loads(CREATE_AGENT)["conversation_config"]


def test_update_agent(api: httpx.Client, agent_id: str) -> None:
    """Update Agent, which takes the body of Create Agent, answers like Get Agent."""
    reply = api.patch(f"/agents/{agent_id}", json=json.loads(CREATE_AGENT))
    assert reply.status_code == 200
    assert_same_shape(reply.json(), json.loads(AGENT))


def test_list_agents(talk: Any, emulate: Any) -> None:
    """List Agents answers its example."""
    api = talk(emulate())
    api.post("/agents/create", json=json.loads(CREATE_AGENT))
    assert_same_shape(api.get("/agents").json(), json.loads(AGENTS))


def test_delete_agent(api: httpx.Client, agent_id: str) -> None:
    """Delete Agent answers its example, and the agent is gone."""
    assert api.delete(f"/agents/{agent_id}").json() == json.loads(DELETED)
    assert api.get(f"/agents/{agent_id}").status_code == 404


def test_create_conversation(api: httpx.Client, agent_id: str) -> None:
    """Create Conversation answers its example, with a wss URL."""
    body = json.loads(CREATE_CONVERSATION) | {"agent_id": agent_id}
    reply = api.post("/conversations/create", json=body).json()
    assert_same_shape(reply, json.loads(CONVERSATION_CREATED))
    assert reply["signed_url"].startswith("wss://")


def test_get_conversation(api: httpx.Client) -> None:
    """Get Conversation answers its example for a call that has ended."""
    reply = api.get("/conversations/conv_seed_0001").json()
    example = json.loads(CONVERSATION) | {"conversation_id": "…", "agent_id": "…"}
    assert_same_shape(reply, example)
    assert reply["status"] == "completed"


def test_upload_document(api: httpx.Client) -> None:
    """Upload Document answers its example."""
    form = {"name": "Support Documentation"}
    reply = api.post(
        "/knowledge-base/upload", files={"file": ("a.md", b"# Help", "text/markdown")}, data=form
    )
    assert reply.status_code == 200
    assert_same_shape(reply.json(), json.loads(UPLOADED))
    assert reply.json() | {"document_id": "doc_456"} == json.loads(UPLOADED)


def test_compute_rag_index(talk: Any, emulate: Any) -> None:
    """Compute RAG Index answers its example."""
    api = talk(emulate(index_time=1000.0))
    form = {"name": "Support Documentation"}
    made = api.post("/knowledge-base/upload", files={"file": ("a.md", b"")}, data=form).json()
    reply = api.post(f"/knowledge-base/{made['document_id']}/rag-index", json=json.loads(COMPUTE)).json()
    assert_same_shape(reply, json.loads(COMPUTING))
    assert reply["status"] == "computing"


def test_get_rag_index_status(api: httpx.Client, document_id: str) -> None:
    """Get RAG Index Status answers its example."""
    api.post(f"/knowledge-base/{document_id}/rag-index", json=json.loads(COMPUTE))
    reply = api.get(f"/knowledge-base/{document_id}/rag-index").json()
    assert_same_shape(reply, json.loads(INDEX))
    assert (reply["status"], reply["embedding_model"]) == ("ready", "e5_mistral_7b")


def test_create_webhook_tool(api: httpx.Client) -> None:
    """Create Webhook Tool answers its example."""
    reply = api.post("/tools/webhook", json=json.loads(CREATE_TOOL))
    assert reply.status_code == 200
    assert_same_shape(reply.json(), json.loads(TOOL_CREATED))


def test_simulate_conversation(api: httpx.Client, agent_id: str) -> None:
    """Simulate Conversation answers its example, with the same evaluation."""
    reply = api.post(f"/agents/{agent_id}/simulate", json=json.loads(SIMULATE)).json()
    assert_same_shape(reply, json.loads(SIMULATED))
    assert reply["evaluation"] == json.loads(SIMULATED)["evaluation"]
    assert reply["passed"] is True
