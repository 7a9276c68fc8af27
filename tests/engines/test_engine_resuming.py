"""What a later run does not do again, and what it does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import anyio
import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.emulator.answers import Answer
from bulkops.emulator.things import Agent
from bulkops.errors import Stop
from bulkops.model import State
from bulkops.planning import Selection
from tests.engines.engine_bench import AGENT, Job, Server, counts
from tests.engines.test_engine_dependants import tool
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.model import Request
    from bulkops.sending import Attempt, Heard

UPLOAD = {"op": "document.upload", "id": "d", "file": "a.md", "index": {"model": "e5"}}


def with_source(server: Server, greeting: str = "Hi") -> Server:
    """Give a server the agent that is cloned."""
    at = 1_762_171_200.0
    body = {**AGENT, "conversation_config": {"agent": {"first_message": greeting}}}
    server.world.agents["agent_gold"] = Agent("agent_gold", "Gold", orjson.dumps(body), at, at)
    return server


def test_copies_share_one_read_of_their_source(tmp_path: Path) -> None:
    """Fifty copies of an agent ask for it once."""
    clone = {"op": "agent.clone", "agent_id": "agent_gold", "copies": 50, "name": "Copy ${copy}"}
    server = with_source(Server())
    run = run_jumping(lambda: Job(tmp_path, [clone]).run(server))
    assert server.heard == {"agent.get": 1, "agent.create": 50}
    assert run.plan.requests == 51
    assert sorted(server.effects("agent.create")) == sorted(f"Copy {n + 1}" for n in range(50))


def test_copies_of_a_later_run_come_from_the_same_version(tmp_path: Path) -> None:
    """After a stop the other copies are made from what was read before it, though the source has changed."""
    clone = {"op": "agent.clone", "agent_id": "agent_gold", "copies": 10, "name": "Copy ${copy}"}
    job, server = Job(tmp_path, [clone], in_flight=4), with_source(Server())

    async def both() -> None:
        await job.run(server, stop_after=0.3, reason=Stop("enough"))
        with_source(server, "Changed")
        await job.run(server)

    run_jumping(both)
    assert server.heard == {"agent.get": 1, "agent.create": 10}
    bodies = [agent.body for name, agent in server.world.agents.items() if name != "agent_gold"]
    assert len(bodies) == 10
    assert not any(b"Changed" in body for body in bodies)


def test_a_missing_source_is_asked_for_once(tmp_path: Path) -> None:
    """When there is no such source, all copies fail by one request; the next run asks again."""
    clone = {"op": "agent.clone", "agent_id": "agent_gold", "copies": 5}
    job, server = Job(tmp_path, [clone]), Server()

    async def both() -> None:
        assert counts(await job.run(server)) == {"failed": 5}
        assert server.heard == {"agent.get": 1}
        assert counts(await job.run(with_source(server), Selection(failed=True))) == {"done": 5}

    run_jumping(both)


def test_a_read_that_fails_is_asked_by_the_next_copy(tmp_path: Path) -> None:
    """When the read of the source is refused for a reason that may pass, only one copy fails."""

    def refuse(request: Request, number: int) -> Answer | None:
        return Answer(403, {}) if request.endpoint == "agent.get" and number == 1 else None

    clone = {"op": "agent.clone", "agent_id": "agent_gold", "copies": 5}
    run = run_jumping(lambda: Job(tmp_path, [clone]).run(with_source(Server(refuse=refuse))))
    assert counts(run) == {"failed": 1, "done": 4}


def test_an_upload_that_is_remembered_goes_on_with_its_index(tmp_path: Path) -> None:
    """Stopped while its index is awaited, a document is neither uploaded nor computed again."""
    (tmp_path / "a.md").write_text("x")
    job, server = Job(tmp_path, [UPLOAD]), Server()

    async def both() -> Any:
        await job.run(server, stop_after=1.0, reason=Stop("enough"))
        assert counts(await job.run(server)) == {"done": 1}

    run_jumping(both)
    assert (server.heard["document.upload"], server.heard["document.index"]) == (1, 1)
    assert job.rows()[0]["result"]["status"] == "ready"
    assert len(job.rows()[0]["created"]) == 1


def test_a_failed_index_is_computed_again_without_a_second_upload(tmp_path: Path) -> None:
    """A retry after a failed index asks for the index again and uploads nothing."""
    (tmp_path / "a.md").write_text("x")
    failed = {"status": "failed", "error": "no text"}
    server = Server(
        refuse=lambda request, n: (
            Answer(200, failed) if (request.endpoint, n) == ("document.index", 1) else None
        )
    )
    job = Job(tmp_path, [UPLOAD])

    async def both() -> None:
        await job.run(server)
        assert "no text" in job.rows()[0]["error"]["message"]
        assert len(job.rows()[0]["created"]) == 1
        await job.run(server, Selection(failed=True))

    run_jumping(both)
    assert job.states() == ["done"]
    assert (server.heard["document.upload"], server.heard["document.index"]) == (1, 2)
    assert len(job.rows()[0]["created"]) == 1


def test_a_changed_file_is_uploaded_anew_and_both_documents_are_told(tmp_path: Path) -> None:
    """A retry after the file changed uploads it; the document of the first time stays in `created`, for good."""
    (tmp_path / "a.md").write_text("x")
    failed = {"status": "failed", "error": "no text"}
    server = Server(
        refuse=lambda request, n: (
            Answer(200, failed) if request.endpoint == "document.index" and n < 3 else None
        )
    )
    job = Job(tmp_path, [UPLOAD])

    async def thrice() -> None:
        await job.run(server)
        (tmp_path / "a.md").write_text("longer")
        await job.run(server, Selection(failed=True))
        assert [len(row["created"]) for row in job.rows()] == [2]
        await job.run(server, Selection(failed=True))

    run_jumping(thrice)
    assert job.states() == ["done"]
    assert server.heard["document.upload"] == 2
    assert {made["id"] for made in job.rows()[0]["created"]} == set(server.world.documents)


def test_a_folder_whose_name_is_not_utf8_is_no_trouble(tmp_path: Path) -> None:
    """Documents are sent from a folder that is named in an old encoding."""
    folder = tmp_path / os.fsdecode(b"\xe4lter")
    folder.mkdir()
    (folder / "a.md").write_text("x")
    job = Job(folder, [UPLOAD])
    run_jumping(lambda: job.run(Server()))
    assert job.states() == ["done"]


def test_a_done_line_that_is_done_again_still_tells_of_the_first(tmp_path: Path) -> None:
    """With `--changed rerun` an edited line makes a second agent, and `created` has both."""
    line = {"op": "agent.create", "id": "a", "body": AGENT}
    job, server = Job(tmp_path, [line]), Server()

    async def both() -> None:
        await job.run(server)
        job.write([{**line, "body": {**AGENT, "name": "Other"}}])
        await job.run(server, Selection(changed="rerun"))

    run_jumping(both)
    assert {made["id"] for made in job.rows()[0]["created"]} == set(server.world.agents)
    assert len(server.world.agents) == 2


class SlowReads(Server):
    """A server that takes a minute for each agent that is read; listings are quick."""

    async def send(self, attempt: Attempt) -> Heard:
        """Take the time."""
        if attempt.request.path.endswith("agent_gold"):
            await anyio.sleep(60.0)
        return await super().send(attempt)


def test_what_is_in_doubt_further_down_loses_nothing_to_a_namesake(tmp_path: Path) -> None:
    """Two of one name were left in doubt; the first is looked for long before this run comes to the second."""
    # After an answer, so that the server's clock is known.
    make = {"op": "agent.create", "needs": ["t"]}
    read = {"op": "agent.get", "agent_id": "agent_gold", "needs": ["t"]}
    other = {**AGENT, "conversation_config": {"agent": {"language": "fr"}}}
    job = Job(
        tmp_path,
        [tool("t"), {**make, "body": AGENT}, read, {**make, "body": other}],
        in_flight=3,
    )
    fails = Answer(500, {})
    server = with_source(SlowReads())
    server.refuse = lambda request, number: (
        fails if (request.endpoint, number) == ("agent.create", 1) else None
    )
    server.after = lambda request, number: (
        fails if (request.endpoint, number) == ("agent.create", 2) else None
    )

    async def both() -> None:
        await job.run(server, stop_after=0.5, abort_after=0.6, reason=Stop("enough"))
        for row in list(job.checkpoint.reader().rows([State.IN_DOUBT])):
            # As a killed process leaves it.
            await job.checkpoint.reopen(row.key, await job.checkpoint.steps_of(row.key))
        assert counts(await job.run(server, in_flight=1)) == {"done": 4}

    run_jumping(both)
    first, last = (row["result"]["agent_id"] for row in job.rows() if row["op"] == "agent.create")
    bodies = {name: orjson.loads(agent.body) for name, agent in server.world.agents.items()}
    assert bodies[first]["conversation_config"] == AGENT["conversation_config"]
    assert bodies[last]["conversation_config"] == other["conversation_config"]
    assert len(server.effects("agent.create")) == 2


def test_a_remembered_answer_without_content_is_heard_as_at_first(tmp_path: Path) -> None:
    """An index request that was answered with no readable JSON is awaited, also by a later run."""
    (tmp_path / "a.md").write_text("x")
    job, server = Job(tmp_path, [UPLOAD]), Server()

    async def both() -> None:
        await job.run(server, stop_after=1.0, reason=Stop("enough"))
        for step in list(job.checkpoint.reader().open_steps()):
            if step.endpoint == "document.index":
                job.checkpoint.note(type(step)(step.key, 1, step.endpoint, 1, step.state, reply=b"null"))
        await job.run(server)

    run_jumping(both)
    assert job.states() == ["done"]


LINES: list[dict[str, Any]] = [
    {**UPLOAD, "name": "doc"},
    {"op": "agent.create", "id": "a", "body": {**AGENT, "name": "made"}},
    {"op": "agent.clone", "id": "k", "agent_id": "${ref:a#agent_id}", "copies": 3, "name": "copy ${copy}"},
    {"op": "agent.simulate", "agent_id": "${ref:k[2]#agent_id}", "repeat": 2,
     "body": {"scenario": "s", "user_messages": ["u"], "success_criteria": ["c"]}},
    {"op": "conversation.create", "needs": ["d"], "body": {"agent_id": "${ref:k[3]#agent_id}"}},
]  # fmt: skip
EFFECTS = {"document.upload": 1, "agent.create": 4, "agent.simulate": 2, "conversation.create": 1}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.floats(0.001, 25.0), st.booleans()) | st.tuples(st.floats(0.001, 2.0), st.booleans()),
        max_size=4,
    ),
    st.integers(1, 4),
)
def test_wherever_it_is_interrupted_every_effect_is_there_once_or_held(
    tmp_path: Path, interruptions: list[tuple[float, bool]], in_flight: int
) -> None:
    """Stopped or aborted at any moments, a job ends with each effect once; only aborts leave anything in doubt."""
    (tmp_path / "a.md").write_text("x")
    job, server = Job(tmp_path, LINES, in_flight=in_flight, drain=30.0), Server()

    async def whole() -> Any:
        for moment, aborted in interruptions:
            if aborted:
                await job.run(server, abort_after=moment)
            else:
                await job.run(server, stop_after=moment, reason=Stop("enough"))
        return await job.run(server)

    run = run_jumping(whole)
    for kind, number in EFFECTS.items():
        names = server.effects(kind)
        if kind != "agent.simulate":
            assert len(set(names)) == len(names)
        assert len(names) <= number
    held = run.report.count(State.IN_DOUBT)
    assert not held or any(aborted for _, aborted in interruptions)
    if not held:
        assert counts(run) == {"done": 8}
        assert {kind: len(server.effects(kind)) for kind in EFFECTS} == EFFECTS
    else:
        assert set(counts(run)) <= {"done", "in_doubt", "not_started"}
