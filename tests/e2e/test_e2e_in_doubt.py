"""Creates whose answer was lost: held, shown, and sent again only when the user says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.e2e_commands import agents, check_ending, results, run_folder, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk

LOST = ("error_after", "reset_after", "cut", "no_id", "not_json", "reset_before")


def test_lost_answers_are_held(desk_at: Callable[..., Desk]) -> None:
    """Creates whose answer was lost in any way are in doubt: exit 6, held by every run, sent again on demand only."""
    desk = desk_at(faults=[{"nth": number, "fault": fault} for number, fault in enumerate(LOST, 2)])
    job = desk.job(agents(8))
    ended = desk.run(job, "-j", 1)
    assert ended.code == 6, ended.err
    assert check_ending(job, ended)["operations"]["in_doubt"] == len(LOST)
    assert f"bulkops retry --in-doubt {job}" in ended.last
    assert "in_doubt.jsonl" in ended.last
    doubts = table(run_folder(job) / "in_doubt.jsonl")
    assert [doubt["id"] for doubt in doubts] == [f"a{n}" for n in range(1, 7)]
    assert doubts[0]["look_for"].startswith('an agent named "Agent 1" that was made between ')
    assert all(doubt["reason"] for doubt in doubts)

    sent = desk.sent
    for held in (desk.run(job), desk.retry(job)):
        assert (held.code, desk.sent) == (6, sent), held.err
        check_ending(job, held)

    again = desk.retry(job, "--in-doubt")
    assert again.code == 0, again.err
    check_ending(job, again)
    assert "there twice" in again.err
    assert desk.sent == sent + len(LOST)
    marked = {row["id"] for row in results(job) if row.get("possible_duplicate")}
    assert marked == {f"a{n}" for n in range(1, 7)}
    assert table(run_folder(job) / "in_doubt.jsonl") == []
    assert desk.run(job).code == 0
    assert desk.sent == sent + len(LOST)


def test_a_proof_allows_a_second_attempt(desk_at: Callable[..., Desk]) -> None:
    """A create that was provably not done (429, refused connection) is sent again without a question."""
    desk = desk_at(faults=[{"nth": 2, "fault": "429", "retry_after": 0}])
    job = desk.job(agents(3))
    assert desk.run(job).code == 0
    assert len(desk.effects()) == 3


def test_what_needs_an_operation_in_doubt_waits(desk_at: Callable[..., Desk]) -> None:
    """A line that needs one in doubt is not done before that is settled, and is done by the retry."""
    desk = desk_at(faults=[{"nth": 1, "fault": "error_after"}])
    lines = agents(1)
    lines.append({"op": "agent.clone", "id": "c", "agent_id": "${ref:a0#agent_id}", "name": "Copy"})
    job = desk.job(lines)
    ended = desk.run(job)
    assert ended.code == 6
    check_ending(job, ended)
    assert desk.made() == ["Agent 0"]
    again = desk.retry(job, "--in-doubt")
    assert again.code == 0, again.err
    assert desk.made() == ["Agent 0", "Agent 0", "Copy"]


def test_reads_and_updates_are_repeated(desk_at: Callable[..., Desk]) -> None:
    """A lost answer to a read or an update is no doubt: it is simply asked for again."""
    desk = desk_at(
        faults=[
            {"endpoint": "agent.get", "nth": 1, "fault": "cut"},
            {"endpoint": "agent.update", "nth": 1, "fault": "error_after"},
        ]
    )
    of_a = {"agent_id": "${ref:a0#agent_id}"}
    job = desk.job(
        [*agents(1), {"op": "agent.get", **of_a}, {"op": "agent.update", **of_a, "body": {"name": "B"}}]
    )
    ended = desk.run(job, "--time-scale", 20)
    assert ended.code == 0, ended.err
    assert check_ending(job, ended)["requests"]["retries"] == 2
