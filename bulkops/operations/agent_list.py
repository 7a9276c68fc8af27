"""List the account's agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.listing import list_rows
from bulkops.operation import Operation, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAgents(Operation):
    """Write one row per agent to `lists/NAME.jsonl` in the run folder (API reference, List Agents)."""

    kind: ClassVar[str] = "agent.list"
    example: ClassVar[Mapping[str, Json]] = {"op": "agent.list", "name": "agents"}

    name: str = text("the name of the list", default="agents")

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        return (yield from list_rows(api, api.agent_list, self.name))
