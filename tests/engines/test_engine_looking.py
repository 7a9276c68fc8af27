"""Looks as a server sees them, and what they leave to everything else."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import pytest

from bulkops.api import REFERENCE, Tier
from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.emulator.answers import Answer
from bulkops.errors import Stop
from bulkops.pace.turns import Pace
from bulkops.settings import Account, Secret
from tests.engines.engine_bench import AGENT, Job, Server, Unlimited, counts
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from pathlib import Path

STATUS = "document.index_status"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Return a job of one document that is indexed."""
    (tmp_path / "a.md").write_text("x")
    return Job(tmp_path, uploads(1))


def uploads(number: int, **more: Any) -> list[dict[str, Any]]:
    """Return lines that upload and index documents."""
    line = {"op": "document.upload", "file": "a.md", "index": {"model": "e5"}}
    return [{**line, "id": f"d{n}", "name": f"doc {n}", **more} for n in range(number)]


def looks(server: Server) -> list[float]:
    """Return when the server was asked for the state of an index."""
    return [at for at, endpoint, _ in server.times if endpoint == STATUS]


def shares(job: Job, **settings: Any) -> list[float]:
    """Run a job and return the shares that looks were given."""
    run = run_jumping(lambda: job.run(Server(), **settings))
    assert isinstance(run.budget, Unlimited)
    return run.budget.shares


def test_a_single_document_is_noticed_soon(job: Job) -> None:
    """With nothing else to do, a look comes every six seconds at the latest, at 100 requests a minute."""
    server = Server(latency=0.0, index_time=600.0)
    run_jumping(lambda: job.run(server))
    times = looks(server)
    assert max(after - before for before, after in pairwise(times)) < 7
    assert times[-1] == pytest.approx(603, abs=4)


def test_a_faster_clock_is_looked_at_faster(job: Job) -> None:
    """Against a server whose clock runs ten times as fast, the looks are the same, ten times as fast."""
    slow, fast = Server(latency=0.0, index_time=600.0), Server(latency=0.0, index_time=60.0)
    run_jumping(lambda: job.run(slow, budget=Unlimited(per_second=5.0)))
    job.checkpoint = MemoryCheckpoint()
    run_jumping(lambda: job.run(fast, budget=Unlimited(per_second=50.0), time_scale=10.0))
    assert looks(slow) == pytest.approx([10 * at for at in looks(fast)], abs=0.1)


def test_uploads_keep_their_speed(job: Job) -> None:
    """While uploads wait, looks take a tenth of the turns, and every document is noticed."""
    job.write(uploads(150))
    server = Server(index_time=20.0)

    async def work() -> Any:
        async with Pace({"default": Tier("t", 100)}, headers=REFERENCE.rate_headers) as pace:
            return await job.run(server, pace=pace)

    run = run_jumping(work)
    assert counts(run) == {"done": 150}
    last = max(at for at, endpoint, _ in server.times if endpoint == "document.index")
    meanwhile = sum(at < last for at in looks(server))
    assert 0.05 <= meanwhile / (meanwhile + 300) <= 0.12
    assert run.engine.looks <= 1.3 * 150


def test_looks_get_more_while_others_wait_for_what_is_awaited(job: Job) -> None:
    """As long as a line needs a document that is not ready, looks get 40 % of the turns."""
    job.write([*uploads(2), {"op": "agent.create", "body": AGENT, "needs": ["d1"]}])
    assert shares(job) == [0.1, 0.4, 0.1]


def test_a_share_that_was_given_stays(job: Job) -> None:
    """What the user gave is not raised."""
    job.write([*uploads(2), {"op": "agent.create", "body": AGENT, "needs": ["d1"]}])
    account = Account("default", "http://127.0.0.1", Secret("k"), Tier("none", 10**6), poll_share=0.2)
    assert shares(job, account=account) == [0.2]


def test_nobody_waits_for_a_document_without_dependants(job: Job) -> None:
    """Documents that nothing refers to leave the share as it is."""
    job.write([*uploads(2), {"op": "agent.create", "id": "a", "body": AGENT}])
    assert shares(job) == [0.1]


def test_an_index_that_fails_is_noticed_like_one_that_is_ready(job: Job) -> None:
    """Where indexes fail, each operation fails with the API's reason, after as few looks."""
    job.write(uploads(100))
    failed = Answer(200, {"document_id": "d", "status": "failed", "error": "no text"})
    server = Server(index_time=20.0, after=lambda request, _: failed if request.endpoint == STATUS else None)
    run = run_jumping(lambda: job.run(server))
    assert counts(run) == {"failed": 100}
    assert {row["error"]["message"].rpartition(": ")[2] for row in job.rows()} == {"no text"}
    assert run.engine.looks == 100


def test_how_long_things_took_is_told(job: Job) -> None:
    """The seconds that an index took, on the server's clock, and its looks are told when it has settled."""
    server = Server(latency=0.0, index_time=10.0)
    run = run_jumping(lambda: job.run(server, time_scale=10.0))
    tally = run.observer.meter.take()
    assert tally.looks["index"] == {run.engine.looks: 1}
    assert tally.settled["index"].percentile(0.5) == pytest.approx(100, rel=0.1)


def test_what_never_is_ready_costs_little(job: Job) -> None:
    """Documents that are not ready at their deadline end overdue, with few looks while others are uploaded."""
    job.write(uploads(50, deadline="10m"))
    server = Server(index_time=10_000.0)
    run = run_jumping(lambda: job.run(server))
    assert counts(run) == {"failed": 50}
    assert {row["error"]["code"] for row in job.rows()} == {"overdue"}
    assert run.engine.looks < 50 * 30


def test_while_others_wait_a_look_has_to_be_worth_it(job: Job) -> None:
    """With a queue for the pace, one document is looked at seldom; without it, often."""
    some, none = (Unlimited(per_second=5 / 3, waiting_work=waiting) for waiting in (50, 0))
    server, idle = Server(latency=0.0, index_time=600.0), Server(latency=0.0, index_time=600.0)
    run_jumping(lambda: job.run(server, budget=some))
    job.checkpoint = MemoryCheckpoint()
    run_jumping(lambda: job.run(idle, budget=none))
    assert len(looks(server)) <= 6
    assert len(looks(idle)) >= 60


@pytest.mark.parametrize("in_flight", [1, 2, 16])
def test_looks_count_among_the_requests_in_flight(job: Job, in_flight: int) -> None:
    """Work and looks together are never more in flight than allowed, and looks get their share of a single place."""
    job.write(uploads(200))
    server = Server(index_time=5.0)

    async def work() -> Any:
        tier = Tier("t", 60_000)
        async with Pace({"default": tier}, headers=REFERENCE.rate_headers, in_flight=in_flight) as pace:
            return await job.run(server, pace=pace, in_flight=16)

    run = run_jumping(work)
    assert counts(run) == {"done": 200}
    assert server.most_flying == in_flight
    last = max(at for at, endpoint, _ in server.times if endpoint == "document.index")
    meanwhile = sum(at < last for at in looks(server))
    assert meanwhile <= 0.12 * (400 + meanwhile)


def test_a_restart_knows_how_long_things_have_been_waiting(job: Job) -> None:
    """What was begun long before the restart is looked at at once, each thing once, and a few at a time."""
    job.write(uploads(100))
    server = Server(latency=0.1, index_time=300.0)

    async def both() -> float:
        with mock.patch.object(time, "time", return_value=1e9):
            await job.run(server, stop_after=30.0, reason=Stop("enough"))
        assert not looks(server) or max(looks(server)) <= 30.0
        server.times.clear()
        await anyio.sleep(1000.0)
        began = anyio.current_time()
        with mock.patch.object(time, "time", return_value=1e9 + 1030.0):
            await job.run(server)
        return began

    began = run_jumping(both)
    assert job.states() == ["done"] * 100
    assert len(looks(server)) == 100
    assert max(looks(server)) - began < 10
