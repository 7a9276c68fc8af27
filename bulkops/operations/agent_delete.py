"""Delete an agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.errors import OperationFailed
from bulkops.guarding import read_before, wrong_moment
from bulkops.model import Changed
from bulkops.operation import TEXT, Operation, checked, entity, json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps

_NOT_FOUND = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAgent(Operation):
    """Delete an agent (API reference, Delete Agent); `bulkops undo` can make it again, under another id.

    The agent is read once before that. When it does not read as expected, it is left alone and the operation fails
    with the code `changed_since`. One that is gone already counts as deleted; its result says `gone`.
    """

    kind: ClassVar[str] = "agent.delete"
    deletes: ClassVar[str | None] = "agent_id"
    may_tell: ClassVar[frozenset[str]] = frozenset({"gone"})
    example: ClassVar[Mapping[str, Json]] = {"op": "agent.delete", "agent_id": "agent_abc123"}

    agent_id: str = entity("the agent to delete")
    expected: Json = json_object("how it has to read before that: of objects, the keys that are named here")
    unchanged_since: str | None = checked(
        "when it has to have been changed last, or earlier; `made` for when it was made", wrong_moment, TEXT
    )

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        try:
            before = yield read_before(api, self.agent_id, self.expected, self.unchanged_since)
            deleted = yield api.agent_delete.request(agent_id=self.agent_id)
        except OperationFailed as refusal:
            if refusal.status != _NOT_FOUND:
                raise
            return {api.agent_id_field: self.agent_id, "gone": True}
        if before.json is not None:
            yield Changed(self.agent_id)
        return {api.agent_id_field: self.agent_id, **(deleted.json or {})}
