"""Things that tell no age: what was there before the job is remembered, and never taken for what was made."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import anyio
import orjson
import pytest

from bulkops.api import LIVE
from bulkops.api.profile import Tier
from bulkops.checkpoint.baselines import KEY, of_pin, place_of
from bulkops.emulator.answers import Answer
from bulkops.engines.baselining import Baselines
from bulkops.model import State
from bulkops.planning import Selection
from bulkops.settings import Account, Secret
from tests.engines.engine_bench import Job, Server, counts
from tests.engines.test_engine_asking import given
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.model import Request

CREATE, LIST = "tool.create", "tool.list"
AGAIN = Selection(in_doubt=frozenset({CREATE}))


def tool(name: str, **more: Any) -> dict[str, Any]:
    """Return a line that makes a tool."""
    body = {"name": name, "description": "d", "url": "https://x.example", "method": "GET"}
    return {"op": CREATE, "body": body, **more}


def there(server: Server, number: int = 1, name: str = "t") -> list[str]:
    """Have tools there that are equal to that of the line `tool(name)`; return their ids."""
    request = LIVE.endpoint(CREATE).request(body=tool(name)["body"])
    body = orjson.dumps(request.body)
    return [server.world.create_tool(name, now=0.0, request=0, body=body).id for _ in range(number)]


def kept(job: Job, account: str = "") -> Any:
    """Return the baseline that a checkpoint has; None where it has none."""
    pins = dict(job.checkpoint.reader().pins_of(KEY))
    place = place_of("tool", account)
    return of_pin(pins[place]) if place in pins else None


def made(job: Job) -> list[str]:
    """Return the ids of what was made, by line."""
    return [row["created"][0]["id"] for row in job.rows() if row["created"]]


@pytest.mark.parametrize("number", [1, 150])
def test_what_was_there_before_is_not_taken(number: int, tmp_path: Path) -> None:
    """A lost create beside equal tools that were there, on one page or several, is made: theirs is never its own."""
    server = Server(api=LIVE)
    before = there(server, number)
    server.refuse = given(CREATE, 1)
    job = Job(tmp_path, [tool("t")], LIVE)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 1}
    assert len(server.effects(CREATE)) == number + 1
    assert set(made(job)).isdisjoint(before)


def test_what_was_made_is_found_beside_what_was_there(tmp_path: Path) -> None:
    """A create that took effect finds its own beside an equal tool that was there, and is not made again."""
    server = Server(api=LIVE)
    before = there(server)
    server.after = given(CREATE, 1)
    job = Job(tmp_path, [tool("t")], LIVE)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 1}
    assert len(server.effects(CREATE)) == 2
    assert set(made(job)).isdisjoint(before)


def test_what_somebody_else_made_meanwhile_is_held(tmp_path: Path) -> None:
    """Two equal tools that came since the job began, and one is ours: nobody guesses which."""
    server = Server(api=LIVE)
    server.after = given(CREATE, 2)

    def meanwhile(request: Request) -> None:
        if request.endpoint == CREATE and server.heard[CREATE] == 1:
            there(server)

    server.before_effect = meanwhile
    job = Job(tmp_path, [tool("a"), tool("t")], LIVE, in_flight=1)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 1, "in_doubt": 1}
    assert "somebody else makes them too" in job.rows()[1]["error"]["message"]
    assert server.effects(CREATE).count("t") == 2


def test_what_others_of_the_job_made_is_theirs(tmp_path: Path) -> None:
    """Of equal lines one is in doubt: the tools of the others, made since the baseline, are not its own."""
    server = Server(api=LIVE)
    there(server)
    server.refuse = given(CREATE, 3)
    job = Job(tmp_path, [tool("t")] * 4, LIVE, in_flight=1)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 4}
    assert len(server.effects(CREATE)) == 5
    assert len(set(made(job))) == 4


def test_it_is_listed_once_in_a_job(tmp_path: Path) -> None:
    """Sixteen at once wait for one listing, and a later run has none: what its first run made is not from before."""
    server = Server(api=LIVE)
    before = there(server)
    job = Job(tmp_path, [tool(f"{n}") for n in range(30)], LIVE, in_flight=16)
    run = run_jumping(lambda: job.run(server))
    assert (server.heard[LIST], server.heard[CREATE]) == (1, 30)
    assert run.plan.requests == 31
    assert server.times[0][1] == LIST
    job.write([tool(f"{n}") for n in range(40)])
    run = run_jumping(lambda: job.run(server))
    assert (server.heard[LIST], server.heard[CREATE]) == (1, 40)
    assert run.plan.requests == 10
    assert kept(job).ids == frozenset(before)


@pytest.mark.parametrize("moment", [0.05, 0.15, 0.25, 0.35])
def test_killed_around_the_listing(moment: float, tmp_path: Path) -> None:
    """Before, during and after it: the next run ends with each tool once, and with none of those that were there."""
    server = Server(api=LIVE)
    before = there(server, 2)
    job = Job(tmp_path, [tool("t"), tool("u")], LIVE, in_flight=1)

    async def both() -> None:
        await job.run_until_killed(server, moment)
        # Without a baseline nothing was sent.
        assert kept(job) is not None or not server.heard[CREATE]
        await job.run(server, AGAIN)

    run_jumping(both)
    assert job.states() == ["done"] * 2
    assert sorted(server.effects(CREATE)) == ["t", "t", "t", "u"]
    assert kept(job).ids == frozenset(before)
    assert set(made(job)).isdisjoint(before)


def test_it_is_durable_before_anything_is_made(tmp_path: Path) -> None:
    """When a create has left, the checkpoint has its baseline."""
    server, job = Server(api=LIVE), Job(tmp_path, [tool("t")], LIVE)
    known: list[bool] = []
    server.before_effect = lambda request: known.append(request.endpoint == LIST or kept(job) is not None)
    run_jumping(lambda: job.run(server))
    assert known == [True, True]


def refused(request: Request, _number: int) -> Answer | None:
    """Refuse to list the tools."""
    return Answer(404, {"detail": "no such thing"}) if request.endpoint == LIST else None


def test_where_it_cannot_be_listed_nothing_is_guessed(tmp_path: Path) -> None:
    """A listing that is refused at the begin keeps nothing from being made; later an equal tool leaves it held."""
    server = Server(api=LIVE)
    before = there(server)

    def fail(request: Request, number: int) -> Answer | None:
        if request.endpoint == LIST and number == 1:
            return refused(request, number)
        return given(CREATE, 2)(request, number)

    server.refuse = fail
    job = Job(tmp_path, [tool("a"), tool("t"), tool("u")], LIVE, in_flight=1)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 2, "in_doubt": 1}
    row = job.rows()[1]
    assert "may have been there before the job" in row["error"]["message"]
    assert "no such thing" in row["error"]["message"]
    assert row["evidence"]["candidates"] == before
    # As long as something is in doubt, that is not known in a later run either.
    job.write([tool("a"), tool("t"), tool("u"), tool("v")])
    run_jumping(lambda: job.run(server, AGAIN))
    assert job.states() == ["done", "in_doubt", "done", "done"]
    assert "in doubt already" in kept(job).unknown


def test_a_later_run_makes_up_for_it(tmp_path: Path) -> None:
    """Where the first run could not list, the next one does, if nothing is in doubt: all that the job made is owned."""
    server = Server(api=LIVE)
    before = there(server)
    server.refuse = lambda request, number: refused(request, number) if number == 1 else None
    job = Job(tmp_path, [tool("a")], LIVE)
    run_jumping(lambda: job.run(server))
    assert kept(job).unknown
    server.refuse = given(CREATE, 2)
    job.write([tool("a"), tool("t")])
    run = run_jumping(lambda: job.run(server))
    assert (run.plan.requests, counts(run)) == (2, {"done": 2})
    assert set(made(job)).isdisjoint(before)


def test_a_listing_that_keeps_changing_is_no_baseline(tmp_path: Path) -> None:
    """What is added while several pages are read could hide what was there: nothing is known then."""
    server = Server(api=LIVE)
    there(server, 150, "other")

    def more(request: Request) -> None:
        if request.endpoint == LIST:
            there(server, 1, "another")

    server.before_effect = more
    job = Job(tmp_path, [tool("t")], LIVE)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 1}
    assert "changed while it was read" in kept(job).unknown


def test_without_a_baseline_what_is_absent_is_sent_again(tmp_path: Path) -> None:
    """Where there is nothing that it could be, nothing needs to be known of before."""
    server = Server(api=LIVE)

    def fail(request: Request, number: int) -> Answer | None:
        return refused(request, number) if number == 1 else given(CREATE, 2)(request, number)

    server.refuse = fail
    job = Job(tmp_path, [tool("a"), tool("t")], LIVE, in_flight=1)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 2}
    assert kept(job).unknown
    assert server.heard[CREATE] == 3
    assert server.effects(CREATE) == ["a", "t"]


def without_baseline(job: Job) -> None:
    """Have a checkpoint as one is that was begun without."""
    job.checkpoint = copy.deepcopy(job.checkpoint)
    job.checkpoint._pins.clear()


def test_a_checkpoint_that_was_begun_without(tmp_path: Path) -> None:
    """What it has in doubt is held beside an equal tool, whether that was there before or not; later lines as well."""
    server = Server(api=LIVE)
    server.after = given(CREATE, 1)
    job = Job(tmp_path, [tool("t")], LIVE)

    async def both() -> None:
        await job.run_until_killed(server, 0.45)
        without_baseline(job)
        job.write([tool("t"), tool("u")])
        await job.run(server, AGAIN)

    run_jumping(both)
    assert job.states() == ["in_doubt", "done"]
    assert "may have been there before the job" in job.rows()[0]["error"]["message"]
    assert server.effects(CREATE) == ["t", "u"]
    assert "was in doubt already" in kept(job).unknown


def test_a_checkpoint_with_nothing_in_doubt_gets_one(tmp_path: Path) -> None:
    """Of one that was begun without, everything is owned that it made: what else is there was there before its next."""
    server = Server(api=LIVE)
    before = there(server)
    job = Job(tmp_path, [tool("u")], LIVE)
    run_jumping(lambda: job.run(server))
    without_baseline(job)
    server.refuse = given(CREATE, 2)
    job.write([tool("u"), tool("t")])
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 2}
    assert set(made(job)).isdisjoint(before)
    assert server.effects(CREATE) == ["t", "u", "t"]


def test_each_account_has_its_own(tmp_path: Path) -> None:
    """An account is listed before its own first create, also in a later run; the run's own has one by any name."""
    others = {"eu": Account("eu", "http://127.0.0.2", Secret("e"), Tier("none", 10**6))}
    server = Server(api=LIVE)
    job = Job(tmp_path, [tool("a")], LIVE, others=others)
    run_jumping(lambda: job.run(server))
    assert (kept(job) is not None, kept(job, "eu") is not None) == (True, False)
    job.write([tool("a"), tool("b", account="eu"), tool("c", account="default")])
    run = run_jumping(lambda: job.run(server))
    assert server.heard[LIST] == 2
    assert run.plan.loads["eu"].requests == 2
    assert kept(job, "eu") is not None


def test_a_reference_run_lists_nothing(tmp_path: Path) -> None:
    """The reference has no listing of tools, and its agents tell their ages."""
    server = Server()
    job = Job(tmp_path, [tool("t"), {"op": "agent.create", "body": {"name": "a", "conversation_config": {}}}])
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 2}
    assert server.heard.total() == 2
    assert not job.checkpoint.reader().pins_of(KEY)


def test_a_run_that_is_stopped_meanwhile_has_none(tmp_path: Path) -> None:
    """Waiting for the listing is cancelled without a trace, and taken up by the next one who asks."""
    server, job = Server(api=LIVE), Job(tmp_path, [tool("t")], LIVE)

    async def taken() -> None:
        async with job.running(server) as run:
            baselines = Baselines(LIVE, run.sender, job.checkpoint, "default")
            with anyio.move_on_after(0.1):
                await baselines.take("default", "tool")
            assert kept(job) is None
            await baselines.take("default", "tool")
            assert kept(job) is not None

    run_jumping(taken)
    assert State.DONE not in job.checkpoint.reader().counts()
