"""Copy an agent within its account, by the API itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.operation import Operation, entity, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateAgent(Operation):
    """Have the API copy an agent with all its branches (live API: `/agents/:id/duplicate`).

    `agent.clone` makes many copies that differ, also in other accounts. Give a `name`: by that the copy is found again
    where the answer was lost.
    """

    kind: ClassVar[str] = "agent.duplicate"
    makes: ClassVar[str | None] = "agent"
    example: ClassVar[Mapping[str, Json]] = {
        "op": "agent.duplicate",
        "agent_id": "agent_abc123",
        "name": "Support Agent 2",
    }

    agent_id: str = entity("the agent to copy")
    name: str | None = text("the name of the copy; without it the API gives it one")

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        body = {} if self.name is None else {api.name_field: self.name}
        made = yield api.endpoint(self.kind).request(body, agent_id=self.agent_id)
        return {**made.json, "source": {api.agent_id_field: self.agent_id}}
