"""Simulate a conversation with an agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from bulkops.model import Save
from bulkops.operation import Operation, checked, entity, json_object, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


def _is_expectation(value: Any) -> str | None:
    if isinstance(value, dict) and set(value) == {"pass_rate"}:
        rate = value["pass_rate"]
        if isinstance(rate, int | float) and not isinstance(rate, bool) and 0 <= rate <= 1:
            return None
    return 'has to be {"pass_rate": N} with N from 0 to 1'


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateConversation(Operation):
    """Run a scenario against an agent and hear which criteria it met (API reference, Simulate Conversation).

    A criterion that is not met is a failed check, not a failed request. `repeat` runs the scenario so many
    times, and the line passes when at least the share `expect.pass_rate` of them (all, unless given) passed.
    What was said is written to `transcripts/`, the evaluation to the results.

    A simulation costs credits: one whose answer was lost is held and never repeated by itself.
    """

    kind: ClassVar[str] = "agent.simulate"
    example: ClassVar[Mapping[str, Json]] = {
        "op": "agent.simulate",
        "agent_id": "agent_abc123",
        "body": {
            "scenario": "Customer requests refund",
            "user_messages": ["I want a refund for order #12345", "I ordered it last week"],
            "success_criteria": ["Agent acknowledges request", "Agent provides timeline"],
        },
    }
    many: ClassVar[str | None] = "repeat"

    agent_id: str = entity("the agent to talk to")
    body: Json = json_object("the scenario, as the API wants it", required=True)
    repeat: int = whole("how many times to run it", default=1)
    expect: Json = checked(
        'the share that has to pass, such as {"pass_rate": 0.8}',
        _is_expectation,
        {
            "type": "object",
            "properties": {"pass_rate": {"type": "number", "minimum": 0, "maximum": 1}},
            "required": ["pass_rate"],
            "additionalProperties": False,
        },
    )

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        simulated = yield api.agent_simulate.request(self.body, agent_id=self.agent_id)
        simulation = simulated.json
        entity = api.agent_simulate.entity
        yield Save(
            "transcripts",
            None if entity is None else simulation[entity],
            ".json",
            orjson.dumps(simulation) + b"\n",
        )
        evaluation = {key: value for key, value in simulation.items() if key != api.transcript_field}
        return {**evaluation, "expect": self.expect or {"pass_rate": 1}}

    def passed(self, api: Profile, result: Mapping[str, Json]) -> bool | None:
        """See `Operation.passed`."""
        # An answer without a verdict is no passed check.
        return api.evaluation_passed(result) is True
