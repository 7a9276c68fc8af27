"""The endpoints of the API reference: a call comes in, an answer goes out. What lasts stands in `world`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from .answers import Answer, Refusal, bad
from .checks import json_object, mapping, number, text, texts
from .things import stamp
from .upload import Upload

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.datastructures import QueryParams

    from .things import Agent
    from .world import World

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PAGE_SIZE = 50
_LARGEST_PAGE = 100
_FAILING = re.compile(r"\bfail\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Call:
    """An admitted request: `id` stands in its path, `foreign` tells whether another key has an agent.

    Two ids have a slash between them.
    """

    world: World
    id: str
    payload: bytes | Upload
    query: QueryParams
    now: float
    ordinal: int
    foreign: Callable[[str], bool]

    @property
    def body(self) -> bytes:
        """The body as it was sent."""
        assert isinstance(self.payload, bytes)
        return self.payload

    @property
    def form(self) -> Upload:
        """What is known of an uploaded form."""
        assert isinstance(self.payload, Upload)
        return self.payload


def agent_create(call: Call) -> Answer:
    """Agents / Create Agent."""
    name = _agent_name(json_object(call.body))
    agent = call.world.create_agent(name, call.body, now=call.now, request=call.ordinal)
    return Answer(200, _agent_line(agent))


def agent_get(call: Call) -> Answer:
    """Agents / Get Agent: the documented keys, then whatever else the client gave the agent."""
    return _agent_whole(_agent(call, call.id))


def agent_update(call: Call) -> Answer:
    """Agents / Update Agent: an RFC 7396 merge patch. The reference shows no answer; that of Get Agent."""
    agent = _agent(call, call.id)
    merged = merge_patch(orjson.loads(agent.body), json_object(call.body))
    name = _agent_name(merged)
    raw = orjson.dumps(merged)
    return _agent_whole(call.world.update_agent(call.id, name, raw, now=call.now, request=call.ordinal))


def agent_list(call: Call) -> Answer:
    """Agents / List Agents, and Pagination: in the order of creation; a page after the last one is empty."""
    page = number(call.query, "page", default=1)
    per_page = number(call.query, "per_page", default=_PAGE_SIZE, most=_LARGEST_PAGE)
    agents = call.world.list_agents()
    rows = agents[(page - 1) * per_page : page * per_page]
    headers = {"X-Total-Count": str(len(agents)), "X-Page": str(page), "X-Per-Page": str(per_page)}
    return Answer(200, {"agents": [_agent_line(agent) for agent in rows]}, headers)


def agent_delete(call: Call) -> Answer:
    """Agents / Delete Agent."""
    _agent(call, call.id)
    call.world.delete_agent(call.id, now=call.now, request=call.ordinal)
    return Answer(200, {"success": True})


def agent_simulate(call: Call) -> Answer:
    """Answer Testing / Simulate Conversation. A criterion passes unless it contains the word "fail"."""
    _agent(call, call.id)
    body = json_object(call.body)
    scenario = text(body, "scenario")
    said = texts(body, "user_messages")
    criteria = texts(body, "success_criteria")
    verdicts = [not _FAILING.search(criterion) for criterion in criteria]
    details = [{"criterion": c, "passed": passed} for c, passed in zip(criteria, verdicts, strict=True)]
    made = call.world.simulate(scenario, now=call.now, request=call.ordinal)
    answer = {
        "simulation_id": made.id,
        "passed": all(verdicts),
        "transcript": "\n".join(f"User: {line}\nAgent: I understand: {line}" for line in said),
        "evaluation": {"criteria_met": sum(verdicts), "criteria_total": len(verdicts), "details": details},
    }
    return Answer(200, answer)


def conversation_create(call: Call) -> Answer:
    """Conversations / Create Conversation. The URL leads nowhere: a rehearsal never points at production."""
    body = json_object(call.body)
    agent = _agent(call, text(body, "agent_id"))
    for key in ("dynamic_variables", "overrides"):
        mapping(body, key)
    made = call.world.start_conversation(agent.agent_id, now=call.now, request=call.ordinal)
    query = f"agent_id={agent.agent_id}&conversation_signature={call.world.signature()}"
    answer = {
        "conversation_id": made.conversation_id,
        "signed_url": f"wss://emulator.invalid/v1/convai/conversation?{query}",
        "created_at": call.world.stamp(made.started),
    }
    return Answer(200, answer)


def conversation_get(call: Call) -> Answer:
    """Conversations / Get Conversation: `ended_at` is null until the call has ended."""
    found = call.world.conversations.get(call.id)
    if found is None:
        raise _missing("conversation", call.id)
    status = found.status(call.now)
    answer = {
        "conversation_id": found.conversation_id,
        "agent_id": found.agent_id,
        "transcript": call.world.transcript(found, call.now),
        "duration_seconds": found.seconds(call.now),
        "status": status,
        "created_at": call.world.stamp(found.started),
        "ended_at": call.world.stamp(found.ends) if status == "completed" else None,
    }
    return Answer(200, answer)


def document_upload(call: Call) -> Answer:
    """Knowledge Base / Upload Document."""
    form = call.form
    if form.size is None:
        raise bad("`file` is missing: a form part named file, with a file name")
    name = text(form.fields, "name")
    added = call.world.add_document(name, form.size, form.sha256, now=call.now, request=call.ordinal)
    return Answer(200, {"document_id": added.document_id, "name": name, "status": "processing"})


def document_index(call: Call) -> Answer:
    """Knowledge Base / Compute RAG Index: get or create, so a second call tells how far the first is."""
    model = text(json_object(call.body), "embedding_model")
    if call.id not in call.world.documents:
        raise _missing("document", call.id)
    index = call.world.compute_index(call.id, model, now=call.now, request=call.ordinal)
    return Answer(200, {"document_id": call.id, "status": index.status(call.now)})


def document_index_status(call: Call) -> Answer:
    """Knowledge Base / Get RAG Index Status: 404 before it was computed; a failed one says why in `error`."""
    document = call.world.documents.get(call.id)
    if document is None:
        raise _missing("document", call.id)
    index = document.index
    if index is None:
        raise Refusal(404, "rag_index_not_found", f"document {call.id} has no RAG index; compute it first")
    status = index.status(call.now)
    answer = {
        "document_id": call.id,
        "status": status,
        "embedding_model": index.model,
        "created_at": stamp(index.created),
    }
    if status == "failed":
        answer["error"] = f"document {document.name!r} has no text to index"
    return Answer(200, answer)


def tool_create(call: Call) -> Answer:
    """Tools / Create Webhook Tool."""
    body = json_object(call.body)
    name, url, method = (text(body, key) for key in ("name", "url", "method"))
    if not url.startswith(("http://", "https://")):
        raise bad("`url` must begin with http:// or https://")
    if method not in _METHODS:
        raise bad(f"`method` must be one of {', '.join(_METHODS)}")
    for key in ("parameters", "headers"):
        mapping(body, key)
    made = call.world.create_tool(name, now=call.now, request=call.ordinal)
    return Answer(200, {"tool_id": made.id, "name": made.name, "created_at": stamp(made.created)})


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply an RFC 7396 merge patch: objects merge, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def _agent(call: Call, agent_id: str) -> Agent:
    agent = call.world.agents.get(agent_id)
    if agent is None:
        if call.foreign(agent_id):
            raise Refusal(403, "agent_not_visible", f"agent {agent_id} is private to another workspace")
        raise _missing("agent", agent_id)
    return agent


def _missing(what: str, entity: str) -> Refusal:
    return Refusal(404, f"{what}_not_found", f"{what} {entity} does not exist")


def _agent_line(agent: Agent) -> dict[str, str]:
    return {"agent_id": agent.agent_id, "name": agent.name, "created_at": stamp(agent.created)}


def _agent_whole(agent: Agent) -> Answer:
    body = orjson.loads(agent.body)
    known = {
        "agent_id": agent.agent_id,
        "name": agent.name,
        "conversation_config": body["conversation_config"],
        "created_at": stamp(agent.created),
        "updated_at": stamp(agent.updated),
    }
    return Answer(200, known | {key: value for key, value in body.items() if key not in known})


def _agent_name(body: dict[str, Any]) -> str:
    mapping(body, "conversation_config", required=True)
    return text(body, "name")
