"""Conversations, tools, simulations and tests of the live API, as the vendor's SDK finds them."""

from __future__ import annotations

import json
import time
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from elevenlabs import (
    ElevenLabs,
    PromptEvaluationCriteria,
    SingleTestRunRequestModel,
    ToolRequestModel,
)
from elevenlabs.conversational_ai.tests.types.tests_create_request_body import (
    TestsCreateRequestBody_Simulation as Simulation,
)
from elevenlabs.core import ApiError

from bulkops.emulator import Webhook, World
from bulkops.emulator.live.conversations import post_call, status_of, told
from tests.emulator.webhook_receiver import receiving

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Witness

TOOL = {
    "type": "webhook",
    "name": "get_weather",
    "description": "Fetch the weather",
    "api_schema": {
        "url": "https://api.weather.com/v1/current",
        "method": "GET",
        "request_headers": {},
        "path_params_schema": {},
    },
}


def test_a_conversation_that_is_done_is_told_whole(live: Witness) -> None:
    """The transcript is a list of turns, times are unix seconds, and the analysis is there."""
    got = live.whole(live.api.conversations.get("conv_seed_0001"))
    assert (got.status, got.has_audio, got.agent_name) == ("done", True, "Seeded Agent")
    assert {turn.role for turn in got.transcript} == {"agent", "user"}
    assert got.metadata.call_duration_secs > 0
    assert got.analysis.call_successful in {"success", "failure"}


def test_conversations_are_told_newest_first_and_filtered(witness: Callable[..., Witness]) -> None:
    """All are told once over pages, and the filters take away what they name."""
    live = witness(conversations=80)
    conversations, seen, cursor, more = live.api.conversations, [], None, True
    while more:
        page = live.whole(conversations.list(page_size=30, cursor=cursor))
        seen += page.conversations
        cursor, more = page.next_cursor, page.has_more
    starts = [each.start_time_unix_secs for each in seen]
    assert (len({each.conversation_id for each in seen}), starts) == (80, sorted(starts, reverse=True))
    assert {each.status for each in seen} == {"done", "failed", "in-progress"}

    def found(**query: Any) -> set[str]:
        return {each.status for each in conversations.list(page_size=100, **query).conversations}

    assert found(exclude_statuses=["failed", "in-progress"]) == {"done"}
    assert found(call_start_before_unix=min(starts)) == set()
    assert found(agent_id="agent_other") == set()
    middle = sorted(starts)[40]
    both = conversations.list(page_size=100, call_start_before_unix=middle).conversations
    assert len(both) == 40


def test_a_deleted_conversation_is_gone(live: Witness) -> None:
    """Delete answers JSON of no meaning; get then finds nothing."""
    live.api.conversations.delete("conv_seed_0002")
    with pytest.raises(ApiError) as caught:
        live.api.conversations.get("conv_seed_0002")
    assert (caught.value.status_code, caught.value.body["detail"]["code"]) == (404, "conversation_not_found")


def test_audio_is_bytes_of_a_sound(live: Witness) -> None:
    """The audio of a call that is done is audio/mpeg."""
    sound = live.raw.get("/conversations/conv_seed_0001/audio")
    assert (sound.headers["content-type"], sound.content[:2]) == ("audio/mpeg", b"\xff\xfb")
    assert b"".join(live.api.conversations.audio.get("conv_seed_0001")) == sound.content


def test_a_signed_url_makes_no_conversation_unless_its_id_is_wanted(live: Witness) -> None:
    """There is a conversation only once somebody connects; the URL leads nowhere."""
    agent = live.api.agents.create(conversation_config={}).agent_id
    url = live.whole(live.api.conversations.get_signed_url(agent_id=agent)).signed_url
    assert url.startswith("wss://emulator.invalid/")
    assert [effect.kind for effect in live.emulator.effects] == ["agent.create"]
    url = live.api.conversations.get_signed_url(agent_id=agent, include_conversation_id=True).signed_url
    begun = url.rpartition("conversation_id=")[2]
    assert live.whole(live.api.conversations.get(begun)).status == "initiated"
    begun = live.whole(live.api.conversations.get_webrtc_token(agent_id=agent)).conversation_id
    assert live.api.conversations.get(begun).agent_id == agent


def test_a_conversation_has_five_states_and_its_event_tells_what_get_tells() -> None:
    """Initiated, in-progress, processing, then done or failed; the event's data is the answer of that moment."""
    world = World(label="w", rng=Random(1), epoch=1_700_000_000.0, thinking=2.0)
    agent = world.create_agent("a", b'{"conversation_config":{}}', now=0.0)
    call = world.start_conversation(agent.agent_id, now=10.0)
    moments = (call.started, call.answered, call.ends, call.analysed)
    assert [status_of(call, at) for at in moments] == ["initiated", "in-progress", "processing", "done"]
    assert told(world, call, call.ends)["analysis"] is None
    event = json.loads(post_call(world, call, 1, call.analysed))
    assert event["data"] == told(world, call, call.analysed + 100)
    assert event["event_timestamp"] == int(1_700_000_000 + call.analysed)


def test_a_tool_is_made_read_changed_found_and_deleted(live: Witness) -> None:
    """A tool has an id and its config; a patch replaces the config; delete answers null."""
    tools = live.api.tools
    made = live.raw.post("/tools", json={"tool_config": TOOL}).json()
    got = live.whole(tools.get(made["id"]))
    assert (got.tool_config.name, got.tool_config.api_schema.method) == ("get_weather", "GET")
    changed = {**TOOL, "name": "weather", "response_timeout_secs": 30}
    live.raw.patch(f"/tools/{made['id']}", json={"tool_config": changed})
    page = live.whole(tools.list(search="wea", types=["webhook"]))
    assert ([each.id for each in page.tools], page.has_more) == ([made["id"]], False)
    assert tools.list(search="eather").tools == []
    tools.delete(made["id"])
    assert (live.heard[-1].json(), live.raw.get(f"/tools/{made['id']}").status_code) == (None, 404)


def test_the_sdk_makes_and_changes_a_tool(live: Witness) -> None:
    """What the SDK sends for a tool is taken, and its answer understood."""
    request = ToolRequestModel.model_validate({"tool_config": TOOL})
    made = live.whole(live.api.tools.create(request=request))
    assert live.whole(live.api.tools.update(made.id, request=request)).id == made.id


@pytest.mark.parametrize("lacking", ["type", "name", "description", "api_schema"])
def test_a_tool_without_what_it_needs_is_refused(live: Witness, lacking: str) -> None:
    """What is missing is told with its place."""
    config = {key: value for key, value in TOOL.items() if key != lacking}
    reply = live.raw.post("/tools", json={"tool_config": config})
    assert reply.json()["detail"][0] == {
        "loc": ["body", "tool_config", lacking],
        "msg": "Field required",
        "type": "missing",
    }


def test_a_tool_in_use_goes_only_by_force(live: Witness) -> None:
    """Delete refuses while an agent has the tool; forced, it takes it from the agent."""
    tool = live.raw.post("/tools", json={"tool_config": TOOL}).json()["id"]
    agent = live.api.agents.create(conversation_config={"agent": {"prompt": {"tool_ids": [tool]}}}).agent_id
    with pytest.raises(ApiError, match="tool_in_use"):
        live.api.tools.delete(tool)
    live.api.tools.delete(tool, force=True)
    assert live.api.agents.get(agent).conversation_config.agent.prompt.tool_ids == []


def test_a_simulation_answers_turns_and_an_analysis(live: Witness) -> None:
    """Each criterion has a result; one with the word fail in it is not met."""
    agent = live.api.agents.create(conversation_config={}).agent_id
    criteria = [
        PromptEvaluationCriteria(id=name, name=name, conversation_goal_prompt=goal)
        for name, goal in (("kind", "The agent is kind"), ("bad", "The agent must fail"))
    ]
    reply = live.whole(
        live.api.agents.simulate_conversation(
            agent,
            simulation_specification={"simulated_user_config": {"prompt": {"prompt": "You want a refund"}}},
            extra_evaluation_criteria=criteria,
        )
    )
    assert [turn.role for turn in reply.simulated_conversation] == ["user", "agent"]
    assert {name: each.result for name, each in reply.analysis.evaluation_criteria_results.items()} == {
        "kind": "success",
        "bad": "failure",
    }
    assert reply.analysis.call_successful == "failure"


def test_tests_are_made_run_and_polled(witness: Callable[..., Witness]) -> None:
    """A run is pending at first, and then passed or failed as its conditions are met."""
    live = witness(time_scale=50.0)
    agent = live.api.agents.create(conversation_config={}).agent_id
    made = [
        live.whole(live.api.tests.create(request=_simulation(name, condition)))
        for name, condition in (("good", "It is polite"), ("bad", "It must fail"))
    ]
    assert live.whole(live.api.tests.get(made[0].id)).name == "good"
    assert len(live.whole(live.api.tests.list()).tests) == 2
    runs = [SingleTestRunRequestModel(test_id=each.id) for each in made]
    suite = live.whole(live.api.agents.run_tests(agent, tests=runs))
    assert {run.status for run in suite.test_runs} == {"pending"}
    while any(run.status == "pending" for run in suite.test_runs):
        suite = live.whole(live.api.tests.invocations.get(suite.id))
    assert [run.status for run in suite.test_runs] == ["passed", "failed"]


def _simulation(name: str, condition: str) -> Any:
    return Simulation(
        name=name, simulation_scenario="A caller wants a refund", success_conditions=[condition]
    )


def test_the_sdk_takes_an_event_for_one_of_the_service(witness: Callable[..., Witness]) -> None:
    """Events are signed so that the SDK's own check lets them pass, and their data is what GET tells."""
    with receiving() as receiver:
        webhook = Webhook(url=receiver.url, secret=b"wsec_example", signature="timestamped", seeded=True)
        live = witness(webhook=webhook, conversations=1)
        got = live.raw.get("/conversations/conv_seed_0001").json()
        while not receiver.received:
            time.sleep(0.01)
    (came,) = receiver.received
    body = came.body.decode()
    event = ElevenLabs(api_key="k").webhooks.construct_event(body, came.signature, "wsec_example")
    assert (event["type"], event["data"]) == ("post_call_transcription", got)
    assert isinstance(event["event_timestamp"], int)
