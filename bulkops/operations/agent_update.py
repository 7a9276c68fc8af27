"""Change an agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.guarding import read_before, wrong_moment
from bulkops.merging import added_to, adds
from bulkops.model import Changed
from bulkops.operation import TEXT, Operation, checked, entity, json_object
from bulkops.readback import as_expected, expectation, read_back

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAgent(Operation):
    """Change the fields of an agent that `body` names (API reference, Update Agent).

    The agent is read once before that, for `bulkops undo`. When it does not read as expected, it is left alone and the
    operation fails with the code `changed_since`.
    """

    kind: ClassVar[str] = "agent.update"
    adds: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Json]] = {
        "op": "agent.update",
        "agent_id": "agent_abc123",
        "body": {"conversation_config": {"agent": {"language": "de"}}},
    }

    agent_id: str = entity("the agent to change")
    body: Json = json_object("what to change, as the API wants it", required=True)
    expected: Json = json_object("how it has to read before that: of objects, the keys that are named here")
    unchanged_since: str | None = checked(
        "when it has to have been changed last, or earlier", wrong_moment, TEXT
    )
    expect: Json = expectation()

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        adding = adds(self.body)
        read = read_before(api, self.agent_id, self.expected, self.unchanged_since, needed=adding)
        before = yield read
        body = added_to(self.body, before.json) if adding else self.body
        updated = yield api.agent_update.request(body, agent_id=self.agent_id)
        if before.json is not None:
            yield Changed(self.agent_id, body)
        result = {api.agent_id_field: self.agent_id, **(updated.json or {})}
        if self.expect is None:
            return result
        return {**result, **(yield from read_back(api, self.agent_id, body))}

    def passed(self, api: Profile, result: Mapping[str, Json]) -> bool | None:  # noqa: ARG002 - as all kinds
        """See `Operation.passed`."""
        return as_expected(result) if self.expect is not None else None
