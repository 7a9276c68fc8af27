"""Copy an agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.existing import if_exists, make_agent
from bulkops.merging import merge_patch
from bulkops.model import Pinned
from bulkops.operation import Operation, entity, json_object, text, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneAgent(Operation):
    """Read an agent once, drop what the server assigns, apply `set` and `name`, create the copies.

    All copies of a line come from one snapshot of the source, also over a crash, and so do the rows of an `$each`.
    `${copy}` in a text of the line is the number of the copy, from 1.
    """

    kind: ClassVar[str] = "agent.clone"
    makes: ClassVar[str | None] = "agent"
    example: ClassVar[Mapping[str, Json]] = {
        "op": "agent.clone",
        "agent_id": "agent_abc123",
        "name": "Support Agent ${copy}",
        "set": {"conversation_config": {"agent": {"language": "de"}}},
        "copies": 2,
    }
    many: ClassVar[str | None] = "copies"
    snapshot: ClassVar[str | None] = "agent_id"

    agent_id: str = entity("the agent to copy")
    name: str | None = text("the name of the copy; without it the copy keeps the source's")
    set: Json = json_object("a merge patch (RFC 7396) over the source's configuration")
    if_exists: str | None = if_exists()
    copies: int = whole("how many copies to make", default=1)

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        source = yield api.agent_get.request(agent_id=self.agent_id, pinned=Pinned.LINE)
        body = {key: value for key, value in source.json.items() if key not in api.agent_assigned}
        body = merge_patch(body, self.set or {})
        if self.name is not None:
            body[api.name_field] = self.name
        made = yield from make_agent(api, body, self.if_exists)
        return {**made, "source": {api.agent_id_field: self.agent_id}}
