"""Delete an agent."""

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
class DeleteAgent(Operation):
    """Delete an agent (API reference, Delete Agent). It cannot be taken back.

    An agent that is gone when the deletion is asked for again counts as deleted.
    """

    kind: ClassVar[str] = "agent.delete"
    example: ClassVar[Mapping[str, Json]] = {"op": "agent.delete", "agent_id": "agent_abc123"}

    agent_id: str = entity("the agent to delete")

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        deleted = yield api.agent_delete.request(agent_id=self.agent_id)
        return {api.agent_id_field: self.agent_id, **(deleted.json or {})}
