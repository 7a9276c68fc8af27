"""What waits for what: order, causes, and what is in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulkops.emulator.answers import Answer
from bulkops.errors import Halted
from bulkops.planning import Selection
from bulkops.settings import Halt, Policies, Policy
from tests.engines.engine_bench import AGENT, Job, Server, counts
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.model import Request


def create(line_id: str, **more: Any) -> dict[str, Any]:
    """Return a line that makes an agent named like its id."""
    return {"op": "agent.create", "id": line_id, "body": {**AGENT, "name": line_id}, **more}


def tool(line_id: str) -> dict[str, Any]:
    """Return a line that makes a tool named like its id; the API has no listing of tools."""
    body = {
        "name": line_id,
        "description": "d",
        "url": "https://a.example",
        "method": "GET",
        "parameters": {},
    }
    return {"op": "tool.create", "id": line_id, "body": body}


RESENT = Selection(failed=True, in_doubt=frozenset({"tool.create"}))


def failing(*names: str, status: int = 400) -> Server:
    """Return a server that refuses agents with these names."""

    def refuse(request: Request, _number: int) -> Answer | None:
        named = (request.body or {}).get("name")
        return Answer(status, {"detail": "no"}) if named in names else None

    return Server(refuse=refuse)


def causes(job: Job) -> dict[str, str]:
    """Return why operations are blocked."""
    return {row["id"]: row["error"]["message"] for row in job.rows() if row["status"] == "blocked"}


def test_dependants_come_after_what_they_wait_for(tmp_path: Path) -> None:
    """A line begins when everything it waits for is done, whatever the order in the file, and not later."""
    lines = [create("c", needs=["a", "b"]), create("b", needs=["a"]), create("a"), create("free")]
    server = Server()
    run_jumping(lambda: Job(tmp_path, lines).run(server))
    made = server.effects("agent.create")
    assert made.index("a") < made.index("b") < made.index("c")
    assert made.index("free") < made.index("b")


def test_a_reference_is_filled_in_from_the_result(tmp_path: Path) -> None:
    """A line gets the value that the line it refers to has just got from the API."""
    lines = [
        {"op": "agent.get", "id": "read", "agent_id": "${ref:a#agent_id}"},
        {"op": "agent.get", "agent_id": "${ref:read#agent_id}"},
        create("a"),
    ]
    job = Job(tmp_path, lines)
    run_jumping(lambda: job.run(Server()))
    assert job.states() == ["done"] * 3
    assert len({row["result"]["agent_id"] for row in job.rows()}) == 1


def test_a_chain_of_many_links_is_no_recursion(tmp_path: Path) -> None:
    """Two thousand lines, each waiting for the next, are done from the last to the first."""
    lines = [create(f"n{n}", **({"needs": [f"n{n + 1}"]} if n < 1999 else {})) for n in range(2000)]
    server = Server(latency=0.0)
    run_jumping(lambda: Job(tmp_path, lines).run(server))
    assert server.effects("agent.create") == [f"n{n}" for n in reversed(range(2000))]


def test_a_failure_blocks_what_waits_for_it_however_far(tmp_path: Path) -> None:
    """What waits for a failed line is blocked with its name, and what waits for that with that one's."""
    job = Job(tmp_path, [create("c", needs=["b"]), create("a"), create("b", needs=["a"]), create("free")])
    run = run_jumping(lambda: job.run(failing("a")))
    assert counts(run) == {"failed": 1, "blocked": 2, "done": 1}
    assert causes(job) == {"b": "a is failed", "c": "b is blocked"}


def test_one_failed_copy_blocks_what_needs_them_all(tmp_path: Path) -> None:
    """The cause names the copy that failed."""
    clone = {"op": "agent.clone", "id": "k", "agent_id": "${ref:a#agent_id}", "copies": 3, "name": "k${copy}"}
    job = Job(tmp_path, [create("a"), clone, create("z", needs=["k"]), create("one", needs=["k[1]"])])
    run = run_jumping(lambda: job.run(failing("k2")))
    assert causes(job) == {"z": "k[2] is failed"}
    assert counts(run) == {"done": 4, "failed": 1, "blocked": 1}


def test_blocked_lines_are_looked_at_again(tmp_path: Path) -> None:
    """Once what failed is done by a retry, what was blocked is done in the same run."""
    job = Job(tmp_path, [create("a"), create("b", needs=["a"])])

    async def both() -> Any:
        await job.run(failing("a"))
        return await job.run(Server(), Selection(failed=True))

    assert counts(run_jumping(both)) == {"done": 2}


def test_a_blocked_line_stays_blocked_without_a_request(tmp_path: Path) -> None:
    """A second run without retry blocks it again and sends nothing."""
    job, again = Job(tmp_path, [create("a"), create("b", needs=["a"])]), Server()

    async def both() -> Any:
        await job.run(failing("a"))
        return await job.run(again)

    assert counts(run_jumping(both)) == {"failed": 1, "blocked": 1}
    assert again.heard.total() == 0


def test_on_error_continue_lets_others_go_on(tmp_path: Path) -> None:
    """What waits for a line with `on_error: continue` begins although that line failed."""
    job = Job(tmp_path, [create("b", needs=["a"]), create("a", on_error="continue")])
    assert counts(run_jumping(lambda: job.run(failing("a")))) == {"failed": 1, "done": 1}


def test_on_error_continue_counts_in_a_later_run_too(tmp_path: Path) -> None:
    """A line whose target failed in an earlier run, with `on_error: continue`, is done and not blocked."""
    job = Job(tmp_path, [create("a", on_error="continue")])

    async def both() -> Any:
        await job.run(failing("a"))
        job.write([create("a", on_error="continue"), create("b", needs=["a"])])
        return await job.run(Server())

    assert counts(run_jumping(both)) == {"failed": 1, "done": 1}


def test_on_error_halt_ends_the_run(tmp_path: Path) -> None:
    """A failed line with `on_error: halt` stops the run: nothing new begins, the rest is not started."""
    job = Job(tmp_path, [create("a", on_error="halt"), *[create(f"n{n}") for n in range(5)]], in_flight=1)
    run = run_jumping(lambda: job.run(failing("a")))
    assert isinstance(run.engine.stopped_by, Halted)
    assert counts(run) == {"failed": 1, "not_started": 5}


@pytest.mark.parametrize(("halt", "ended"), [(Halt(count=2), 4), (Halt(share=0.5, sample=5), 5)])
def test_the_threshold_ends_the_run(tmp_path: Path, halt: Halt, ended: int) -> None:
    """When so many failed, or such a share of enough, nothing new begins."""
    job = Job(tmp_path, [create(f"n{n}") for n in range(9)], in_flight=1, halt=halt)
    run = run_jumping(lambda: job.run(failing("n0", "n3", "n4")))
    assert isinstance(run.engine.stopped_by, Halted)
    assert len(job.rows()) == ended
    assert counts(run)["not_started"] == 9 - ended


def test_the_line_in_an_event_is_the_line_of_the_job(tmp_path: Path) -> None:
    """An event about a failed operation names the line that its result names."""
    job = Job(tmp_path, [create("x"), create("a")])

    async def both() -> Any:
        await job.run(failing("a"))
        job.write([create("a")])
        return await job.run(failing("a"), Selection(failed=True, changed="keep"))

    run = run_jumping(both)
    assert [facts["line"] for _, facts in run.events.noted] == [2]
    assert job.rows()[1]["line"] == 2


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_what_is_in_doubt_keeps_its_dependants_waiting(tmp_path: Path, runs: int) -> None:
    """What waits for a line in doubt is neither begun nor blocked, in this run and in every later one."""
    dependant = {"op": "agent.get", "id": "read", "agent_id": "${ref:a#agent_id}"}
    job = Job(tmp_path, [tool("a"), dependant, create("z", needs=["read"])])

    async def many() -> Any:
        for _ in range(runs):
            run = await job.run(failing("a", status=500))
        return run

    assert counts(run_jumping(many)) == {"in_doubt": 1, "not_started": 2}


def test_after_a_doubt_is_settled_its_dependants_go_on(tmp_path: Path) -> None:
    """Sent again by the user's word, a line in doubt is done as a possible duplicate, and then what waited."""
    job = Job(tmp_path, [tool("a"), create("b", needs=["a"])])

    async def both() -> Any:
        await job.run(failing("a", status=500))
        return await job.run(Server(), RESENT, in_doubt=Policies(Policy.RETRY))

    assert counts(run_jumping(both)) == {"done": 2}
    assert [row.get("possible_duplicate") for row in job.rows()] == [True, None]


def test_a_possible_duplicate_is_told_at_every_later_end(tmp_path: Path) -> None:
    """Sent again in doubt, then refused, then done: the result still says that there may be two."""
    job = Job(tmp_path, [tool("a")])

    async def thrice() -> None:
        await job.run(failing("a", status=500))
        await job.run(failing("a"), RESENT, in_doubt=Policies(Policy.RETRY))
        assert job.rows()[0]["status"] == "failed"
        await job.run(Server(), Selection(failed=True))

    run_jumping(thrice)
    assert (job.rows()[0]["status"], job.rows()[0].get("possible_duplicate")) == ("done", True)


def test_a_file_that_went_away_meanwhile_fails_its_operation(tmp_path: Path) -> None:
    """A file that is gone when its line's turn comes fails this operation alone, in words."""
    path = tmp_path / "a.md"
    path.write_text("x")
    job = Job(tmp_path, [create("a"), {"op": "document.upload", "file": "a.md", "needs": ["a"]}])
    server = Server(before_effect=lambda _request: path.unlink(missing_ok=True))
    run = run_jumping(lambda: job.run(server))
    assert run.engine.stopped_by is None
    assert counts(run) == {"done": 1, "failed": 1}
