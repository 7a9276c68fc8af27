"""Agents and conversations: replies in, requests out."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import orjson
import pytest

from bulkops.api import REFERENCE
from bulkops.errors import OperationFailed, Overdue
from bulkops.merging import Added
from bulkops.model import Await, Changed, Pinned, Request, Save
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
READ = ("GET", "/agents/agent_1", None)
NOT_THERE = OperationFailed("not_found", "no such agent", status=404)
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
    assert steps[0].pinned is Pinned.LINE
    assert requests(steps)[0][:2] == ("GET", "/agents/agent_1")
    assert result == {**MADE, "source": {"agent_id": "agent_1"}}


def test_an_update_sends_its_body_as_it_stands() -> None:
    """A null in the body of an update is sent as null."""
    body = {"conversation_config": {"agent": {"language": None}}, "unheard_of": 1}
    steps, result = drive(UpdateAgent(agent_id="agent_1", body=body), [SOURCE, {}])
    assert requests(steps) == [READ, ("PATCH", "/agents/agent_1", body)]
    assert result == {"agent_id": "agent_1"}


def test_a_deletion_without_an_answer_counts() -> None:
    """A server that answers a deletion with no content has deleted."""
    steps, result = drive(DeleteAgent(agent_id="agent_1"), [SOURCE, None])
    assert requests(steps) == [READ, ("DELETE", "/agents/agent_1", None)]
    assert result == {"agent_id": "agent_1"}


@pytest.mark.parametrize(
    ("operation", "patch"),
    [
        (UpdateAgent(agent_id="agent_1", body={"name": "B"}), {"name": "B"}),
        (DeleteAgent(agent_id="agent_1"), None),
    ],
)
def test_what_is_changed_is_read_before_and_noted_after(operation: Any, patch: Any) -> None:
    """The answer to the read is the operation's own, and the change is noted once it was answered."""
    (read, _, change), _ = drive(operation, [SOURCE, {}])
    assert isinstance(read, Request)
    assert read.pinned is Pinned.OPERATION
    assert change == Changed("agent_1", patch)


@pytest.mark.parametrize(
    "operation", [UpdateAgent(agent_id="agent_1", body={"name": "B"}), DeleteAgent(agent_id="agent_1")]
)
def test_what_was_not_read_is_not_noted(operation: Any) -> None:
    """Where the user does not want it read, nothing is noted that could be taken back."""
    steps, _ = drive(operation, [None, {}])
    assert not [step for step in steps if isinstance(step, Changed)]


@pytest.mark.parametrize("answers", [[NOT_THERE], [SOURCE, NOT_THERE]])
def test_an_agent_that_is_gone_counts_as_deleted(answers: list[Any]) -> None:
    """Whether the read or the deletion finds nothing, the agent is gone, and this operation has changed nothing."""
    steps, result = drive(DeleteAgent(agent_id="agent_1"), answers)
    assert result == {"agent_id": "agent_1", "gone": True}
    assert not [step for step in steps if isinstance(step, Changed)]


def test_an_agent_that_is_gone_cannot_be_changed() -> None:
    """An update whose agent is not there fails."""
    with pytest.raises(OperationFailed, match="no such agent"):
        drive(UpdateAgent(agent_id="agent_1", body={}), [NOT_THERE])


@pytest.mark.parametrize(
    ("guard", "wrong"),
    [
        ({"expected": {}}, None),
        ({"expected": {"name": "Golden", "conversation_config": {"agent": {"language": "en"}}}}, None),
        ({"expected": {"tags": ["a"], "note": None}}, None),
        ({"expected": {"name": "Brass", "tags": []}}, "name, tags"),
        (
            {"expected": {"conversation_config": {"agent": {"language": "de"}}}},
            "conversation_config.agent.language",
        ),
        ({"expected": {"conversation_config": {"tts": {"speed": True}}}}, "conversation_config.tts.speed"),
        ({"expected": {"name": {"en": "Golden"}}}, "name"),
        ({"unchanged_since": "2025-11-03T14:00:00Z"}, None),
        ({"unchanged_since": "2025-11-03T13:59:55Z"}, None),
        ({"unchanged_since": "2025-11-03T14:59:54+01:00"}, "changed at 2025-11-03T14:00:00Z"),
    ],
)
@pytest.mark.parametrize("kind", [partial(UpdateAgent, body={}), DeleteAgent])
def test_only_what_reads_as_expected_is_changed(kind: Any, guard: dict[str, Any], wrong: str | None) -> None:
    """Of objects every named key counts, all else has to be equal; what differs is named, and not kept."""
    (read, *_), _ = drive(kind(agent_id="agent_1", **guard), [SOURCE, {}])
    assert isinstance(read, Request)
    assert read.fit is not None
    if wrong is None:
        read.fit(SOURCE)
        return
    with pytest.raises(OperationFailed, match=re.escape(wrong)) as refusal:
        read.fit(SOURCE)
    assert refusal.value.code == "changed_since"


def test_an_agent_that_does_not_say_when_it_was_changed_is_left_alone() -> None:
    """Without `updated_at` nobody knows whether it was changed since."""
    (read, *_), _ = drive(
        DeleteAgent(agent_id="agent_1", unchanged_since="2025-11-03T14:00:00Z"), [SOURCE, {}]
    )
    assert isinstance(read, Request)
    assert read.fit is not None
    with pytest.raises(OperationFailed, match="does not say when"):
        read.fit({**SOURCE, "updated_at": None})


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


def test_an_export_may_leave_what_does_not_end() -> None:
    """With `if_unfinished: leave` a call that is not over in time ends well, without a file, and its result says so."""
    going = {**CALL, "status": "in_progress"}
    operation = ExportConversation(conversation_id="conv_1", if_unfinished="leave")
    steps, result = drive(operation, [going, Overdue("overdue", "too late")])
    assert not [step for step in steps if isinstance(step, Save)]
    assert result == {key: value for key, value in going.items() if key != "transcript"} | {"exported": False}
    hidden = ExportConversation(conversation_id="conv_1", if_unfinished="leave", redact=["agent_id"])
    assert drive(hidden, [going, Overdue("overdue", "too late")])[1]["agent_id"] == "[redacted]"
    with pytest.raises(Overdue):
        drive(ExportConversation(conversation_id="conv_1"), [going, Overdue("overdue", "too late")])


def test_an_export_writes_text_and_leaves_out_what_is_not_to_be_stored() -> None:
    """The text has a line for each turn; what is redacted or dropped is in no file and in no result."""
    turns = [{"role": "user", "message": "my number is 5"}, {"role": "agent", "message": "thanks"}]
    answer = {**CALL, "status": "completed", "transcript": turns, "phone": "555"}
    steps, result = drive(
        ExportConversation(conversation_id="conv_1", text=True, redact=["phone", "transcript.message"]),
        [answer],
    )
    whole, text = (step for step in steps if isinstance(step, Save))
    assert text.data == b"User: [redacted]\nAgent: [redacted]\n"
    assert b"555" not in whole.data
    assert result["phone"] == "[redacted]"
    dropped, _ = drive(ExportConversation(conversation_id="conv_1", text=True, drop_text=True), [answer])
    assert "transcript" not in orjson.loads(saved(dropped))
    assert len([step for step in dropped if isinstance(step, Save)]) == 1


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("text", "yes"), ("drop_text", 1), ("redact", "phone"), ("redact", ["a."]), ("if_unfinished", "stop")],
)
def test_an_export_names_what_its_fields_take(field: str, wrong: Any) -> None:
    """A value of another type is refused, with what the field takes."""
    assert "has to be" in (fields_of(ExportConversation)[field].check(wrong) or "")


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
    """A list that is added to is sent whole, made of what is there now; that is also what is noted as changed."""
    body = {"name": "n", "tags": Added(("b", "a"))}
    steps, _ = drive(UpdateAgent(agent_id="agent_1", body=body), [SOURCE, {}])
    assert [(method, sent) for method, _, sent, *_ in requests(steps)] == [
        ("GET", None),
        ("PATCH", {"name": "n", "tags": ["a", "b"]}),
    ]
    read, _, change = steps
    assert isinstance(read, Request)
    assert read.fit is not None
    assert change == Changed("agent_1", {"name": "n", "tags": ["a", "b"]})
