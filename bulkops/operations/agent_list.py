"""List the account's agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.listing import list_rows
from bulkops.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAgents(Operation):
    """Write one row per agent to `lists/ID.jsonl` in the run folder (API reference, List Agents).

    ID is the id of the line; without one, the file is named after the line's number.
    """

    kind: ClassVar[str] = "agent.list"
    lists: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Json]] = {"id": "all", "op": "agent.list"}

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        return (yield from list_rows(api, api.agent_list))
