"""An id that two answers name: nobody knows whose it is, so both operations are in doubt and neither is sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.e2e.e2e_commands import agents, check_ending, results, run_folder, states, table
from tests.e2e.test_e2e_in_doubt import SOON, doubts_of, lost, tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk


def repeated(kind: str, *numbers: int) -> list[dict[str, Any]]:
    """Return faults that answer with the id of the answer before."""
    return lost(kind, *numbers, fault="repeated")


def test_both_lines_of_a_repeated_id_are_held(desk_at: Callable[..., Desk]) -> None:
    """The first was done already: its result, its counts and what it made are taken back; nothing is sent again."""
    desk = desk_at(faults=repeated("tool.create", 2))
    job = desk.job([tool(0), tool(1), tool(2)])
    ended = desk.run(job, "-j", 1)
    assert ended.code == 6, ended.err
    counts = check_ending(job, ended)["operations"]
    assert (counts["done"], counts["in_doubt"]) == (1, 2)
    assert states(job) == {"t0": "in_doubt", "t1": "in_doubt", "t2": "done"}
    [first, _second, third] = [effect.id for effect in desk.effects("tool.create")]
    assert [made["id"] for made in table(run_folder(job) / "created.jsonl")] == [third]
    assert all(
        f"named {first}" in row["reason"] or f"names {first}" in row["reason"] for row in doubts_of(job)
    )
    assert f"two answers named {first}" in ended.err
    sent = desk.sent
    for held in (desk.run(job), desk.retry(job)):
        assert (held.code, desk.sent) == (6, sent), held.err
        check_ending(job, held)
    assert desk.made("tool.create") == ["t0", "t1", "t2"]


def test_both_lines_of_a_repeated_id_are_settled_by_hand(desk_at: Callable[..., Desk]) -> None:
    """Each is told what it made; the id that came twice is nobody's until then."""
    desk = desk_at(faults=repeated("tool.create", 2))
    job = desk.job([tool(0), tool(1)])
    assert desk.run(job, "-j", 1).code == 6
    ids = [effect.id for effect in desk.effects("tool.create")]
    for name, made in zip(("t1", "t0"), ids, strict=True):
        settled = desk.bulkops("resolve", job, name, "--adopt", made)
        assert settled.code == 0, settled.err
    ended = desk.run(job)
    assert ended.code == 0, ended.err
    check_ending(job, ended)
    assert [row["result"]["tool_id"] for row in results(job)] == ids[::-1]
    assert desk.made("tool.create") == ["t0", "t1"]


def test_agents_of_a_repeated_id_are_told_apart_by_the_listing(desk_at: Callable[..., Desk]) -> None:
    """The API is asked which of the two has that id, in the same run; each gets its own."""
    desk = desk_at(faults=repeated("agent.create", 2))
    job = desk.job(agents(3))
    ended = desk.run(job, "-j", 1, *SOON)
    assert ended.code == 0, ended.err
    assert check_ending(job, ended)["doubts"]["found"] == 2
    ids = [effect.id for effect in desk.effects("agent.create")]
    rows = results(job)
    assert [row["result"]["agent_id"] for row in rows] == ids
    assert [row.get("resolved_by") for row in rows] == ["reconcile:count", "reconcile:count", None]
    assert [made["id"] for made in table(run_folder(job) / "created.jsonl")] == ids
    assert desk.made() == ["Agent 0", "Agent 1", "Agent 2"]


def test_identical_agents_of_a_repeated_id_get_an_id_each(desk_at: Callable[..., Desk]) -> None:
    """Nobody can tell which of two equal lines made which of two equal agents, and it is of no account."""
    same = {"op": "agent.create", "body": {"name": "Twin", "conversation_config": {}}}
    desk = desk_at(faults=repeated("agent.create", 2, 3))
    job = desk.job([same] * 4)
    ended = desk.run(job, "-j", 1, *SOON)
    assert ended.code == 0, ended.err
    assert len({row["result"]["agent_id"] for row in results(job)}) == 4
    assert desk.made() == ["Twin"] * 4


def slow(kind: str) -> dict[str, Any]:
    """Return a fault that has the second answer come after half a second; all others wait for the very first."""
    return {"endpoint": kind, "nth": 2, "fault": "slow", "seconds": 0.5}


def test_what_waits_for_the_first_of_a_repeated_id_waits_again(desk_at: Callable[..., Desk]) -> None:
    """A line that waited for something else only does not begin while the line it refers to is in doubt."""
    desk = desk_at(faults=[*repeated("tool.create", 2), slow("agent.create")])
    refers = {"op": "agent.clone", "id": "c", "agent_id": "${ref:a1#agent_id}", "name": "${ref:t0#tool_id}"}
    job = desk.job([*agents(2), tool(0), refers, tool(1)])
    ended = desk.run(job, "-j", 2)
    assert ended.code == 6, ended.err
    assert check_ending(job, ended)["operations"]["not_started"] == 1
    ids = [effect.id for effect in desk.effects("tool.create")]
    for name, made in zip(("t0", "t1"), ids, strict=True):
        assert desk.bulkops("resolve", job, name, "--adopt", made).code == 0
    ended = desk.run(job)
    assert ended.code == 0, ended.err
    assert desk.made() == ["Agent 0", "Agent 1", ids[0]]


def test_what_waits_again_goes_on_when_the_first_is_settled(desk_at: Callable[..., Desk]) -> None:
    """What had become ready begins in the same run, once the listing has told what it refers to."""
    desk = desk_at(faults=[*repeated("agent.create", 2), slow("tool.create")])
    copy = {"op": "agent.clone", "id": "c", "agent_id": "${ref:a0#agent_id}", "name": "Copy", "needs": ["t1"]}
    first, second = agents(2)
    job = desk.job([tool(0), tool(1), first, copy, second])
    ended = desk.run(job, "-j", 2, *SOON)
    assert ended.code == 0, ended.err
    check_ending(job, ended)
    assert desk.made() == ["Agent 0", "Agent 1", "Copy"]
