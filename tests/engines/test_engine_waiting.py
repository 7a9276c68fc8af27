"""What is awaited, and how a run ends early."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulkops.api import REFERENCE, Tier
from bulkops.checkpoint import StepState
from bulkops.emulator.answers import Answer
from bulkops.engines.local import LOOKERS
from bulkops.errors import Stop
from bulkops.pace.turns import Pace
from tests.engines.engine_bench import AGENT, Job, Server, counts
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Return a job of one document that is indexed."""
    (tmp_path / "a.md").write_text("x")
    return Job(tmp_path, uploads(1))


def uploads(number: int, **more: Any) -> list[dict[str, Any]]:
    """Return lines that upload and index documents."""
    line = {"op": "document.upload", "file": "a.md", "index": {"model": "e5"}}
    return [{**line, "name": f"doc {n}", **more} for n in range(number)]


def creates(number: int) -> list[dict[str, Any]]:
    """Return lines that make agents."""
    return [{"op": "agent.create", "body": {**AGENT, "name": f"agent {n}"}} for n in range(number)]


def test_what_is_awaited_holds_no_worker(job: Job) -> None:
    """Two thousand documents are uploaded by sixteen workers before the first index is ready."""
    job.write(uploads(2000))
    server = Server(latency=0.01, index_time=60.0)
    run = run_jumping(lambda: job.run(server, in_flight=16))
    assert counts(run) == {"done": 2000}
    last_upload = max(at for at, endpoint, _ in server.times if endpoint == "document.upload")
    assert last_upload < 10
    assert server.most_flying <= 16 + LOOKERS
    assert run.engine.awaited == 0


def test_a_deadline_fails_the_operation_in_words(job: Job) -> None:
    """An index that is not ready in time fails with what it was doing and what to do, after one last look."""
    job.write(uploads(1, deadline="60s"))
    server = Server(index_time=3600.0)
    run_jumping(lambda: job.run(server))
    row = job.rows()[0]
    assert (row["status"], row["error"]["code"]) == ("failed", "overdue")
    assert "was still 'computing' after 60 s" in row["error"]["message"]
    assert "bulkops retry" in row["error"]["message"]
    assert server.times[-1][0] == pytest.approx(60.3, abs=0.2)


def test_a_deadline_begins_anew_in_a_later_run(job: Job) -> None:
    """What waited nearly to its deadline when the run was stopped is not overdue when the next one begins."""
    job.write(uploads(1, deadline="60s"))
    server = Server(index_time=100.0)

    async def both() -> None:
        await job.run(server, stop_after=55.0, reason=Stop("enough"))
        await job.run(server)

    run_jumping(both)
    assert job.states() == ["done"]


def test_a_look_that_finds_nothing_fails_the_operation(job: Job) -> None:
    """A document that is deleted while its index is awaited fails its line, and no other."""
    job.write([*uploads(1), *creates(1)])
    server = Server(
        refuse=lambda request, _: (
            Answer(404, {"detail": {"message": "gone"}})
            if request.endpoint.endswith("index_status")
            else None
        )
    )
    run = run_jumping(lambda: job.run(server))
    assert counts(run) == {"done": 1, "failed": 1}
    failed = next(row for row in job.rows() if row["status"] == "failed")
    assert failed["error"]["http_status"] == 404
    assert len(failed["created"]) == 1


def test_a_look_at_a_server_in_trouble_is_repeated(job: Job) -> None:
    """Looks that are answered with 500 are asked again; the operation hears nothing of it."""
    server = Server(
        refuse=lambda request, n: (
            Answer(500, {}) if request.endpoint.endswith("index_status") and n <= 3 else None
        )
    )
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 1}


def test_no_more_are_begun_than_may_wait(job: Job) -> None:
    """At the bound of what may be awaited nothing new begins until something has settled."""
    job.write(uploads(30))
    server = Server(latency=0.0, index_time=30.0)
    run = run_jumping(lambda: job.run(server, most_awaited=10, in_flight=2))
    first_look = min(at for at, endpoint, _ in server.times if endpoint == "document.index_status")
    before = sum(endpoint == "document.upload" for at, endpoint, _ in server.times if at < first_look)
    assert 10 <= before <= 11
    assert counts(run) == {"done": 30}


def test_a_stop_finishes_what_is_in_flight_and_begins_nothing(job: Job) -> None:
    """Stopped in the middle of their requests, operations in flight end done; no request leaves afterwards."""
    job.write(creates(20))
    server = Server()
    run = run_jumping(lambda: job.run(server, in_flight=4, stop_after=0.25, reason=Stop("enough")))
    assert counts(run) == {"done": 8, "not_started": 12}
    assert max(at for at, _, _ in server.times) < 0.25


def test_a_stop_leaves_what_waits_for_a_later_run(job: Job) -> None:
    """A stop ends a run at once when everything only waits; what waits is not started, with its steps kept."""
    server = Server(index_time=600.0)
    run = run_jumping(lambda: job.run(server, stop_after=2.0, reason=Stop("enough")))
    assert counts(run) == {"not_started": 1}
    assert [step.state for step in job.checkpoint.reader().open_steps()] == [StepState.DONE] * 2
    assert max(at for at, _, _ in server.times) < 2.0


def test_operations_of_several_steps_stop_between_them(job: Job) -> None:
    """With the pace closed by the stop, an upload in flight ends and its index is left for later."""
    server = Server()

    async def work() -> Any:
        async with Pace({"default": Tier("t", 6000)}, headers=REFERENCE.rate_headers) as pace:
            return await job.run(server, pace=pace, stop_after=0.1, reason=Stop("enough"))

    assert counts(run_jumping(work)) == {"not_started": 1}
    assert server.heard == {"document.upload": 1}
    assert [step.state for step in job.checkpoint.reader().open_steps()] == [StepState.DONE]


def test_what_waits_for_the_pace_is_not_in_doubt(job: Job) -> None:
    """An abort while sixty-four operations wait for their turn leaves no trace of them in the checkpoint."""
    job.write(creates(100))
    server = Server()

    async def work() -> Any:
        async with Pace({"default": Tier("t", 100)}, headers=REFERENCE.rate_headers) as pace:
            return await job.run(server, pace=pace, in_flight=64, abort_after=10.05)

    run = run_jumping(work)
    sent = server.heard.total()
    assert 5 < sent < 36
    rows = [*job.checkpoint.reader().rows(), *job.checkpoint.reader().open_steps()]
    assert len(rows) <= sent
    assert counts(run)["not_started"] >= 100 - sent


def test_the_drain_has_an_end(job: Job) -> None:
    """A request that does not end within the drain is aborted, told as in doubt at once, and held by the next run."""
    job.write(creates(1))
    server = Server(latency=100.0)

    async def both() -> None:
        await job.run(server, stop_after=60.0, reason=Stop("enough"), drain=5.0)
        assert job.states() == ["in_doubt"]
        await job.run(server)

    run_jumping(both)
    assert job.states() == ["in_doubt"]
    assert server.heard.total() == 1


def test_an_abort_before_the_last_byte_is_no_doubt(job: Job) -> None:
    """What had not left completely when the run was aborted is sent again by the next one."""
    job.write(creates(1))
    server = Server(latency=100.0)

    async def both() -> None:
        await job.run(server, stop_after=10.0, reason=Stop("enough"), drain=5.0)
        assert [step.state for step in job.checkpoint.reader().open_steps()] == [StepState.NO_EFFECT]
        await job.run(server)

    run_jumping(both)
    assert job.states() == ["done"]
    assert server.effects("agent.create") == ["agent 0"]


def test_a_wait_between_attempts_ends_with_the_run(job: Job) -> None:
    """A run that is stopped while a request waits for its next attempt does not wait for it."""
    job.write([{"op": "agent.get", "agent_id": "agent_1"}])
    server = Server(refuse=lambda _request, _number: Answer(500, {}))
    run = run_jumping(lambda: job.run(server, stop_after=1.0, reason=Stop("enough")))
    assert counts(run) == {"not_started": 1}
    assert max(at for at, _, _ in server.times) <= 1.0
