"""Agents, as the live API tells them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from bulkops.emulator.answers import Answer
from bulkops.emulator.endpoints import merge_patch

from .configs import taken, whole, wrong_with
from .paging import page
from .refusing import body_of, flag, invalid, missing, problem

if TYPE_CHECKING:
    from bulkops.emulator.endpoints import Call
    from bulkops.emulator.things import Agent

ACCESS = {
    "is_creator": True,
    "creator_name": "Emulator",
    "creator_email": "emulator@emulator.invalid",
    "role": "admin",
}
NOBODY_NAMED_IT = "New Agent"
_SAFETY = {"is_blocked_ivc": False, "is_blocked_non_ivc": False, "ignore_safety_evaluation": False}
_OPTIONAL = {"name": str, "tags": list, "platform_settings": dict, "workflow": dict}
_KEPT = ("name", "tags", "platform_settings", "workflow", "conversation_config")


def create(call: Call) -> Answer:
    """POST /agents/create: only the id comes back."""
    body = _checked(body_of(call, {"conversation_config": dict}, _OPTIONAL))
    return _made(call, body, "agent.create")


def get(call: Call) -> Answer:
    """GET /agents/:id."""
    return Answer(200, _whole(call, agent_of(call)))


def update(call: Call) -> Answer:
    """PATCH /agents/:id: objects merge, lists replace, null leaves as it is at the top."""
    agent = agent_of(call)
    body = _checked(body_of(call, {}, {**_OPTIONAL, "conversation_config": dict}))
    merged = merge_patch(
        orjson.loads(agent.body), {key: value for key, value in body.items() if value is not None}
    )
    name = merged.get("name") or agent.name
    raw = orjson.dumps(merged)
    changed = call.world.update_agent(agent.agent_id, name, raw, now=call.now, request=call.ordinal)
    return Answer(200, _whole(call, changed))


def listing(call: Call) -> Answer:
    """GET /agents: those whose names hold the search, with any of the tags."""
    search, tags = call.query.get("search", "").casefold(), set(call.query.getlist("tags"))
    rows = [
        agent
        for agent in call.world.list_agents()
        if search in agent.name.casefold() and (not tags or tags & set(tags_of(agent)))
    ]
    if flag(call, "archived"):
        rows = []  # nobody archives anything here
    told, rest = page(
        call,
        rows,
        lambda agent: agent.agent_id,
        {
            "created_at": lambda agent: agent.created,
            "updated_at": lambda agent: agent.updated,
            "name": lambda agent: agent.name.casefold(),
        },
    )
    return Answer(200, {"agents": [_line(agent) for agent in told], **rest})


def delete(call: Call) -> Answer:
    """DELETE /agents/:id: nothing comes back."""
    call.world.delete_agent(agent_of(call).agent_id, now=call.now, request=call.ordinal)
    return Answer(200, b"")


def duplicate(call: Call) -> Answer:
    """POST /agents/:id/duplicate."""
    agent = agent_of(call)
    body = body_of(call, {}, {"name": str})
    name = body.get("name") or f"{agent.name} (copy)"
    return _made(call, {**orjson.loads(agent.body), "name": name}, "agent.duplicate")


def agent_of(call: Call, agent_id: str | None = None) -> Agent:
    """Find an agent, that of the path unless another is meant."""
    agent_id = call.id if agent_id is None else agent_id
    agent = call.world.agents.get(agent_id)
    if agent is None:
        raise missing("agent", agent_id)
    return agent


def tags_of(agent: Agent) -> list[str]:
    """Give the tags of an agent."""
    tags: list[str] = orjson.loads(agent.body).get("tags") or []
    return tags


def _made(call: Call, body: dict[str, Any], kind: str) -> Answer:
    name = body.get("name") or NOBODY_NAMED_IT
    agent = call.world.create_agent(name, orjson.dumps(body), now=call.now, request=call.ordinal, kind=kind)
    return Answer(200, {"agent_id": agent.agent_id})


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    """Return what the service takes of a body; refuses what it does not."""
    found = [
        problem(["body", "tags", number], "string_type", "Input should be a valid string")
        for number, tag in enumerate(body.get("tags") or [])
        if not isinstance(tag, str)
    ]
    config = body.get("conversation_config")
    if config is not None:
        found += wrong_with(config)
        body = {**body, "conversation_config": taken(config)}
    if platform := body.get("platform_settings"):
        # It is for the service alone to say.
        body = {
            **body,
            "platform_settings": {key: part for key, part in platform.items() if key != "safety"},
        }
    if found:
        raise invalid(found)
    return {key: body[key] for key in _KEPT if key in body}


def _whole(call: Call, agent: Agent) -> dict[str, Any]:
    body = orjson.loads(agent.body)
    config = whole(body["conversation_config"])
    prompt = config["agent"]["prompt"]
    # It tells the tools themselves beside their ids, and takes the two together from nobody.
    tools = [call.world.tools[each] for each in prompt["tool_ids"] if each in call.world.tools]
    prompt["tools"] = [orjson.loads(tool.body)["tool_config"] for tool in tools]
    version = hashlib.sha256(agent.body + agent.agent_id.encode()).hexdigest()[:20]
    branch = f"agtbrch_{agent.agent_id.removeprefix('agent_')}"
    return {
        "agent_id": agent.agent_id,
        "name": agent.name,
        "conversation_config": config,
        "metadata": {"created_at_unix_secs": int(agent.created), "updated_at_unix_secs": int(agent.updated)},
        "platform_settings": {**(body.get("platform_settings") or {}), "safety": _SAFETY},
        "phone_numbers": [],
        "workflow": body.get("workflow") or {"edges": {}, "nodes": {}, "prevent_subagent_loops": False},
        "access_info": ACCESS,
        "tags": body.get("tags") or [],
        "version_id": f"agtvrsn_{version}",
        "branch_id": branch,
        "main_branch_id": branch,
    }


def _line(agent: Agent) -> dict[str, Any]:
    body = orjson.loads(agent.body)
    return {
        "agent_id": agent.agent_id,
        "name": agent.name,
        "voice_id": whole(body["conversation_config"])["tts"]["voice_id"],
        "tags": body.get("tags") or [],
        "created_at_unix_secs": int(agent.created),
        "updated_at_unix_secs": int(agent.updated),
        "access_info": ACCESS,
        "last_call_time_unix_secs": None,
        "archived": False,
    }
