"""`plan --online`: what it reads, shows, and leaves alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.e2e_commands import agents, results, table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk, Ended


def made(desk: Desk, count: int = 3, **body: Any) -> list[str]:
    """Make so many agents; return their ids."""
    lines = agents(count)
    for line in lines:
        line["body"].update(body)
    job = desk.job(lines, "made.jsonl")
    assert desk.run(job).code == 0
    return [row["result"]["agent_id"] for row in results(job)]


def online(desk: Desk, lines: list[Any], *words: object) -> Ended:
    """Plan a job with a look at the account."""
    ended = desk.bulkops("plan", desk.job(lines), *desk.target, "--online", *words)
    assert ended.code == 0, ended.err
    return ended


def update(agent_id: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a line that changes an agent."""
    return {"op": "agent.update", "agent_id": agent_id, "body": body, **more}


def test_an_update_is_shown_field_by_field(desk: Desk) -> None:
    """What would change is told with its path, old and new; what is as it is wanted is said to change nothing."""
    first, second, _ = made(desk)
    german = {"conversation_config": {"agent": {"language": "de", "first_message": "Hallo"}}}
    lines = [update(first, german), update(second, {"name": "Agent 1"}), update("agent_nobody", german)]
    said = online(desk, lines).out.splitlines()
    start = said.index("online: read 3 agents, and changed nothing")
    assert said[start + 1 :] == [
        f"  line 1, agent.update {first} (Agent 0):",
        '    conversation_config.agent.language: "en" → "de"',
        '    conversation_config.agent.first_message: nothing → "Hallo"',
        f"  line 2, agent.update {second} (Agent 1): changes nothing",
        "  line 3, agent.update agent_nobody: is not there",
    ]


def test_deletes_are_named_and_sources_looked_for(desk: Desk) -> None:
    """Of a delete the name is told, of a clone whether its source is there; a reference waits for its line."""
    first, second, _ = made(desk)
    lines = [
        {"op": "agent.delete", "agent_id": first},
        {"op": "agent.clone", "agent_id": second, "copies": 5, "name": "C ${copy}", "id": "c"},
        {"op": "agent.clone", "agent_id": "agent_nobody"},
        {"op": "agent.clone", "agent_id": "${ref:c[1]#agent_id}", "copies": 9, "name": "D ${copy}"},
    ]
    (told,) = online(desk, lines, "--json").rows
    seen = told["online"]
    assert (seen["reads"], seen["not_looked_at"], seen["not_known_yet"]) == (3, 0, 1)
    found = [(row["line"], row["is_there"], row["name"]) for row in seen["lines"]]
    assert found == [(1, True, "Agent 0"), (2, True, "Agent 1"), (3, False, None)]


def test_differences_for_programs_tell_what_is_absent(desk: Desk) -> None:
    """A value that is not there has no key; one that only another line will know stands as it is written."""
    first, _, _ = made(desk, note="x")
    other = {"op": "agent.create", "id": "o", "body": {"name": "O", "conversation_config": {}}}
    lines = [other, update(first, {"note": None, "more": {"to": ["${ref:o#agent_id}"]}})]
    (told,) = online(desk, lines, "--json").rows
    assert told["online"]["lines"][0]["differences"] == [
        {"path": "note", "old": "x"},
        {"path": "more", "new": {"to": ["${ref:o#agent_id}"]}},
    ]


def test_an_agent_is_read_once_and_no_more_than_the_limit(desk: Desk) -> None:
    """Lines of one agent share its read; beyond the limit it is said how many operations were not looked at."""
    first, second, third = made(desk)
    before = desk.sent
    lines = [update(agent_id, {"name": name}) for agent_id in (first, second, third) for name in "xy"]
    (told,) = online(desk, lines, "--json", "--online-limit", 4).rows
    assert (told["online"]["reads"], told["online"]["not_looked_at"]) == (2, 2)
    assert desk.sent == before + 2
    assert "2 operations not looked at (--online-limit 4)" in online(desk, lines, "--online-limit", 4).out


def test_it_sends_nothing_but_reads(desk_at: Callable[..., Desk], tmp_path: Path) -> None:
    """The server's journal has GETs only, one for each agent, and no effect; there is no run folder after it."""
    journal = tmp_path / "journal.jsonl"
    desk = desk_at(effects_file=journal)
    ids = made(desk)
    before = len(table(journal))
    kinds = [{"op": "agent.delete", "agent_id": ids[0]}, update(ids[1], {"name": "n"}), *agents(2)]
    online(desk, [*kinds, {"op": "agent.clone", "agent_id": ids[2]}])
    events = table(journal)[before:]
    assert {event["event"] for event in events} == {"received", "over"}
    received = [event for event in events if event["event"] == "received"]
    assert sorted((event["method"], event["endpoint"]) for event in received) == [("GET", "agent.get")] * 3
    assert not (desk.folder / "job.run").exists()


def test_what_is_done_is_not_looked_at(desk: Desk) -> None:
    """Of a job that was run nothing is read."""
    first, _, _ = made(desk)
    lines = [update(first, {"name": "n"})]
    assert desk.run(desk.job(lines)).code == 0
    assert "online: read 0 agents, and changed nothing" in online(desk, lines).out


def test_texts_of_the_server_are_harmless(desk: Desk) -> None:
    """No name or value of an agent reaches the terminal with what a terminal obeys."""
    first, _, _ = made(desk, name="\x1b]0;owned\x07\u202e", note="\x1b[2J")
    said = online(desk, [update(first, {"note": "a"}), {"op": "agent.delete", "agent_id": first}]).out
    assert "owned" in said
    assert not any(sign in said for sign in "\x1b\x07\u202e")


@pytest.mark.parametrize(
    ("words", "env", "code", "told"),
    [
        (("--online-limit", 0), {}, 2, "--online-limit takes a number from 1"),
        ((), {"ELEVENLABS_API_KEY": ""}, 2, "there is no API key"),
    ],
)
def test_what_it_cannot_do_is_said(
    desk: Desk, words: tuple[object, ...], env: dict[str, str], code: int, told: str
) -> None:
    """Without a key, or with a limit that is none, it ends with a word on that, and sends nothing."""
    job = desk.job([update("agent_1", {"name": "n"})])
    ended = desk.bulkops("plan", job, *desk.target, "--online", *words, env=env)
    assert (ended.code, desk.sent) == (code, 0)
    assert told in ended.err


def test_a_refused_key_ends_it(desk_at: Callable[..., Desk]) -> None:
    """A key that the server does not know ends it with exit code 4."""
    desk = desk_at(keys=("another",))
    ended = desk.bulkops("plan", desk.job([update("agent_1", {"name": "n"})]), *desk.target, "--online")
    assert ended.code == 4
    assert "refuses the key" in ended.err
    assert json.dumps("agent_1") not in ended.out
