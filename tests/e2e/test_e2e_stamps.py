"""Stamps from the command line: where they go, what asks for them, and that nothing stumbles over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.e2e.e2e_commands import KEY, agent, agents, results

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk

LIVE = ("--api", "live")
EQUAL = {"readback": "equal"}


def tagged(number: int, *tags: str, **more: Any) -> dict[str, Any]:
    """Return a line that creates an agent with tags."""
    line = agent(number, **more)
    return {**line, "body": {**line["body"], "tags": list(tags)}}


def bodies(desk: Desk) -> list[dict[str, Any]]:
    """Return the agents of the account as they were sent."""
    assert desk.server is not None
    return [orjson.loads(each.body) for each in desk.server.world(KEY).agents.values()]


def test_agents_of_the_live_api_are_tagged_unless_told_otherwise(desk_at: Callable[..., Desk]) -> None:
    """The stamp is a tag there, by which a lost answer is settled; with `none` nothing is added to what is asked."""
    desk = desk_at(api="live", faults=[{"endpoint": "agent.create", "nth": 1, "fault": "error_after"}])
    job = desk.job([tagged(0, "mine", expect=EQUAL), agent(1, expect=EQUAL)])
    ended = desk.run(job, "-j", 1, *LIVE, "--settle", "2s")
    assert ended.code == 0, ended.err
    first, second = results(job)
    assert first["resolved_by"] == "reconcile:stamp"
    assert [row["passed"] for row in (first, second)] == [True, True]
    tags = [body["tags"] for body in bodies(desk)]
    assert [len(each) for each in tags] == [2, 1]
    assert all(each[-1].startswith("bulkops:") for each in tags)
    plain = desk.job([agent(2)], "plain.jsonl")
    assert desk.run(plain, *LIVE, "--stamp", "none").code == 0
    assert "tags" not in bodies(desk)[-1]


def test_a_name_with_a_stamp_is_no_difference_at_the_live_api(desk_at: Callable[..., Desk]) -> None:
    """Its answer to a create tells no name: the readback knows the stamp by its shape."""
    desk = desk_at(api="live")
    job = desk.job(agents(1, expect=EQUAL))
    ended = desk.run(job, *LIVE, "--stamp", "suffix")
    assert ended.code == 0, ended.err
    assert results(job)[0]["passed"] is True
    [body] = bodies(desk)
    assert (len(body["name"]), "tags" in body) == (len("Agent 0") + 15, False)


def test_a_plan_and_an_undo_do_not_see_a_stamp(desk_at: Callable[..., Desk]) -> None:
    """An update that sets the tags that people see changes nothing; a deleted agent loses its old stamp."""
    desk = desk_at(api="live")
    made = desk.job([tagged(0, "mine")], "made.jsonl")
    assert desk.run(made, *LIVE).code == 0
    [row] = results(made)
    [before] = bodies(desk)
    there = row["result"]["agent_id"]
    job = desk.job([{"op": "agent.update", "agent_id": there, "body": {"tags": ["mine"]}}])
    ended = desk.bulkops("plan", job, *LIVE, *desk.target, "--online")
    assert "changes nothing" in ended.out, ended.out

    gone = desk.job([{"op": "agent.delete", "id": "d", "agent_id": there}], "gone.jsonl")
    assert desk.run(gone, *LIVE, "--yes").code == 0
    assert desk.bulkops("undo", gone, "--out", "undo.jsonl").code == 0
    ended = desk.run("undo.jsonl", *LIVE, "--yes")
    assert ended.code == 0, ended.err
    [after] = bodies(desk)
    assert after["tags"][0] == before["tags"][0] == "mine"
    assert len(after["tags"]) == 2
    assert after["tags"][1] != before["tags"][1]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--stamp", "tag"), "--api reference) has no place for it; there is: none, suffix"),
        (("--stamp", "tga"), "did you mean 'tag'?"),
        ((*LIVE, "--stamp", "none,tag"), "give none alone"),
        ((*LIVE, "--stamp", "suffix,tag"), "give one of suffix and tag"),
    ],
)
def test_what_cannot_be_stamped_so_is_refused(desk: Desk, words: tuple[str, ...], why: str) -> None:
    """What the API has no place for, and what excludes each other, is refused before anything is sent."""
    ended = desk.run(desk.job(agents(1)), *words)
    assert (ended.code, desk.sent) == (2, 0), ended.err
    assert why in ended.err
