"""Change an agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.merging import added_to, adds
from bulkops.operation import Operation, entity, json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAgent(Operation):
    """Change the fields of an agent that `body` names (API reference, Update Agent)."""

    kind: ClassVar[str] = "agent.update"
    adds: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Json]] = {
        "op": "agent.update",
        "agent_id": "agent_abc123",
        "body": {"conversation_config": {"agent": {"language": "de"}}},
    }

    agent_id: str = entity("the agent to change")
    body: Json = json_object("what to change, as the API wants it", required=True)

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        body = self.body
        if adds(body):
            current = yield api.agent_get.request(agent_id=self.agent_id)
            body = added_to(body, current.json)
        updated = yield api.agent_update.request(body, agent_id=self.agent_id)
        return {api.agent_id_field: self.agent_id, **(updated.json or {})}
