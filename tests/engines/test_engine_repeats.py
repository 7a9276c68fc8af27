"""An id that two answers named: the operation that had it first is put in doubt, whatever came in between."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import orjson
import pytest

from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.emulator.answers import Answer
from bulkops.engines.doubts import adopted
from bulkops.engines.feeding import Feed
from bulkops.engines.repeats import Repeats
from bulkops.lifecycle import Choice, Chosen
from bulkops.model import State
from bulkops.planning import Selection
from bulkops.settings import Policies, Policy
from tests.engines.engine_bench import AGENT, Job, Server, counts
from tests.engines.test_engine_asking import agent, given
from tests.engines.test_engine_dependants import tool
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.checkpoint import OperationRow
    from bulkops.model import Request
    from bulkops.planning import Planned

TAKEN_UP = Selection(in_doubt=frozenset({"tool.create"}))
TOOL = "tool_of_both"


def both_named() -> Server:
    """Return a server that names the same id in its first two answers about tools."""

    def name(request: Request, number: int) -> Answer | None:
        named = request.endpoint == "tool.create" and number <= 2
        return Answer(200, {"tool_id": TOOL, "name": "t", "created_at": "now"}) if named else None

    return Server(after=name)


def both_uploaded(index_time: float = 300.0) -> Server:
    """Return a server that names the id of the first document as that of the second; an index takes five minutes."""
    server = Server(index_time=index_time)

    def name(request: Request, number: int) -> Answer | None:
        named = request.endpoint == "document.upload" and number > 1
        first = next(iter(server.world.documents))
        return Answer(200, {"document_id": first, "status": "processing"}) if named else None

    server.after = name
    return server


def uploaded(server: Server) -> list[str]:
    """Return the ids of the documents that were uploaded."""
    return [effect.id for effect in server.world.effects if effect.kind == "document.upload"]


def worded(name: str, language: str) -> dict[str, Any]:
    """Return a line that makes an agent which speaks a language."""
    body = {"name": name, "conversation_config": {"agent": {"language": language}}}
    return {"op": "agent.create", "body": body}


def documents(folder: Path) -> Job:
    """Return a job that uploads and indexes two documents."""
    upload = {"op": "document.upload", "index": {"model": "e5_mistral_7b_instruct"}}
    for name in ("a", "b"):
        (folder / f"{name}.md").write_text(name)
    lines = [{**upload, "id": name, "name": name, "file": f"{name}.md"} for name in ("a", "b")]
    return Job(folder, lines, in_flight=1)


@pytest.mark.parametrize("workers", [1, 2])
def test_both_are_in_doubt_however_far_the_first_was(tmp_path: Path, workers: int) -> None:
    """Answered one after the other, or in the same moment: neither is done, and neither owns the id."""
    job, server = Job(tmp_path, [tool("a"), tool("b"), tool("c")], in_flight=workers), both_named()
    run = run_jumping(job.run, server)
    assert counts(run) == {"done": 1, "in_doubt": 2}
    assert job.states() == ["in_doubt", "in_doubt", "done"]
    assert job.checkpoint.reader().owners([TOOL]) == {}
    assert [row["created"] for row in job.rows()[:2]] == [[], []]
    assert len(server.effects("tool.create")) == 3


def test_a_crash_before_the_first_was_put_in_doubt_is_made_good(tmp_path: Path) -> None:
    """The second keeps which id it was; the run that takes it up puts the first in doubt."""
    job = Job(tmp_path, [tool("a"), tool("b")], in_flight=1)

    async def crashed() -> None:
        with mock.patch.object(Repeats, "hear", mock.AsyncMock(return_value=None)):
            await job.run(both_named())

    run_jumping(crashed)
    assert job.states() == ["done", "in_doubt"]
    server = Server()
    run_jumping(lambda: job.run(server, TAKEN_UP))
    assert job.states() == ["in_doubt", "in_doubt"]
    assert server.effects("tool.create") == []


@pytest.mark.parametrize("line", [{**tool("a"), "on_error": "continue"}, None])
def test_the_first_is_held_whatever_became_of_its_line(tmp_path: Path, line: dict[str, Any] | None) -> None:
    """Edited or removed after a crash: held in the same run, and the counts are those of the checkpoint."""
    lines = [tool("a"), {"op": "agent.create", "body": AGENT, "needs": ["b"]}, tool("b")]
    job = Job(tmp_path, lines, in_flight=1)

    async def crashed() -> None:
        with mock.patch.object(Repeats, "hear", mock.AsyncMock(return_value=None)):
            await job.run(both_named())

    run_jumping(crashed)
    job.write([*([line] if line else []), *lines[1:]])
    server, gone = Server(), 0 if line else 1
    run = run_jumping(lambda: job.run(server, replace(TAKEN_UP, changed="keep")))
    remembered = job.checkpoint.reader().counts()
    assert remembered == {State.IN_DOUBT: 2}
    assert counts(run) == {"not_started": 1, "in_doubt": 2 - gone}
    if not gone:
        run.report.agree(remembered)
    [first] = [row for row in job.rows() if row["id"] == "a"]
    assert (first["status"], first["created"], first["result"]) == ("in_doubt", [], None)
    job.write(lines)
    run_jumping(lambda: job.run(server, TAKEN_UP))
    assert [row["status"] for row in job.rows()] == ["in_doubt", "in_doubt"]
    assert not server.times


@pytest.mark.parametrize("put_back", [True, False])
def test_the_first_is_looked_for_by_its_line_as_it_was(tmp_path: Path, *, put_back: bool) -> None:
    """An agent whose line was edited is held, not looked for by the new line; put back, the listing is asked."""
    job, server = Job(tmp_path, [agent("a"), agent("b")], in_flight=1), Server()

    def name(request: Request, number: int) -> Answer | None:
        named = request.endpoint == "agent.create" and number == 2
        return Answer(200, {"agent_id": server.world.effects[0].id}) if named else None

    async def crashed() -> None:
        server.after = name
        with mock.patch.object(Repeats, "hear", mock.AsyncMock(return_value=None)):
            await job.run(server, stop_after=0.5)

    run_jumping(crashed)
    edited = agent("a") | {"body": AGENT | {"name": "another"}}
    for line in (edited, agent("a") if put_back else edited):
        job.write([line, agent("b")])
        run_jumping(lambda: job.run(server, Selection(in_doubt=frozenset({"agent.create"}))))
        assert job.states() == ["in_doubt", "done"]
    assert job.rows()[0]["evidence"]["candidates"] == ([server.world.effects[0].id] if put_back else [])
    assert ("edited" in job.rows()[0]["error"]["message"]) is not put_back
    assert server.effects("agent.create") == ["a", "b"]


def test_what_was_decided_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """An id that the user gave to the first stays its own, although the second still knows that it came twice."""
    job = Job(tmp_path, [tool("a"), tool("b")], in_flight=1)

    async def decided() -> None:
        await job.run(both_named())
        first, _ = job.checkpoint.reader().rows()
        steps = [step for step in await job.checkpoint.steps_of(first.key) if step.number == 0]
        await job.checkpoint.reopen(first.key, [adopted(step, TOOL, "tool_id") for step in steps])
        for _ in range(2):
            await job.run(Server(), TAKEN_UP)
            assert job.states() == ["done", "in_doubt"]

    run_jumping(decided)


def test_what_is_under_way_ends_in_doubt(tmp_path: Path) -> None:
    """A document whose index is awaited when its id comes again is in doubt at its end, and is not uploaded again."""
    job, server = documents(tmp_path), both_uploaded()
    assert counts(run_jumping(job.run, server)) == {"in_doubt": 2}
    assert server.effects("document.upload") == ["a", "b"]
    assert [row["created"] for row in job.rows()] == [[], []]


def test_what_is_being_taken_back_goes_to_nobody_else(tmp_path: Path) -> None:
    """A pass over a namesake in doubt waits until it is in doubt as well, however long its line is looked for."""
    same = {"op": "agent.create", "body": AGENT}
    job = Job(tmp_path, [{**same, "id": "a"}, {**same, "id": "b"}, tool("c")], in_flight=1)
    server = Server()
    find = Feed.find

    def refuse(request: Request, number: int) -> Answer | None:
        return Answer(500, {}) if request.endpoint == "agent.create" and number == 2 else None

    def name(request: Request, _number: int) -> Answer | None:
        made = next(iter(server.world.agents))
        return Answer(200, {"tool_id": made}) if request.endpoint == "tool.create" else None

    async def find_late(feed: Feed, row: OperationRow) -> Planned | None:
        await anyio.sleep(5.0)
        return await find(feed, row)

    server.refuse, server.after = refuse, name
    with mock.patch.object(Feed, "find", find_late):
        assert counts(run_jumping(job.run, server)) == {"done": 2, "in_doubt": 1}
    assert job.states() == ["done", "done", "in_doubt"]
    assert server.effects("agent.create") == [AGENT["name"], AGENT["name"]]


@pytest.mark.parametrize("finding", [0.0, 5.0])
def test_what_an_answer_to_come_tells_is_heard_first(tmp_path: Path, finding: float) -> None:
    """An answer names what the create of another one made that waits for its own: its thing goes to no namesake.

    However long the line is looked for of the one that was told the wrong id.
    """
    lines = [worded("Cleo", "en"), worded("Anna", "en"), worded("Cleo", "de")]
    job, server = Job(tmp_path, lines, in_flight=3), Server()
    find = Feed.find

    def swap(request: Request, number: int) -> Answer | None:
        if request.endpoint != "agent.create" or number != 3:
            return None
        other = next(effect.id for effect in server.world.effects if effect.name == "Anna")
        return Answer(200, {"agent_id": other})

    async def find_late(feed: Feed, row: OperationRow) -> Planned | None:
        await anyio.sleep(finding)
        return await find(feed, row)

    server.refuse, server.after = given("agent.create", 1), swap
    server.delay = lambda request: 5.0 if request.body == lines[1]["body"] else 0.0
    with mock.patch.object(Feed, "find", find_late):
        assert counts(run_jumping(job.run, server)) == {"done": 3}
    made = [server.world.agents[row["result"]["agent_id"]] for row in job.rows()]
    assert [orjson.loads(agent.body) for agent in made] == [line["body"] for line in lines]
    assert server.effects("agent.create") == ["Anna", "Cleo", "Cleo"]


@pytest.mark.parametrize("after", [1.0, 100.0])
def test_killed_after_the_second_was_settled_the_first_is_still_in_doubt(
    tmp_path: Path, after: float
) -> None:
    """The user gives the second its id while the first waits for its index; what is on the disk then suffices."""
    job, server = documents(tmp_path), both_uploaded()

    async def adopt(*_: object) -> Chosen | None:
        return Chosen(Choice.ADOPT, uploaded(server)[1])

    async def killed() -> None:
        run = partial(job.run, server, ask=adopt, in_doubt=Policies(Policy.ASK, {}))
        async with anyio.create_task_group() as beside:
            beside.start_soon(run)
            await anyio.sleep(after)
            left = copy.deepcopy(job.checkpoint)
            beside.cancel_scope.cancel()
        job.checkpoint = left

    run_jumping(killed)
    first, second = uploaded(server)
    assert first not in job.checkpoint.reader().owners([first, second])
    run_jumping(lambda: job.run(server))
    assert [row["status"] for row in job.rows()] == ["in_doubt", "done"]
    assert job.rows()[1]["created"] == [{"kind": "document", "id": second}]
    assert server.effects("document.upload") == ["a", "b"]


def test_what_follows_the_id_that_came_twice_is_done_again(tmp_path: Path) -> None:
    """The first is told what it made by hand after a crash: that is indexed, although the index of the other was."""
    job, server = documents(tmp_path), both_uploaded()

    async def killed() -> None:
        await job.run_until_killed(server, 100.0)
        [step] = [step for step in job.checkpoint.reader().open_steps() if step.number == 0]
        await job.checkpoint.settle([adopted(step, uploaded(server)[1], "document_id")])

    run_jumping(killed)
    run_jumping(lambda: job.run(server))
    assert job.rows()[0]["status"] == "done"
    indexed = [path.split("/")[-2] for _, endpoint, path in server.times if endpoint == "document.index"]
    assert indexed == uploaded(server)


COMMIT = 0.05
"""Seconds that each commit takes on a slow disk."""


class SlowDisk(MemoryCheckpoint):
    """Whatever is awaited takes a commit; things take effect in the order in which they are asked for."""

    async def reopen(self, *given: Any) -> None:
        """See `MemoryCheckpoint`."""
        await super().reopen(*given)
        await anyio.sleep(COMMIT)

    async def settle(self, *given: Any) -> None:
        """See `MemoryCheckpoint`."""
        await super().settle(*given)
        await anyio.sleep(COMMIT)

    async def steps_of(self, *given: Any) -> Any:
        """See `MemoryCheckpoint`."""
        found = await super().steps_of(*given)
        await anyio.sleep(COMMIT)
        return found

    async def row_of(self, *given: Any) -> Any:
        """See `MemoryCheckpoint`."""
        found = await super().row_of(*given)
        await anyio.sleep(COMMIT)
        return found


def uploads(folder: Path, **delays: float) -> tuple[list[str], list[str], float]:
    """Upload a.md and others, whose answers name a.md too and come later.

    Return what arrived, how the operations stand at the end, and when the last request was sent.
    """
    server = both_uploaded(index_time=1.0)
    server.delay = lambda request: (
        delays.get(request.form.file_name[0], 0.0) if request.form is not None else 0.0
    )
    lines = []
    for name in ("a", *delays):
        (folder / f"{name}.md").write_text(name)
        index = {"model": "e5_mistral_7b_instruct"}
        lines.append({"op": "document.upload", "id": name, "file": f"{name}.md", "index": index})
    job = Job(folder, lines, in_flight=len(lines))
    job.checkpoint = SlowDisk()
    run_jumping(lambda: job.run(server))
    made = [effect.name for effect in server.world.effects if effect.kind == "document.upload"]
    return made, job.states(), server.times[-1][0]


def test_the_first_is_not_made_again_whenever_it_ends(tmp_path: Path) -> None:
    """The first may end while it is written down that it is in doubt: so it is, and nothing is begun anew."""
    *_, last_answer = uploads(tmp_path, b=1000.0)
    for step in range(-50, 50):
        made, states, _ = uploads(tmp_path, b=last_answer + step * COMMIT / 8)
        assert (made, states) == (["a.md", "b.md"], ["in_doubt"] * 2), step


@pytest.mark.parametrize("before", [0.3, 0.1, 0.0])
def test_an_id_that_comes_a_third_time_makes_nothing_again(tmp_path: Path, before: float) -> None:
    """A third answer with the id, whenever it comes, has nothing done again that is in doubt already."""
    *_, last_answer = uploads(tmp_path, b=1000.0)
    for step in range(-5, 40):
        b = last_answer - before
        made, states, _ = uploads(tmp_path, b=b, c=b + step * COMMIT / 4)
        assert (made, states) == (["a.md", "b.md", "c.md"], ["in_doubt"] * 3), step
