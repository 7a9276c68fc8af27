"""Tests of agents: made once, run as often as is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import orjson

from bulkops.asked import Asked, Deletion, Listed, request_of, result_of
from bulkops.model import Save
from bulkops.operation import Operation, duration, entity, json_object, seconds
from bulkops.polling import until_settled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTest(Asked):
    """Create a test of agents from `body`, which is sent as it stands (live API: `/agent-testing/create`)."""

    kind: ClassVar[str] = "test.create"
    makes: ClassVar[str | None] = "test"
    example: ClassVar[Mapping[str, Json]] = {
        "op": "test.create",
        "body": {
            "type": "simulation",
            "name": "Refund",
            "simulation_scenario": "Customer requests refund",
            "success_conditions": ["Agent acknowledges request"],
        },
    }

    body: Json = json_object("the test, as the API wants it", required=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTest(Asked):
    """Read a test (live API: `/agent-testing/:id`)."""

    kind: ClassVar[str] = "test.get"
    example: ClassVar[Mapping[str, Json]] = {"op": "test.get", "test_id": "test_1"}

    test_id: str = entity("the test to read")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTests(Listed):
    """Write one row per test to `lists/ID.jsonl` in the run folder (live API: `/agent-testing`)."""

    kind: ClassVar[str] = "test.list"
    example: ClassVar[Mapping[str, Json]] = {"id": "tests", "op": "test.list"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTest(Deletion):
    """Delete a test (live API: `/agent-testing/:id`).

    One that is gone already counts as deleted; its result says `gone`.
    """

    kind: ClassVar[str] = "test.delete"
    deletes: ClassVar[str | None] = "test_id"
    example: ClassVar[Mapping[str, Json]] = {"op": "test.delete", "test_id": "test_1"}

    test_id: str = entity("the test to delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTests(Operation):
    """Run tests on an agent and wait for their ends (live API: `/agents/:id/run-tests`).

    A test that is not passed is a failed check, not a failed request. What was said is written to `transcripts/`.
    Runs cost credits: one whose answer was lost is held and never repeated by itself.
    """

    kind: ClassVar[str] = "test.run"
    example: ClassVar[Mapping[str, Json]] = {
        "op": "test.run",
        "agent_id": "agent_abc123",
        "body": {"tests": [{"test_id": "test_1"}]},
    }

    agent_id: str = entity("the agent to test")
    body: Json = json_object("the tests to run, as the API wants it", required=True)
    deadline: str = duration("how long to wait for their ends", default="30m")

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        begun = yield request_of(self, api)
        run = api.endpoint(self.kind)
        assert run.entity is not None
        entity_id, watch = begun.json[run.entity], api.watches["test"]
        suite: Mapping[str, Json] = begun.json
        if not watch.settled(suite):
            suite = yield from until_settled(api, "test", entity_id, seconds(self.deadline))
        yield Save("transcripts", entity_id, ".json", orjson.dumps(suite) + b"\n")
        return result_of(self, api, suite)

    def passed(self, api: Profile, result: Mapping[str, Json]) -> bool | None:
        """See `Operation.passed`."""
        return api.evaluation_passed(result) is True
