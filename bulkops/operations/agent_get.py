"""Read an agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.asked import Asked
from bulkops.operation import entity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAgent(Asked):
    """Read an agent with its whole configuration (API reference, Get Agent)."""

    kind: ClassVar[str] = "agent.get"
    example: ClassVar[Mapping[str, Json]] = {"op": "agent.get", "agent_id": "agent_abc123"}

    agent_id: str = entity("the agent to read")
