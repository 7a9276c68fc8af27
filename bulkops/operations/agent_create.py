"""Create an agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.existing import if_exists, make_agent
from bulkops.operation import Operation, json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAgent(Operation):
    """Create an agent from `body`, which is sent as it stands (API reference, Create Agent)."""

    kind: ClassVar[str] = "agent.create"
    makes: ClassVar[str | None] = "agent"
    example: ClassVar[Mapping[str, Json]] = {
        "op": "agent.create",
        "body": {
            "name": "Support Agent",
            "conversation_config": {"agent": {"prompt": {"prompt": "You are a helpful support agent."}}},
        },
    }

    body: Json = json_object("the agent, as the API wants it", required=True)
    if_exists: str | None = if_exists()

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        return (yield from make_agent(api, self.body, self.if_exists))
