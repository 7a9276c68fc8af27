"""What it costs to find out what became of an operation in doubt: requests, counted in an account of 10,000 agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulkops.planning import Selection
from tests.engines.engine_bench import Job, Server, counts
from tests.engines.test_engine_asking import agent, given
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from pathlib import Path

MINUTE = 60.0
FEW = 3
"""Requests for a reconcile, at most."""
ASKING = ("agent.list", "agent.get")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Return a job of three agents, made one after the other."""
    return Job(tmp_path, map(agent, "abc"), in_flight=1)


@pytest.fixture(params=[9_995, 9_998, 10_000])
def server(request: pytest.FixtureRequest) -> Server:
    """Return a server with about 10,000 agents, one a minute; the last page is almost full, just begun, or between."""
    server = Server()
    for number in range(request.param, 0, -1):
        server.world.create_agent(f"old {number}", b"{}", now=-MINUTE * number)
    return server


def asked(server: Server, after: float = 0.0, until: float = 1e9) -> int:
    """Return how many requests asked the API what became of something."""
    return sum(after <= at < until and endpoint in ASKING for at, endpoint, _ in server.times)


def test_what_took_effect_is_found_by_three_requests(job: Job, server: Server) -> None:
    """One whose answer was lost, of 10,000: the first page, and the young end of the listing."""
    server.after = given("agent.create", 2)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 3}
    assert 0 < asked(server) <= FEW


def test_what_is_absent_takes_three_requests_twice(job: Job, server: Server) -> None:
    """Soon, and when it has settled; then it is sent again."""
    server.refuse = given("agent.create", 2)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 3}
    assert 0 < asked(server, until=30.0) <= FEW
    assert 0 < asked(server, after=30.0) <= FEW


def test_what_a_killed_run_left_is_found_by_three_requests(job: Job, server: Server) -> None:
    """The next run hears what time it is at the server from a page that it asks for anyway."""
    server.after = given("agent.create", 2)

    async def killed() -> None:
        await job.run_until_killed(server, 0.7)
        server.times.clear()
        await job.run(server, Selection(in_doubt=frozenset({"agent.create"})))

    run_jumping(killed)
    assert job.states() == ["done"] * 3
    assert 0 < asked(server) <= FEW
