"""What is foreseen of a job: how long it takes, how many looks, and the range."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from bulkops import foreseeing
from bulkops.api import REFERENCE, Tier
from bulkops.api.profile import scaled
from bulkops.foreseeing import foresee
from bulkops.model import RequestClass, State
from bulkops.pace import Allowance
from bulkops.pace.turns import Pace
from bulkops.settings import Account, Reserve, Secret
from tests.jumping import run_jumping
from tests.pace.servers import ALGORITHMS
from tests.pace.simulation import WALL, Service, Words, job
from tests.planning.planning_jobs import Remembered, get, plan_of, write

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.foreseeing import Foreseen

CREATE = {"op": "agent.create", "body": {"name": "x", "conversation_config": {}}}


def account(limit: int | None = 100, **more: Any) -> Account:
    """Return an account with so many requests a minute."""
    return Account("default", "http://localhost", Secret(""), Tier("t", limit), **more)


def foreseen(path: Path, lines: list[Any], of: Account | None = None, **more: Any) -> Foreseen:
    """Return what is foreseen of a job."""
    found = foresee(plan_of(write(path / "job.jsonl", lines)), of or account(), REFERENCE, **more)
    assert found is not None
    assert found.least <= found.seconds <= found.most
    assert found.fewest_looks <= found.looks <= found.most_looks
    return found


def uploads(path: Path, number: int) -> list[Any]:
    """Return lines that upload and index a document each."""
    (path / "a.md").write_text("x")
    line = {"op": "document.upload", "file": "a.md", "index": {"model": "m"}}
    return [{**line, "id": f"d{place}"} for place in range(number)]


@pytest.mark.parametrize(("limit", "seconds"), [(100, 600), (500, 120)])
def test_the_rate_decides_over_many_requests(tmp_path: Path, limit: int, seconds: float) -> None:
    """A thousand requests take what the limit makes of them, to within two percent."""
    found = foreseen(tmp_path, [get(f"g{number}") for number in range(1000)], account(limit))
    assert found.seconds == pytest.approx(seconds, rel=0.02)
    assert found.most < 1.07 * seconds


def test_nothing_is_foreseen_without_a_limit(tmp_path: Path) -> None:
    """Where nobody has said what the limit is, no time follows."""
    assert foresee(plan_of(write(tmp_path / "job.jsonl", [get()])), account(None), REFERENCE) is None


def test_a_finished_job_takes_no_time(tmp_path: Path) -> None:
    """Nothing left, no time, no looks."""
    remembered = Remembered()
    remembered.end(get("a"), State.DONE)
    found = foresee(plan_of(write(tmp_path / "job.jsonl", [get("a")]), remembered), account(), REFERENCE)
    assert found is not None
    assert (found.seconds, found.most, found.most_looks) == (0.0, 0.0, 0)


def test_of_a_half_done_job_the_rest_is_foreseen(tmp_path: Path) -> None:
    """What is done takes no time any more."""
    lines = [get(f"g{number}") for number in range(600)]
    remembered = Remembered()
    for number, line in enumerate(lines[:300], 1):
        remembered.end(line, State.DONE, number=number)
    rest = foresee(plan_of(write(tmp_path / "job.jsonl", lines), remembered), account(), REFERENCE)
    assert rest == foreseen(tmp_path, lines[300:])


def test_a_short_job_is_foreseen_to_go_at_once(tmp_path: Path) -> None:
    """What fits into the limit takes a moment where the server tells of room, and at most a minute elsewhere."""
    fits = foreseen(tmp_path, [get(f"g{number}") for number in range(85)])
    assert fits.seconds < 5
    assert 50 < fits.most < 60
    assert foreseen(tmp_path, [get(f"g{number}") for number in range(86)]).seconds > 50


def test_a_reserve_makes_it_longer(tmp_path: Path) -> None:
    """The time follows from what is left of the limit."""
    lines = [get(f"g{number}") for number in range(300)]
    half = foreseen(tmp_path, lines, account(reserve=Reserve(0.5)))
    assert half.seconds == pytest.approx(2 * foreseen(tmp_path, lines).seconds, rel=0.02)


def test_what_is_awaited_last_is_waited_for(tmp_path: Path) -> None:
    """A single document takes about as long as its index; longer where indexes take longer."""
    found = foreseen(tmp_path, uploads(tmp_path, 1))
    assert 15 < found.seconds < 40
    assert found.most > 1.4 * found.seconds
    assert found.looks >= 1


def test_lines_wait_for_those_that_they_name(tmp_path: Path) -> None:
    """What needs fifty documents begins after the last of them, and what needs that after it."""
    documents = uploads(tmp_path, 50)
    after = {**CREATE, "id": "golden", "needs": [line["id"] for line in documents]}
    clones = [get(f"k{number}", agent_id="${ref:golden#agent_id}") for number in range(100)]
    together = foreseen(tmp_path, [*documents, CREATE, *[get(f"k{number}") for number in range(100)]])
    assert foreseen(tmp_path, [*documents, after, *clones]).seconds > together.seconds + 15


def test_a_tag_is_waited_for_like_its_lines(tmp_path: Path) -> None:
    """Whoever needs a tag, or collects it, is foreseen to wait as if each of its lines had been named."""
    documents = uploads(tmp_path, 30)
    by_id = {**CREATE, "needs": [line["id"] for line in documents]}
    named = foreseen(tmp_path, [*documents, by_id])
    tagged = [{**line, "tags": ["docs"]} for line in documents]
    assert foreseen(tmp_path, [*tagged, {**CREATE, "needs": ["@docs"]}]) == named
    collects = {"$collect": {"tag": "docs", "field": "document_id"}}
    body = {"name": "x", "conversation_config": {"agent": {"prompt": {"knowledge_base": collects}}}}
    assert foreseen(tmp_path, [*tagged, {"op": "agent.create", "body": body}]) == named


def test_the_clock_of_the_server_only_scales_it(tmp_path: Path) -> None:
    """At a clock ten times as fast everything takes a tenth of the time."""
    lines = uploads(tmp_path, 40)
    slow = foreseen(tmp_path, lines)
    fast = Account("default", "http://localhost", Secret(""), scaled(Tier("t", 100), 10))
    found = foreseen(tmp_path, lines, fast, time_scale=10)
    assert found.seconds == pytest.approx(slow.seconds / 10, rel=0.05)
    assert found.looks == pytest.approx(slow.looks, rel=0.1)


def test_the_same_plan_is_told_the_same(tmp_path: Path) -> None:
    """Two looks at one job see the same numbers."""
    lines = uploads(tmp_path, 40)
    assert foreseen(tmp_path, lines) == foreseen(tmp_path, lines)


def test_long_jobs_follow_from_the_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too long to be played is foreseen as if it had been, to within five percent."""
    lines = [*uploads(tmp_path, 300), *[get(f"g{number}") for number in range(300)]]
    played = foreseen(tmp_path, lines)
    monkeypatch.setattr(foreseeing, "MOST_LOOKS", 100)
    assert foreseen(tmp_path, lines).seconds == pytest.approx(played.seconds, rel=0.05)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("silent", [False, True])
def test_the_pace_takes_as_long_as_foreseen(tmp_path: Path, name: str, *, silent: bool) -> None:
    """At every server, told by headers or not, the real pace needs for 400 requests what was foreseen, within 5 %."""
    expected = foreseen(tmp_path, [get(f"g{number}") for number in range(400)]).seconds

    async def run() -> float:
        server = ALGORITHMS[name](100, 60.0, -random.Random(1).uniform(0, 60.0))
        service = Service(server, 1, Words(silent=silent))

        def wall() -> float:
            return WALL + asyncio.get_running_loop().time()

        allowance = Allowance(Tier("t", 100))
        async with Pace({"a": allowance}, headers=REFERENCE.rate_headers, wall=wall) as pace:
            pace.expect("a", 400)
            return await job(service, lambda: pace.turn("a", RequestClass.WORK), 400)

    assert run_jumping(run) == pytest.approx(expected, rel=0.05)


def test_several_accounts_go_on_at_once(tmp_path: Path) -> None:
    """It takes as long as the slowest takes alone; where one waits for another, at most as long as both together."""
    own, eu = account(100), Account("eu", "http://localhost", Secret(""), Tier("t", 10))
    few = [get(f"f{number}", account="eu") for number in range(60)]
    many = [get(f"m{number}") for number in range(120)]
    both = foreseen(tmp_path, [*few, *many], own, others={"eu": eu})
    alone, other = (
        foreseen(tmp_path, [get(f"f{n}") for n in range(60)], account(10)),
        foreseen(tmp_path, many),
    )
    assert (both.seconds, both.least, both.most) == (alone.seconds, alone.least, alone.most)
    assert other.seconds < alone.seconds
    waits = [*few, *[{**line, "needs": ["f0"]} for line in many]]
    chained = foreseen(tmp_path, waits, own, others={"eu": eu})
    assert chained.most > both.most
    assert (
        foresee(
            plan_of(tmp_path / "job.jsonl"),
            own,
            REFERENCE,
            others={"eu": Account("eu", "http://localhost", Secret(""), Tier("t", None))},
        )
        is None
    )


def test_what_is_read_elsewhere_counts_there(tmp_path: Path) -> None:
    """The source of a clone is a request to its own account."""
    eu = Account("eu", "http://localhost", Secret(""), Tier("t", 10))
    clone = {"op": "agent.clone", "id": "c", "agent_id": "a", "from": "eu", "copies": 5}
    found = foreseen(tmp_path, [clone], account(100), others={"eu": eu})
    assert found.seconds == foreseen(tmp_path, [get(f"g{n}") for n in range(5)]).seconds
