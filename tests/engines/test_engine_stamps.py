"""What bears a stamp is known for sure, whatever others make meanwhile under the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulkops.api import LIVE
from bulkops.emulator.answers import Answer
from bulkops.planning import Selection
from tests.engines.engine_bench import AGENT, Job, Server, counts
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.model import Request

TAG, SUFFIX = frozenset({"tag"}), frozenset({"suffix"})
AGENTS = frozenset({"agent.create", "agent.clone"})
NAME = "Support"
LINES: list[dict[str, Any]] = [{"op": "agent.create", "body": AGENT}] * 3


def crowded(**more: Any) -> Server:
    """Return a server at which somebody else makes the same agent before and after each of ours."""
    server = Server(api=LIVE, **more)
    answers = server.after

    def others(_request: Request | None = None) -> None:
        server.world.create_agent(NAME, orjson.dumps(AGENT), now=0.0, kind="others")

    def after(request: Request, number: int) -> Answer | None:
        if request.makes == "agent":
            others()
        return answers(request, number)

    server.before_effect = lambda request: others() if request.makes == "agent" else None
    server.after = after
    return server


def lost(request: Request, _number: int) -> Answer | None:
    """Lose the answer to whatever makes an agent."""
    return Answer(500, {"detail": "lost"}) if request.makes == "agent" else None


def tags_in(server: Server) -> list[list[str]]:
    """Return the tags of the agents that have some, in the order in which they were made."""
    told = (orjson.loads(agent.body).get("tags") for agent in server.world.agents.values())
    return [tags for tags in told if tags]


def test_a_tag_tells_ours_from_those_of_others(tmp_path: Path) -> None:
    """Each of three equal agents whose answers were lost is found as the one that it made, among nine namesakes."""
    server = crowded(after=lost)
    job = Job(tmp_path, LINES, LIVE, stamps=TAG)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 3}
    rows = job.rows()
    assert [row["resolved_by"] for row in rows] == ["reconcile:stamp"] * 3
    assert len(server.effects("agent.create")) == 3
    for row in rows:
        whole = orjson.loads(server.world.agents[row["result"]["agent_id"]].body)
        assert whole["tags"] == row["result"]["tags"]


def test_the_tag_stands_behind_those_that_were_asked_for(tmp_path: Path) -> None:
    """Tags of the line stay where they are, each request has a tag of its own, and a new attempt has the same."""
    server = Server(api=LIVE, refuse=lambda request, number: lost(request, number) if number == 1 else None)
    job = Job(tmp_path, [{"op": "agent.create", "body": {**AGENT, "tags": ["mine"]}}] * 2, LIVE, stamps=TAG)
    sent: list[Any] = []
    server.before_effect = lambda request: sent.append(request.body) if request.makes else None
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 2}
    tags = [body["tags"] for body in sent]
    assert all(each[0] == "mine" and each[1].startswith("bulkops:") and len(each) == 2 for each in tags)
    assert len(tags) == 3
    assert len({each[1] for each in tags}) == 2


@pytest.mark.parametrize("moment", [0.15, 0.35, 0.55])
def test_killed_among_others_nothing_is_made_twice(moment: float, tmp_path: Path) -> None:
    """A run that is killed between an effect and its answer is followed by one that finds it among its namesakes."""
    server = crowded()
    job = Job(tmp_path, LINES, LIVE, stamps=TAG, in_flight=1)

    async def both() -> None:
        await job.run_until_killed(server, moment)
        await job.run(server, Selection(in_doubt=AGENTS))

    run_jumping(both)
    assert job.states() == ["done"] * 3
    assert len(server.effects("agent.create")) == 3
    assert {row["result"]["agent_id"] for row in job.rows()} == {
        effect.id for effect in server.world.effects if effect.kind == "agent.create"
    }


@pytest.mark.parametrize(
    ("before", "after"), [(frozenset(), TAG), (SUFFIX, TAG), (TAG, SUFFIX), (TAG, frozenset())]
)
def test_what_an_earlier_run_sent_is_found_as_it_was_sent(
    before: frozenset[str], after: frozenset[str], tmp_path: Path
) -> None:
    """A doubt is looked for by the stamp that it was sent with, or by none, whatever the next run gives to others."""
    server, job = Server(api=LIVE), Job(tmp_path, LINES, LIVE, in_flight=1)

    async def both() -> None:
        job.given["stamps"] = before
        await job.run_until_killed(server, 0.35)
        job.given["stamps"] = after
        await job.run(server, Selection(in_doubt=AGENTS))

    run_jumping(both)
    assert job.states() == ["done"] * 3
    assert len(server.effects("agent.create")) == 3
    [found] = [row["resolved_by"] for row in job.rows() if row.get("resolved_by")]
    assert found == ("reconcile:stamp" if before else "reconcile:count")


def test_what_bears_one_stamp_twice_is_held(tmp_path: Path) -> None:
    """A create that somebody on the way has carried out twice is held, with both ids."""
    server = Server(api=LIVE, after=lost)

    def twice(request: Request) -> None:
        if request.makes is not None:
            server.world.create_agent(NAME, orjson.dumps(request.body), now=0.0)

    server.before_effect = twice
    job = Job(tmp_path, LINES[:1], LIVE, stamps=TAG)
    assert counts(run_jumping(lambda: job.run(server))) == {"in_doubt": 1}
    [row] = job.rows()
    assert "made more than once" in row["error"]["message"]
    assert sorted(row["evidence"]["candidates"]) == sorted(server.world.agents)


def test_a_copy_does_not_bear_the_stamp_of_its_source(tmp_path: Path) -> None:
    """A clone has a stamp of its own alone, and neither it nor that of the source is a difference to what was asked."""
    expected = {"readback": "equal"}
    lines = [
        {"op": "agent.create", "id": "a", "body": {**AGENT, "tags": ["mine"]}, "expect": expected},
        {"op": "agent.clone", "agent_id": "${ref:a#agent_id}", "expect": expected},
    ]
    server, job = Server(api=LIVE), Job(tmp_path, lines, LIVE, stamps=TAG)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 2}
    assert [row["passed"] for row in job.rows()] == [True, True]
    first, second = tags_in(server)
    assert (first[0], second[0], len(first), len(second)) == ("mine", "mine", 2, 2)
    assert first[1] != second[1]


def test_a_stamp_is_none_of_what_is_expected(tmp_path: Path) -> None:
    """An update that `expected` guards goes by the tags that people gave; one that sets them drops the stamp."""
    lines = [
        {"op": "agent.create", "id": "a", "body": {**AGENT, "tags": ["mine"]}},
        {
            "op": "agent.update",
            "agent_id": "${ref:a#agent_id}",
            "expected": {"tags": ["mine"]},
            "body": {"tags": ["more"]},
            "expect": {"readback": "equal"},
        },
    ]
    server, job = Server(api=LIVE), Job(tmp_path, lines, LIVE, stamps=TAG)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 2}, job.rows()
    assert job.rows()[1]["passed"] is True
    assert tags_in(server) == [["more"]]


def test_a_duplicate_is_told_by_its_name(tmp_path: Path) -> None:
    """A duplicate bears no tag: it is found by name and time, and is not taken for a stamped agent of its name."""
    server = Server(api=LIVE, conversations=1, after=lost)
    lines: list[dict[str, Any]] = [
        {"op": "agent.duplicate", "agent_id": "agent_seed_0001", "name": NAME},
        {"op": "agent.create", "body": AGENT},
    ]
    job = Job(tmp_path, lines, LIVE, stamps=TAG)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 2}
    assert [row["resolved_by"] for row in job.rows()] == ["reconcile:count", "reconcile:stamp"]
    assert [row["result"]["agent_id"] for row in job.rows()] == [
        effect.id
        for kind in ("agent.duplicate", "agent.create")
        for effect in server.world.effects
        if effect.kind == kind
    ]
