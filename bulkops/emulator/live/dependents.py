"""Which agents use a document or a tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import orjson

if TYPE_CHECKING:
    from bulkops.emulator.things import Agent
    from bulkops.emulator.world import World


def agents_with(
    world: World, key: Literal["tool_ids", "knowledge_base"], entity: str
) -> list[tuple[Agent, bytes]]:
    """Find the agents whose prompt names a thing under `key`, each with its body as it would be without."""
    found, sought = [], entity.encode()
    for agent in list(world.agents.values()):
        if sought not in agent.body:
            continue
        body = orjson.loads(agent.body)
        prompt = body["conversation_config"].get("agent", {}).get("prompt", {})
        named = prompt.get(key) or []
        left = [each for each in named if _id(each) != entity]
        if len(left) < len(named):
            prompt[key] = left
            found.append((agent, orjson.dumps(body)))
    return found


def _id(named: Any) -> Any:
    return named.get("id") if isinstance(named, dict) else named
