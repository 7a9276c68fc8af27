"""What operations change is read before that, and what was read first stays, whatever happens then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.checkpoint import line_key, operation_key
from bulkops.checkpoint.changes import changes_of
from bulkops.emulator.answers import Answer
from bulkops.model import Changed
from bulkops.planning import Selection
from tests.engines.engine_bench import AGENT, Job, Server, counts
from tests.engines.test_engine_resuming import with_source
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.model import Request

PATCH = {"conversation_config": {"agent": {"first_message": "Hello"}}}
UPDATE = {"op": "agent.update", "id": "u", "agent_id": "agent_gold", "body": PATCH}
DELETE = {"op": "agent.delete", "id": "u", "agent_id": "agent_gold"}
KEY = operation_key(line_key("u", b"", 0), 0)


def remembered(job: Job) -> tuple[list[Any], list[Changed]]:
    """Return the greetings that were read before changes, and the changes."""
    answers, changes = changes_of(job.checkpoint.reader().pins_of(KEY))
    return [answer["conversation_config"]["agent"]["first_message"] for answer in answers], changes


def greet(server: Server, greeting: str) -> None:
    """Have somebody else change the agent."""
    with_source(server, greeting)


@pytest.mark.parametrize("line", [UPDATE, DELETE])
def test_what_was_there_is_remembered_before_it_is_changed(line: dict[str, Any], tmp_path: Path) -> None:
    """When a change reaches the server, what was read before it is remembered; the change, once it took effect."""
    job, server, seen = Job(tmp_path, [line]), with_source(Server()), list[Any]()
    server.before_effect = lambda request: (
        seen.append(remembered(job)) if request.endpoint == line["op"] else None
    )
    run = run_jumping(lambda: job.run(server))
    assert counts(run) == {"done": 1}
    assert seen == [(["Hi"], [])]
    assert remembered(job) == (["Hi"], [Changed("agent_gold", line.get("body"))])
    assert server.heard == {"agent.get": 1, line["op"]: 1}


def test_each_operation_reads_for_itself(tmp_path: Path) -> None:
    """Two updates of an agent, one after the other, each remember what was there before them."""
    second = {**UPDATE, "id": "v", "needs": ["u"], "body": {"name": "B"}}
    job, server = Job(tmp_path, [UPDATE, second]), with_source(Server())
    run = run_jumping(lambda: job.run(server))
    assert run.plan.requests == server.heard.total() == 4
    of_second = changes_of(job.checkpoint.reader().pins_of(operation_key(line_key("v", b"", 0), 0)))[0]
    assert of_second[0]["conversation_config"] == PATCH["conversation_config"]


@given(killed=st.lists(st.floats(0.0, 0.9), max_size=3))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_first_image_stays_over_any_kill(tmp_path: Path, killed: list[float]) -> None:
    """Killed at any moments and resumed, what is remembered is what was there before the job touched the agent."""
    job, server = Job(tmp_path, [UPDATE]), with_source(Server())

    async def all_of_it() -> None:
        for seconds in killed:
            await job.run_until_killed(server, seconds)
        await job.run(server)

    run_jumping(all_of_it)
    assert job.states() == ["done"]
    assert remembered(job) == (["Hi"], [Changed("agent_gold", PATCH)])


def test_the_first_image_stays_when_the_line_is_done_again(tmp_path: Path) -> None:
    """An edited line that is done again reads nothing anew, and both changes are remembered in order."""
    job, server, other = Job(tmp_path, [UPDATE]), with_source(Server()), {"name": "B"}

    async def both() -> None:
        await job.run(server)
        job.write([{**UPDATE, "body": other}])
        assert counts(await job.run(server, Selection(changed="rerun"))) == {"done": 1}

    run_jumping(both)
    assert remembered(job) == (["Hi"], [Changed("agent_gold", PATCH), Changed("agent_gold", other)])
    assert server.heard["agent.get"] == 1


def test_a_refused_change_is_no_change(tmp_path: Path) -> None:
    """What the API refuses is not remembered as a change; corrected and retried, what takes effect is."""

    def refuse(request: Request, _number: int) -> Answer | None:
        return Answer(422, {"detail": "no"}) if request.body == {"name": 3} else None

    job, server = Job(tmp_path, [{**UPDATE, "body": {"name": 3}}]), with_source(Server(refuse=refuse))

    async def both() -> None:
        assert counts(await job.run(server)) == {"failed": 1}
        assert remembered(job) == (["Hi"], [])
        job.write([UPDATE])
        assert counts(await job.run(server)) == {"done": 1}

    run_jumping(both)
    assert remembered(job) == (["Hi"], [Changed("agent_gold", PATCH)])


@pytest.mark.parametrize("line", [UPDATE, DELETE])
def test_what_does_not_read_as_expected_is_left_alone(line: dict[str, Any], tmp_path: Path) -> None:
    """Nothing is sent to it; a retry reads anew, and goes on when it reads as expected by then."""
    expected = {"conversation_config": {"agent": {"first_message": "Hi"}}}
    job, server = Job(tmp_path, [{**line, "expected": expected}]), with_source(Server(), "Good day")

    async def both() -> None:
        assert counts(await job.run(server)) == {"failed": 1}
        assert server.heard == {"agent.get": 1}
        (row,) = job.rows()
        assert row["error"]["code"] == "changed_since"
        assert "conversation_config.agent.first_message" in row["error"]["message"]
        greet(server, "Hi")
        assert counts(await job.run(server, Selection(failed=True))) == {"done": 1}

    run_jumping(both)
    assert remembered(job)[0] == ["Hi"]


def test_what_was_refused_is_compared_anew(tmp_path: Path) -> None:
    """A guarded change that the API refused is not retried over what somebody else has changed meanwhile."""
    guarded = {**UPDATE, "expected": {"conversation_config": {"agent": {"first_message": "Hi"}}}}
    server = with_source(
        Server(refuse=lambda request, n: Answer(422, {}) if request.method == "PATCH" and n == 1 else None)
    )
    job = Job(tmp_path, [guarded])

    async def both() -> None:
        assert counts(await job.run(server)) == {"failed": 1}
        greet(server, "Good day")
        assert counts(await job.run(server, Selection(failed=True))) == {"failed": 1}

    run_jumping(both)
    assert job.rows()[0]["error"]["code"] == "changed_since"
    assert server.effects("agent.update") == []


def test_what_is_added_is_added_to_what_is_there_now(tmp_path: Path) -> None:
    """A retry of an update that was refused adds to the list as it is by then, not to the one of the first image."""
    every = {"$collect": {"tag": "made", "field": "agent_id", "merge": "union"}}
    adding = {**UPDATE, "body": {"tags": every}}
    maker = {"op": "agent.create", "id": "m", "tags": ["made"], "body": AGENT}
    server = with_source(
        Server(refuse=lambda request, n: Answer(422, {}) if request.method == "PATCH" and n == 1 else None)
    )
    job = Job(tmp_path, [maker, adding])

    async def both() -> None:
        assert counts(await job.run(server)) == {"done": 1, "failed": 1}
        server.world.update_agent("agent_gold", "Gold", orjson.dumps({**AGENT, "tags": ["theirs"]}), now=0.0)
        assert counts(await job.run(server, Selection(failed=True))) == {"done": 2}

    run_jumping(both)
    made = job.rows()[0]["result"]["agent_id"]
    assert orjson.loads(server.world.agents["agent_gold"].body)["tags"] == ["theirs", made]


@given(seconds=st.floats(0.0, 0.9))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_a_guarded_change_has_done_itself_does_not_count(tmp_path: Path, seconds: float) -> None:
    """Killed at any moment, a guarded update goes on, also when the agent reads as it has left it."""
    guarded = {**UPDATE, "expected": {"conversation_config": {"agent": {"first_message": "Hi"}}}}
    job, server = Job(tmp_path, [guarded]), with_source(Server())

    async def both() -> None:
        await job.run_until_killed(server, seconds)
        await job.run(server)

    run_jumping(both)
    assert job.states() == ["done"]
    assert orjson.loads(server.world.agents["agent_gold"].body)["conversation_config"]["agent"] == {
        "first_message": "Hello"
    }


@pytest.mark.parametrize("line", [UPDATE, DELETE])
def test_nothing_is_read_that_the_user_does_not_want_read(line: dict[str, Any], tmp_path: Path) -> None:
    """Without images an update is one request; what is guarded is read all the same."""
    job, server, selection = Job(tmp_path, [line]), with_source(Server()), Selection(before=False)
    run = run_jumping(lambda: job.run(server, selection))
    assert server.heard == {line["op"]: 1}
    assert run.plan.requests == 1
    assert job.checkpoint.reader().pins_of(KEY) == []
    guarded, server = Job(tmp_path, [{**line, "expected": {}}]), with_source(Server())
    run = run_jumping(lambda: guarded.run(server, selection))
    assert server.heard == {"agent.get": 1, line["op"]: 1}
    assert run.plan.requests == 2
