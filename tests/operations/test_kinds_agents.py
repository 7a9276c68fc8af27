"""Agents and conversations: replies in, requests out."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest

from bulkops.api import REFERENCE
from bulkops.merging import Added
from bulkops.model import Await, Request, Save
from bulkops.operation import fields_of, seconds
from bulkops.operations.agent_clone import CloneAgent
from bulkops.operations.agent_delete import DeleteAgent
from bulkops.operations.agent_simulate import SimulateConversation
from bulkops.operations.agent_update import UpdateAgent
from bulkops.operations.conversation_export import ExportConversation
from bulkops.operations.conversation_get import GetConversation
from tests.operations.steps_doubles import drive, requests, saved

SOURCE = {
    "agent_id": "agent_1",
    "name": "Golden",
    "conversation_config": {"agent": {"language": "en", "first_message": "Hi"}, "tts": {"speed": 1.0}},
    "created_at": "2025-11-03T12:00:00Z",
    "updated_at": "2025-11-03T14:00:00Z",
    "tags": ["a"],
}
MADE = {"agent_id": "agent_2", "name": "x", "created_at": "2025-11-03T12:00:00Z"}
CALL = {"conversation_id": "conv_1", "agent_id": "agent_1", "transcript": "User: Hi", "duration_seconds": 3}


def cloned(**more: Any) -> Any:
    """Return the body that a clone creates its copy from."""
    steps, _ = drive(CloneAgent(agent_id="agent_1", **more), [SOURCE, MADE])
    return requests(steps)[1][2]


def test_a_clone_drops_what_the_server_assigns() -> None:
    """Everything of the source is copied, also what nobody documented, but not what the server assigns."""
    assert cloned() == {
        "name": "Golden",
        "conversation_config": SOURCE["conversation_config"],
        "tags": ["a"],
    }


def test_a_clone_applies_set_as_a_merge_patch_and_then_the_name() -> None:
    """`set` merges into objects, removes by null and replaces lists; `name` wins over both."""
    body = cloned(
        set={"name": "no", "conversation_config": {"agent": {"language": "de"}, "tts": None}, "tags": []},
        name="Copy 1",
    )
    assert body == {
        "name": "Copy 1",
        "conversation_config": {"agent": {"language": "de", "first_message": "Hi"}},
        "tags": [],
    }


def test_a_clone_reads_its_source_once_for_all_copies() -> None:
    """The source is asked for as an answer that all copies of the line share; the result names it."""
    steps, result = drive(CloneAgent(agent_id="agent_1", copies=3), [SOURCE, MADE])
    assert isinstance(steps[0], Request)
    assert steps[0].pinned
    assert requests(steps)[0][:2] == ("GET", "/agents/agent_1")
    assert result == {**MADE, "source": {"agent_id": "agent_1"}}


def test_an_update_sends_its_body_as_it_stands() -> None:
    """A null in the body of an update is sent as null."""
    body = {"conversation_config": {"agent": {"language": None}}, "unheard_of": 1}
    steps, result = drive(UpdateAgent(agent_id="agent_1", body=body), [{}])
    assert requests(steps) == [("PATCH", "/agents/agent_1", body)]
    assert result == {"agent_id": "agent_1"}


def test_a_deletion_without_an_answer_counts() -> None:
    """A server that answers a deletion with no content has deleted."""
    steps, result = drive(DeleteAgent(agent_id="agent_1"), [None])
    assert requests(steps) == [("DELETE", "/agents/agent_1", None)]
    assert result == {"agent_id": "agent_1"}


@pytest.mark.parametrize("kind", [GetConversation, ExportConversation])
def test_a_transcript_stands_in_no_result(kind: Any) -> None:
    """What is said in a conversation is no part of what the checkpoint remembers."""
    _, result = drive(kind(conversation_id="conv_1"), [{**CALL, "status": "completed"}])
    assert result == {key: value for key, value in CALL.items() if key != "transcript"} | {
        "status": "completed"
    }


def test_an_export_writes_the_whole_conversation() -> None:
    """The file of an export holds what the API answered, under the conversation's id."""
    answer = {**CALL, "status": "completed"}
    steps, _ = drive(ExportConversation(conversation_id="conv_1"), [answer])
    save = steps[-1]
    assert isinstance(save, Save)
    assert (save.folder, save.name, save.suffix) == ("transcripts", "conv_1", ".json")
    assert orjson.loads(saved(steps)) == answer


def test_an_export_waits_for_an_unfinished_call() -> None:
    """A call that goes on is awaited up to the deadline, and what is written is its end."""
    going, over = {**CALL, "status": "in_progress"}, {**CALL, "status": "completed", "transcript": "all"}
    steps, _ = drive(ExportConversation(conversation_id="conv_1", deadline="2m"), [going, over])
    awaited = steps[1]
    assert isinstance(awaited, Await)
    assert (awaited.what, awaited.id, awaited.deadline) == ("conversation", "conv_1", 120.0)
    assert orjson.loads(saved(steps)) == over


def simulated(answer: Any, **more: Any) -> tuple[Any, bool | None]:
    """Return result and verdict of a simulation."""
    operation = SimulateConversation(agent_id="agent_1", body={"scenario": "s"}, **more)
    _, result = drive(operation, [{"simulation_id": "sim_1", "transcript": "Hello", **answer}, None])
    return result, operation.passed(REFERENCE, result)


@pytest.mark.parametrize(
    ("answer", "passed"),
    [({"passed": True}, True), ({"passed": False}, False), ({}, False), ({"passed": "true"}, False)],
)
def test_only_a_verdict_that_says_so_is_passed(answer: Any, passed: bool) -> None:  # noqa: FBT001 - a column of the table
    """A simulation whose answer does not say that it passed is a check that was not passed."""
    assert simulated(answer)[1] is passed


def test_what_was_said_stands_in_a_file_only() -> None:
    """The transcript of a simulation is saved as a file under its id, and is not in the result."""
    operation = SimulateConversation(agent_id="agent_1", body={"scenario": "s"})
    steps, result = drive(
        operation, [{"simulation_id": "sim_1", "transcript": "Hello", "passed": True}, None]
    )
    assert "transcript" not in result
    assert b"Hello" in saved(steps)
    assert [step.name for step in steps if isinstance(step, Save)] == ["sim_1"]


def test_what_is_expected_stands_in_the_result() -> None:
    """The share that has to pass is told with the result; all, unless the line says otherwise."""
    assert simulated({"passed": True})[0]["expect"] == {"pass_rate": 1}
    assert simulated({"passed": True}, expect={"pass_rate": 0.8})[0]["expect"] == {"pass_rate": 0.8}


@pytest.mark.parametrize("wrong", [{}, {"pass_rate": 2}, {"pass_rate": True}, {"pass_rate": 1, "x": 1}, 0.5])
def test_what_cannot_be_expected_is_refused(wrong: Any) -> None:
    """`expect` takes a share from 0 to 1 and nothing else."""
    assert fields_of(SimulateConversation)["expect"].check(wrong)


@pytest.mark.parametrize(
    ("text", "expected"), [("30s", 30.0), ("5m", 300.0), ("2h", 7200.0), ("1.5d", 129600.0)]
)
def test_a_duration_is_a_number_with_a_unit(text: str, expected: float) -> None:
    """Durations come in seconds, minutes, hours and days."""
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "s", "5", "-5s", "5 s", ".s", "1e9s", "1_0s", "5w", "9" * 13 + "s", "٣s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Everything else is a ValueError."""
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        seconds(text)


def test_an_update_adds_to_the_list_that_is_there() -> None:
    """A list that is added to is read first and sent whole; without one nothing is read."""
    body = {"name": "n", "tags": Added(("b", "a"))}
    steps, _ = drive(UpdateAgent(agent_id="agent_1", body=body), [SOURCE, {}])
    assert [(method, sent) for method, _, sent, *_ in requests(steps)] == [
        ("GET", None),
        ("PATCH", {"name": "n", "tags": ["a", "b"]}),
    ]
    steps, _ = drive(UpdateAgent(agent_id="agent_1", body={"tags": ["b"]}), [{}])
    assert [method for method, *_ in requests(steps)] == ["PATCH"]
