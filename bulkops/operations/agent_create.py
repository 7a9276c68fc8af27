"""Create an agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.existing import if_exists, make_agent
from bulkops.operation import Operation, json_object
from bulkops.readback import as_expected, expectation, read_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    expect: Json = expectation()

    @classmethod
    def wrong_together(cls, given: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
        """See `Operation.wrong_together`."""
        body, way = given.get("body"), given.get("if_exists")
        if isinstance(body, dict) and not body.get("name") and way not in (None, "create"):
            yield "if_exists", f"is {way}, which goes by the name, and the body has none; give it a `name`"

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        made = yield from make_agent(api, self.body, self.if_exists)
        if self.expect is None:
            return made
        return {**made, **(yield from read_back(api, made[api.agent_id_field], self.body))}

    def passed(self, api: Profile, result: Mapping[str, Json]) -> bool | None:  # noqa: ARG002 - as all kinds
        """See `Operation.passed`."""
        return as_expected(result) if self.expect is not None else None
