"""Tools, as the live API tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from bulkops.emulator.answers import Answer, Refusal

from .agents import ACCESS
from .dependents import agents_with
from .paging import page
from .refusing import body_of, fields, flag, invalid, missing, one_of

if TYPE_CHECKING:
    from bulkops.emulator.endpoints import Call
    from bulkops.emulator.things import Made

_TYPES = ("webhook", "client", "system", "mcp", "api_integration_webhook")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def create(call: Call) -> Answer:
    """POST /tools."""
    body = _checked(call)
    name = body["tool_config"]["name"]
    made = call.world.create_tool(name, now=call.now, request=call.ordinal, body=orjson.dumps(body))
    return Answer(200, _whole(made))


def get(call: Call) -> Answer:
    """GET /tools/:id."""
    return Answer(200, _whole(_tool(call)))


def update(call: Call) -> Answer:
    """PATCH /tools/:id: the whole config takes the place of the old one."""
    tool = _tool(call)
    body = _checked(call)
    name = body["tool_config"]["name"]
    changed = call.world.update_tool(tool.id, name, orjson.dumps(body), now=call.now, request=call.ordinal)
    return Answer(200, _whole(changed))


def delete(call: Call) -> Answer:
    """DELETE /tools/:id: refused while an agent uses it, unless forced."""
    tool = _tool(call)
    users = agents_with(call.world, "tool_ids", tool.id)
    if users and not flag(call, "force"):
        raise Refusal(
            400, "tool_in_use", f"tool {tool.id} is used by {len(users)} agents; force takes it from them"
        )
    for agent, without in users:
        call.world.update_agent(agent.agent_id, agent.name, without, now=call.now, request=call.ordinal)
    call.world.delete_tool(tool.id, now=call.now, request=call.ordinal)
    return Answer(200, None)


def listing(call: Call) -> Answer:
    """GET /tools: those whose names begin with the search."""
    search, types = call.query.get("search", "").casefold(), call.query.getlist("types")
    rows = [
        tool
        for tool in call.world.tools.values()
        if tool.name.casefold().startswith(search) and (not types or _config(tool)["type"] in types)
    ]
    told, rest = page(
        call,
        rows,
        lambda tool: tool.id,
        {"created_at": lambda tool: tool.created, "name": lambda tool: tool.name.casefold()},
    )
    return Answer(200, {"tools": [_whole(tool) for tool in told], **rest})


def _checked(call: Call) -> dict[str, Any]:
    body = body_of(call, {"tool_config": dict}, {"response_mocks": list})
    config, loc = body["tool_config"], ["body", "tool_config"]
    found = fields(config, loc, {"type": str, "name": str, "description": str}, {})
    if not found:
        found = one_of(config["type"], _TYPES, [*loc, "type"])
    if not found and config["type"] == "webhook":
        found = fields(config, loc, {"api_schema": dict}, {"response_timeout_secs": int})
        schema = config.get("api_schema")
        if isinstance(schema, dict):
            place = [*loc, "api_schema"]
            found += fields(schema, place, {"url": str}, {"method": str, "request_headers": dict})
            found += one_of(schema.get("method") or "GET", _METHODS, [*place, "method"])
    if found:
        raise invalid(found)
    return {key: value for key, value in body.items() if key in {"tool_config", "response_mocks"}}


def _tool(call: Call) -> Made:
    tool = call.world.tools.get(call.id)
    if tool is None:
        raise missing("tool", call.id)
    return tool


def _config(tool: Made) -> dict[str, Any]:
    config: dict[str, Any] = orjson.loads(tool.body)["tool_config"]
    return config


def _whole(tool: Made) -> dict[str, Any]:
    usage = {"total_calls": 0, "avg_latency_secs": 0.0}
    return {"id": tool.id, "tool_config": _config(tool), "access_info": ACCESS, "usage_stats": usage}
