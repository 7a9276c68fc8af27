"""Read an agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.operation import Operation, entity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAgent(Operation):
    """Read an agent with its whole configuration (API reference, Get Agent)."""

    kind: ClassVar[str] = "agent.get"
    example: ClassVar[Mapping[str, Json]] = {"op": "agent.get", "agent_id": "agent_abc123"}

    agent_id: str = entity("the agent to read")

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        agent = yield api.agent_get.request(agent_id=self.agent_id)
        return dict(agent.json)
