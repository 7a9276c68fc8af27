"""`if_exists`: what is made only where there is none of its name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import orjson
import pytest

from bulkops.api import REFERENCE
from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.engines.finding import Directory
from bulkops.model import Find
from bulkops.planning import Selection
from tests.engines.engine_bench import AGENT, Job, Server, counts
from tests.engines.test_engine_dependants import create, failing
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.emulator.answers import Answer
    from bulkops.model import Request


def named(line_id: str, name: str, way: str | None, **body: Any) -> dict[str, Any]:
    """Return a line that makes an agent, or does what it says where there is one of the name."""
    line = {"op": "agent.create", "id": line_id, "body": {**AGENT, **body, "name": name}}
    return line if way is None else {**line, "if_exists": way}


def after_seeding(
    tmp_path: Path, seeds: list[str], lines: list[dict[str, Any]], **more: Any
) -> tuple[Job, Server, Any]:
    """Run a job where there are agents with these names."""
    server = Server()
    (tmp_path / "seed").mkdir()
    (tmp_path / "job").mkdir()
    if seeds:
        run_jumping(lambda: Job(tmp_path / "seed", [create(name) for name in seeds]).run(server))
    server.heard.clear()
    job = Job(tmp_path / "job", lines, **more)
    return job, server, run_jumping(lambda: job.run(server))


def test_skip_takes_the_one_that_is_there(tmp_path: Path) -> None:
    """Its id is the result, nothing is made, and those that refer to the line get the id."""
    lines = [named("a", "A", "skip"), {"op": "agent.get", "id": "g", "agent_id": "${ref:a#agent_id}"}]
    job, server, run = after_seeding(tmp_path, ["A", "B"], lines)
    assert counts(run) == {"done": 2}
    (entity,) = [agent.agent_id for agent in server.world.agents.values() if agent.name == "A"]
    assert job.rows()[0]["result"] == {"agent_id": entity, "name": "A", "existed": True}
    assert job.rows()[0]["created"] == []
    assert job.rows()[1]["result"]["agent_id"] == entity
    assert server.heard["agent.create"] == 0


def test_update_changes_the_one_that_is_there(tmp_path: Path) -> None:
    """What is there is read, kept for undo, and changed to what the line says."""
    job, server, run = after_seeding(tmp_path, ["A"], [named("a", "A", "update", tags=["new"])])
    assert counts(run) == {"done": 1}
    (agent,) = server.world.agents.values()
    assert orjson.loads(agent.body)["tags"] == ["new"]
    assert (server.heard["agent.get"], server.heard["agent.update"]) == (1, 1)
    assert job.rows()[0]["result"]["existed"] is True


def test_error_fails(tmp_path: Path) -> None:
    """The failure names the agent that is there."""
    job, _, run = after_seeding(tmp_path, ["A"], [named("a", "A", "error"), named("b", "B", "error")])
    assert counts(run) == {"done": 1, "failed": 1}
    error = job.rows()[0]["error"]
    assert error["code"] == "exists"
    assert error["message"].startswith("there is an agent named 'A' already: agent_")


@pytest.mark.parametrize("way", ["skip", "update"])
def test_several_of_a_name_are_told(tmp_path: Path, way: str) -> None:
    """Which one is meant cannot be known; nothing is changed."""
    lines = [named(f"seed-{n}", "A", None) for n in range(2)]
    job, server, _ = after_seeding(
        tmp_path, [], [*lines, {**named("a", "A", way), "needs": ["seed-0", "seed-1"]}]
    )
    assert job.rows()[2]["error"]["code"] == "ambiguous"
    assert server.heard["agent.update"] == 0


def test_the_listing_is_read_once(tmp_path: Path) -> None:
    """However many lines look for names, and without one that does, never."""
    lines = [named(f"n{n}", f"N{n}", "skip") for n in range(60)]
    _, server, run = after_seeding(tmp_path, ["A"], lines)
    assert counts(run) == {"done": 60}
    assert server.heard["agent.list"] == 1
    _, server, _ = after_seeding(tmp_path / "job", [], [named("a", "A", "create"), named("b", "B", None)])
    assert server.heard["agent.list"] == 0


@pytest.mark.parametrize("way", ["skip", "update"])
def test_lines_with_one_name_make_one(tmp_path: Path, way: str) -> None:
    """Of many lines with the same name, at once, one makes the agent and the others find it."""
    lines = [named(f"n{n}", "same", way) for n in range(20)]
    job, server, run = after_seeding(tmp_path, [], lines)
    assert counts(run) == {"done": 20}
    assert len(server.world.agents) == 1
    assert sum("existed" in row["result"] for row in job.rows()) == 19


def test_a_clone_goes_by_its_name(tmp_path: Path) -> None:
    """A clone that there is already is not made again; copies have names of their own."""
    clone = {
        "op": "agent.clone",
        "id": "k",
        "agent_id": "${ref:src#agent_id}",
        "name": "k${copy}",
        "copies": 3,
        "if_exists": "skip",
    }
    _, server, run = after_seeding(tmp_path, ["k2"], [create("src"), clone])
    assert counts(run) == {"done": 4}
    assert sorted(agent.name for agent in server.world.agents.values()) == ["k1", "k2", "k3", "src"]


def test_after_a_refusal_the_next_one_makes_it(tmp_path: Path) -> None:
    """When the first line of a name fails, the next one is not kept from making it."""

    def refuse(request: Request, number: int) -> Answer | None:
        return failing("same").refuse(request, number) if number == 1 and request.makes else None

    job, server = Job(tmp_path, [named(f"n{n}", "same", "skip") for n in range(3)]), Server(refuse=refuse)
    assert counts(run_jumping(lambda: job.run(server))) == {"failed": 1, "done": 2}
    assert len(server.world.agents) == 1


def test_what_is_in_doubt_keeps_others_from_its_name(tmp_path: Path) -> None:
    """While it is not known whether the first one took effect, no second one is made."""
    lines = [named("a", "same", "skip"), named("b", "same", "skip")]
    job = Job(tmp_path, lines, in_flight=1)
    run_jumping(lambda: job.run(failing("same", status=500)))
    assert job.rows()[1]["error"]["code"] == "name_in_doubt"


def test_a_kill_after_the_request_makes_no_second_one(tmp_path: Path) -> None:
    """The agent that the killed run made is not taken for one that was there before: it is the line's own."""
    job, server = Job(tmp_path, [named("a", "A", "error")]), Server()

    async def killed() -> Any:
        await job.run_until_killed(server, 0.35)
        return await job.run(server)

    run_jumping(killed)
    assert len(server.world.agents) == 1
    assert job.rows()[0]["status"] in {"done", "in_doubt"}


def test_an_agent_without_a_name_cannot_be_looked_for(tmp_path: Path) -> None:
    """The failure says what is missing."""
    line = {"op": "agent.create", "body": {"name": 5, "conversation_config": {}}, "if_exists": "skip"}
    job, _, _ = after_seeding(tmp_path, [], [line])
    assert job.rows()[0]["error"]["code"] == "no_name"


def test_a_retry_looks_again(tmp_path: Path) -> None:
    """What failed because it was there is done once that is gone, and looked for in a new listing."""
    job, _, _ = after_seeding(tmp_path, ["A"], [named("a", "A", "error")])
    assert counts(run_jumping(lambda: job.run(Server(), Selection(failed=True)))) == {"done": 1}


def test_what_others_make_is_found(tmp_path: Path) -> None:
    """What a plain line makes after the listing was read is there for those that look for its name."""
    lines = [
        named("a", "A", "skip"),
        {**named("b", "B", None), "needs": ["a"]},
        {**named("c", "B", "skip"), "needs": ["b"]},
    ]
    job, server, run = after_seeding(tmp_path, [], lines)
    assert counts(run) == {"done": 3}
    assert len(server.world.agents) == 2
    assert job.rows()[2]["result"]["agent_id"] == job.rows()[1]["result"]["agent_id"]


def test_what_was_deleted_is_not_found(tmp_path: Path) -> None:
    """An agent that the run has deleted is not taken for one that is there."""
    delete = {"op": "agent.delete", "id": "d", "agent_id": "${ref:a#agent_id}"}
    lines = [named("a", "A", "skip"), delete, {**named("b", "A", "skip"), "needs": ["d"]}]
    job, server, run = after_seeding(tmp_path, ["A"], lines)
    assert counts(run) == {"done": 3}
    assert [agent.agent_id for agent in server.world.agents.values()] == [job.rows()[2]["result"]["agent_id"]]


def test_what_was_renamed_goes_by_its_new_name(tmp_path: Path) -> None:
    """After a line has renamed an agent, the old name is free and the new one taken."""
    rename = {"op": "agent.update", "id": "r", "agent_id": "${ref:a#agent_id}", "body": {"name": "B"}}
    after = [{**named("old", "A", "skip"), "needs": ["r"]}, {**named("new", "B", "skip"), "needs": ["r"]}]
    job, server, run = after_seeding(tmp_path, ["A"], [named("a", "A", "skip"), rename, *after])
    assert counts(run) == {"done": 4}
    assert sorted(agent.name for agent in server.world.agents.values()) == ["A", "B"]
    assert "existed" not in job.rows()[2]["result"]
    assert job.rows()[3]["result"]["agent_id"] == job.rows()[0]["result"]["agent_id"]


def test_the_content_is_that_of_the_last_attempt(tmp_path: Path) -> None:
    """A file that was edited after a refusal is known by what was uploaded then, also after a kill."""
    file = tmp_path / "a.md"
    step = Find("document", "a", "document.upload", str(file))

    async def found(text: str, *, begun: bool) -> Any:
        file.write_text(text)
        return (await directory.find("default", step, b"k" * 16, begun=begun))["sha256"]

    async def attempts() -> list[Any]:
        return [
            await found("one", begun=False),
            await found("two", begun=False),
            await found("3", begun=True),
        ]

    directory = Directory(REFERENCE, Mock(), MemoryCheckpoint(), "default")
    digests = asyncio.run(attempts())
    assert digests[0] != digests[1] == digests[2]
