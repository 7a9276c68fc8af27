"""Creates whose answer was lost: the API is asked what became of them, and what it cannot tell is held."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from bulkops.checkpoint import open_reader
from bulkops.model import State
from tests.e2e.e2e_commands import agents, check_ending, end_of, interrupt, results, run_folder, table, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk

LOST = ("error_after", "reset_after", "cut", "no_id", "not_json", "reset_before")
SOON = ("--settle", "2s")
"""So long, instead of a minute; the emulator has no tail."""


def tool(number: int) -> dict[str, Any]:
    """Return a line that makes a tool: the API has no listing of tools."""
    body = {"name": f"t{number}", "description": "d", "url": "https://a.example", "method": "GET"}
    return {"op": "tool.create", "id": f"t{number}", "body": {**body, "parameters": {"type": "object"}}}


def lost(kind: str, *numbers: int, fault: str = "error_after") -> list[dict[str, Any]]:
    """Return faults that lose answers."""
    return [{"endpoint": kind, "nth": number, "fault": fault} for number in numbers]


def doubts_of(job: Path) -> list[dict[str, Any]]:
    """Return what in_doubt.jsonl tells."""
    return table(run_folder(job) / "in_doubt.jsonl")


def test_the_api_is_asked_what_became_of_lost_answers(desk_at: Callable[..., Desk]) -> None:
    """Of six lost answers five took effect: those are found by two listings, the sixth is absent and sent again."""
    desk = desk_at(faults=[{"nth": number, "fault": fault} for number, fault in enumerate(LOST, 2)])
    job = desk.job(agents(8))
    ended = desk.run(job, "-j", 1, *SOON)
    assert ended.code == 0, ended.err
    told = check_ending(job, ended)
    assert sorted(desk.made()) == [f"Agent {n}" for n in range(8)]
    ids = {effect.name: effect.id for effect in desk.effects("agent.create")}
    rows = {row["id"]: row for row in results(job)}
    assert {f"Agent {key[1:]}": row["result"]["agent_id"] for key, row in rows.items()} == ids
    assert [key for key, row in rows.items() if row.get("resolved_by")] == [f"a{n}" for n in range(1, 6)]
    assert rows["a1"]["resolved_by"] == "reconcile:count"
    assert rows["a1"]["evidence"]["candidates"] == [ids["Agent 1"]]
    assert (rows["a6"]["attempts"], rows["a6"]["status"]) == (2, "done")
    assert told["doubts"] == {"in_doubt": 0, "found": 5, "absent": 1, "possible_duplicates": 0}
    assert told["requests"]["sent"] <= 8 + 1 + 3
    assert "in doubt 0; reconciled 6 (5 found, 1 absent and sent again); possible duplicates 0" in ended.err
    assert "6 in doubt: asking the API what became of them" in ended.err
    assert doubts_of(job) == []


def test_a_run_without_doubts_says_so_and_asks_nothing(desk: Desk) -> None:
    """The line about doubts is always there; without any, no listing is asked for."""
    job = desk.job(agents(3))
    ended = desk.run(job)
    assert "in doubt 0; reconciled 0 (0 found, 0 absent and sent again); possible duplicates 0" in ended.err
    assert desk.sent == 3


def test_what_is_absent_each_time_is_not_counted_as_sent_again_the_last_time(
    desk_at: Callable[..., Desk],
) -> None:
    """A create that is absent three times was sent three times, that is twice again; then it fails."""
    desk = desk_at(faults=lost("agent.create", 1, 2, 3, fault="error_before"))
    job = desk.job(agents(1))
    ended = desk.run(job, "--settle", "1s")
    assert ended.code == 3, ended.err
    assert check_ending(job, ended)["doubts"]["absent"] == 2
    assert "reconciled 2 (0 found, 2 absent and sent again)" in ended.err
    [row] = results(job)
    assert row["attempts"] == 3
    assert "sent 3 times, and each time it was found to be absent" in row["error"]["message"]
    assert desk.made() == []


def test_identical_lines_are_told_apart_by_number(desk_at: Callable[..., Desk]) -> None:
    """Of equal lines whose answers are lost as many are found as there are, each with an id of its own."""
    same = {"op": "agent.create", "body": {"name": "Twin", "conversation_config": {}}}
    faults = [*lost("agent.create", 1, 3), *lost("agent.create", 4, fault="reset_before")]
    desk = desk_at(faults=faults)
    job = desk.job([same] * 6)
    ended = desk.run(job, "-j", 3, *SOON)
    assert ended.code == 0, ended.err
    assert desk.made() == ["Twin"] * 6
    found = sorted(row["result"]["agent_id"] for row in results(job))
    assert found == sorted(effect.id for effect in desk.effects("agent.create"))


def test_what_waits_for_a_doubt_goes_on_when_it_is_settled(desk_at: Callable[..., Desk]) -> None:
    """A line that refers to one in doubt is done in the same run, with the id that was found."""
    desk = desk_at(faults=lost("agent.create", 1))
    clone = {"op": "agent.clone", "id": "c", "agent_id": "${ref:a0#agent_id}", "name": "Copy"}
    job = desk.job([*agents(1), clone])
    ended = desk.run(job, *SOON)
    assert ended.code == 0, ended.err
    assert desk.made() == ["Agent 0", "Copy"]


def test_a_doubt_left_by_an_interruption_is_settled_by_the_next_run(desk_at: Callable[..., Desk]) -> None:
    """A run that is stopped before it can tell holds what is in doubt; the next one asks the API first."""
    desk = desk_at(faults=lost("agent.create", 2, fault="reset_before"))
    job = desk.job(agents(2))
    with desk.start("run", job, *desk.target, "--settle", "60s") as process:
        until(lambda: desk.sent >= 3)
        stopped = interrupt(process)
    assert stopped.code == 130, stopped.err
    assert check_ending(job, stopped)["operations"]["in_doubt"] == 1
    assert "run it again to have the API asked" in doubts_of(job)[0]["reason"]
    ended = desk.run(job, *SOON)
    assert ended.code == 0, ended.err
    assert check_ending(job, ended)["doubts"]["absent"] == 1
    assert sorted(desk.made()) == ["Agent 0", "Agent 1"]


def test_a_doubt_left_by_a_kill_is_settled_by_the_next_run(desk_at: Callable[..., Desk]) -> None:
    """Killed between the effect and its answer: the next run finds what was made."""
    desk = desk_at(latency=(1.0, 1.0))
    job = desk.job(agents(4))
    with desk.start("run", job, *desk.target, "-j", 4) as process:
        until(lambda: desk.sent >= 4)
        process.kill()
        end_of(process)
    ended = desk.run(job, *SOON)
    assert ended.code == 0, ended.err
    assert sorted(desk.made()) == [f"Agent {n}" for n in range(4)]
    assert len({row["result"]["agent_id"] for row in results(job)}) == 4


def test_a_stamp_makes_it_exact(desk_at: Callable[..., Desk]) -> None:
    """With --stamp suffix the names end with a token, and what is in doubt is known by it."""
    desk = desk_at(faults=lost("agent.create", 1))
    job = desk.job(agents(2))
    ended = desk.run(job, "-j", 1, "--stamp", "suffix", *SOON)
    assert ended.code == 0, ended.err
    assert all(name[:7] == f"Agent {n}" and len(name) == 22 for n, name in enumerate(desk.made()))
    assert results(job)[0]["resolved_by"] == "reconcile:stamp"


@pytest.mark.parametrize("fault", LOST)
def test_what_the_api_does_not_list_is_held(desk_at: Callable[..., Desk], fault: str) -> None:
    """A tool whose answer was lost is held by every run, and says what settles it; sent again on demand only."""
    desk = desk_at(faults=lost("tool.create", 1, fault=fault))
    job = desk.job([tool(0), tool(1)])
    ended = desk.run(job, "-j", 1)
    assert ended.code == 6, ended.err
    assert check_ending(job, ended)["operations"]["in_doubt"] == 1
    assert f"bulkops retry --in-doubt {job}" in ended.last
    [doubt] = doubts_of(job)
    assert doubt["settle"] == f"bulkops resolve {job} t0 --adopt ID | --retry | --skip"
    assert doubt["look_for"].startswith('a tool named "t0" that was made between ')
    sent = desk.sent
    for held in (desk.run(job), desk.retry(job)):
        assert (held.code, desk.sent) == (6, sent), held.err
        check_ending(job, held)
    again = desk.retry(job, "--in-doubt")
    assert again.code == 0, again.err
    assert "in doubt (1)" in again.err
    assert "possible duplicates 1" in again.err
    assert [row.get("possible_duplicate") for row in results(job)] == [True, None]
    assert desk.sent == sent + 1


def test_a_policy_of_its_own_for_each_kind(desk_at: Callable[..., Desk]) -> None:
    """Conversations are sent again at once, tools are given up, agents are asked for: each as the user says."""
    faults = [*lost("conversation.create", 1), *lost("tool.create", 1), *lost("agent.create", 1)]
    desk = desk_at(faults=faults, conversations=1)
    call = {"op": "conversation.create", "id": "c", "body": {"agent_id": "agent_seed_0001"}}
    job = desk.job([call, tool(0), *agents(1)])
    policy = "reconcile,conversation.create=retry,tool.create=skip"
    ended = desk.run(job, "--in-doubt", policy, *SOON)
    assert ended.code == 0, ended.err
    rows = {row["id"]: row for row in results(job)}
    assert {key: row["status"] for key, row in rows.items()} == {"c": "done", "t0": "skipped", "a0": "done"}
    assert [key for key, row in rows.items() if row.get("possible_duplicate")] == ["c"]
    assert len(desk.effects("conversation.create")) == 2


@pytest.mark.parametrize("policy", ["ask", "guess", "agent.made=retry"])
def test_a_policy_that_cannot_be_is_refused(desk: Desk, policy: str) -> None:
    """One that nobody knows, of a kind that nobody knows, or that needs a terminal where there is none."""
    job = desk.job(agents(1))
    ended = desk.run(job, "--in-doubt", policy)
    assert (ended.code, desk.sent) == (2, 0), ended.err


def test_a_misspelt_operation_in_doubt_is_answered_with_the_one_that_was_meant(
    desk_at: Callable[..., Desk],
) -> None:
    """Who misspells what is to be settled is told which id is like it; nothing is settled."""
    desk = desk_at(faults=lost("tool.create", 1))
    job = desk.job([{**tool(0), "id": "weather-tool"}])
    assert desk.run(job).code == 6
    ended = desk.bulkops("resolve", job, "wether-tool", "--skip")
    assert ended.code == 2
    assert "did you mean 'weather-tool'?" in ended.err
    assert desk.bulkops("resolve", job, "weather-tool", "--skip").code == 0


def test_a_doubt_is_settled_by_hand(desk_at: Callable[..., Desk]) -> None:
    """Adopted, sent again or given up, with who decided: the next run goes on with it."""
    desk = desk_at(faults=lost("tool.create", 1, 2, 3))
    job = desk.job([tool(0), tool(1), tool(2), tool(3)])
    assert desk.run(job, "-j", 1).code == 6
    [first, second, _third, fourth] = [effect.id for effect in desk.effects("tool.create")]
    taken = desk.bulkops("resolve", job, "t0", "--adopt", fourth)
    assert taken.code == 2
    assert "was made by t3" in taken.err
    for words in (("t0", "--adopt", first), ("t1", "--retry"), ("t2", "--skip")):
        settled = desk.bulkops("resolve", job, *words)
        assert settled.code == 0, settled.err
    assert desk.bulkops("resolve", job, "t3", "--skip").code == 2
    assert desk.bulkops("resolve", job, "t0").code == 2
    ended = desk.run(job)
    assert ended.code == 0, ended.err
    rows = {row["id"]: row for row in results(job)}
    assert rows["t0"]["result"] == {"tool_id": first}
    assert (rows["t0"]["resolved_by"], set(rows["t0"]["evidence"])) == ("user", {"by", "who", "at"})
    assert rows["t1"]["possible_duplicate"] is True
    assert (rows["t2"]["status"], rows["t2"]["resolved_by"]) == ("skipped", "user")
    assert len(desk.effects("tool.create")) == 5
    assert second in json.dumps([effect.id for effect in desk.effects()])


def test_a_proof_allows_a_second_attempt(desk_at: Callable[..., Desk]) -> None:
    """A create that was provably not done (429, refused connection) is sent again without a question."""
    desk = desk_at(faults=[{"nth": 2, "fault": "429", "retry_after": 0}])
    job = desk.job(agents(3))
    assert desk.run(job).code == 0
    assert len(desk.effects()) == 3


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


def test_an_effect_that_comes_late_is_waited_for(desk_at: Callable[..., Desk]) -> None:
    """What takes effect seconds after its connection is gone is found, and is not made a second time."""
    desk = desk_at(faults=[{"endpoint": "agent.create", "nth": 1, "fault": "reset_after", "late": 2.5}])
    job = desk.job(agents(2))
    ended = desk.run(job, "--settle", "5s")
    assert ended.code == 0, ended.err
    assert sorted(desk.made()) == ["Agent 0", "Agent 1"]
    assert check_ending(job, ended)["doubts"]["found"] == 1


def test_a_settle_time_that_is_too_short_makes_it_twice(desk_at: Callable[..., Desk]) -> None:
    """The minute is there for this: absent after one second, sent again, and then the first one takes effect."""
    desk = desk_at(faults=[{"endpoint": "agent.create", "nth": 1, "fault": "reset_after", "late": 2.5}])
    job = desk.job(agents(1))
    ended = desk.run(job, "--settle", "1s")
    assert ended.code == 0, ended.err
    until(lambda: len(desk.made()) == 2)


def test_a_possible_duplicate_is_told_by_a_later_run(desk_at: Callable[..., Desk]) -> None:
    """Sent again at the user's word in a run that ended before the operation did: its result says so all the same."""
    desk = desk_at(faults=lost("document.upload", 1), index_time=8.0)
    (desk.folder / "d.txt").write_text("text")
    line = {"op": "document.upload", "id": "d", "file": "d.txt", "name": "d", "index": {"model": "m"}}
    job = desk.job([line])
    stopped = desk.run(job, "--in-doubt", "retry", "--max-duration", "3s")
    assert stopped.code == 7, stopped.err
    ended = desk.run(job)
    assert ended.code == 0, ended.err
    assert len(desk.effects("document.upload")) == 2
    assert results(job)[0]["possible_duplicate"] is True
    assert check_ending(job, ended)["doubts"]["possible_duplicates"] == 1


def test_what_a_kill_left_is_checked_before_it_is_settled_by_hand(desk_at: Callable[..., Desk]) -> None:
    """`resolve` after an unclean end refuses a damaged checkpoint, as a run does, and changes nothing."""
    desk = desk_at(faults=[*lost("tool.create", 1), {"endpoint": "agent.create", "fault": "silent"}])
    job = desk.job([tool(0), *agents(1)])
    with desk.start("run", job, *desk.target) as process:
        until(lambda: desk.sent >= 2 and _is_held(job))
        process.kill()
    path = run_folder(job) / "checkpoint.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE operation SET line = line + 1")
    refused = desk.bulkops("resolve", job, "t0", "--skip")
    assert refused.code == 74, refused.err
    assert "is damaged" in refused.err
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE operation SET line = line - 1")
    assert desk.bulkops("resolve", job, "t0", "--skip").code == 0


def _is_held(job: Path) -> bool:
    reader = open_reader(run_folder(job) / "checkpoint.db")
    if reader is None:
        return False
    with reader:
        return reader.counts().get(State.IN_DOUBT, 0) == 1
