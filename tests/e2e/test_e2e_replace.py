"""Documents replaced without a gap: `bulkops new replace`, and `replace` in an agent.update."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.crash.crash_sizes import size
from tests.e2e.e2e_accounts import EU, US, two_accounts, world
from tests.e2e.e2e_commands import KEY, end_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.e2e_commands import Desk


def knowledge(documents: list[Any]) -> dict[str, Any]:
    """Return a configuration with these documents."""
    return {"conversation_config": {"agent": {"prompt": {"knowledge_base": documents}}}}


def documents_of(desk: Desk) -> dict[str, list[Any]]:
    """Return the ids of the documents of each agent, by its name."""
    assert desk.server is not None
    bodies = {agent.name: orjson.loads(agent.body) for agent in desk.server.world(KEY).agents.values()}
    return {
        name: body["conversation_config"]["agent"]["prompt"]["knowledge_base"]
        for name, body in bodies.items()
        if "knowledge_base" in body["conversation_config"].get("agent", {}).get("prompt", {})
    }


def handbook(desk: Desk, **texts: str) -> None:
    """Write the files of the handbook."""
    folder = desk.folder / "handbook"
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text)


def begin(desk: Desk) -> dict[str, str]:
    """Upload a handbook of three, and make two agents that use it and one that does not; return the ids by name."""
    handbook(desk, a="one", b="two", c="three")
    made = desk.bulkops("new", "upload", "handbook", "--if-exists", "skip", "--out", "first.jsonl")
    assert made.code == 0, made.err
    assert desk.bulkops("run", "first.jsonl", *desk.target).code == 0
    rows = map(orjson.loads, (desk.folder / "first.run" / "results.jsonl").read_bytes().splitlines())
    ids = {row["id"]: row["result"]["document_id"] for row in rows}
    agents = {
        "all": [ids["a.md"], ids["b.md"], ids["c.md"], "doc_static"],
        "one": [{"type": "file", "id": ids["b.md"]}],
        "none": ["doc_static"],
    }
    lines = [
        {"op": "agent.create", "body": {"name": name, **knowledge(documents)}}
        for name, documents in agents.items()
    ]
    assert desk.bulkops("run", desk.job(lines, "agents.jsonl"), *desk.target).code == 0
    return ids


def test_what_has_changed_is_replaced(desk: Desk) -> None:
    """Changed files are uploaded and take the places of the old ones; the rest is neither uploaded nor touched."""
    old = begin(desk)
    handbook(desk, b="TWO", d="four")
    made = desk.bulkops("new", "replace", "handbook", "--ledger", "first.run", "--out", "second.jsonl")
    assert made.code == 0, made.err
    assert "2 unchanged" in made.err
    assert "1 new, uploaded and given to no agent: d.md" in made.err
    ended = desk.bulkops("run", "second.jsonl", *desk.target)
    assert ended.code == 0, ended.err
    rows = [
        orjson.loads(row) for row in (desk.folder / "second.run" / "results.jsonl").read_bytes().splitlines()
    ]
    (uploaded,) = [row for row in rows if row["id"] == "b.md"]
    new = uploaded["result"]["document_id"]
    assert uploaded["meta"] == {"replaces": old["b.md"]}
    assert documents_of(desk) == {
        "all": [old["a.md"], new, old["c.md"], "doc_static"],
        "one": [{"type": "file", "id": new}],
        "none": ["doc_static"],
    }
    assert desk.server is not None
    assert sum(effect.kind == "agent.update" for effect in desk.server.effects) == 2
    again = desk.bulkops("new", "replace", "handbook", "--ledger", "first.run", "--ledger", "second.run")
    assert (again.code, again.out) == (0, "")
    assert "nothing has changed" in again.err


def test_a_replacement_that_was_taken_back_does_not_count(desk: Desk) -> None:
    """What it uploaded is replaced where an agent still has it."""
    old = begin(desk)
    handbook(desk, b="TWO")
    words = ("new", "replace", "handbook", "--ledger", "first.run")
    assert desk.bulkops(*words, "--out", "second.jsonl").code == 0
    assert desk.bulkops("run", "second.jsonl", *desk.target).code == 0
    taken = documents_of(desk)["one"][0]["id"]
    both = (*words, "--ledger", "second.run")
    assert desk.bulkops("undo", "second.jsonl", "--out", "undo.jsonl").code == 0
    assert "nothing has changed" in desk.bulkops(*both).err
    assert desk.bulkops("run", "undo.jsonl", *desk.target).code == 0
    assert documents_of(desk)["one"][0]["id"] == old["b.md"]
    late = {"op": "agent.create", "body": {"name": "late", **knowledge([taken])}}
    assert desk.bulkops("run", desk.job([late], "late.jsonl"), *desk.target).code == 0

    again = desk.bulkops(*both, "--out", "third.jsonl")
    assert again.code == 0, again.err
    assert "second.run was taken back by undo.jsonl: what it uploaded does not count" in again.err
    assert desk.bulkops("run", "third.jsonl", *desk.target).code == 0
    new = documents_of(desk)["one"][0]["id"]
    assert new not in (taken, old["b.md"])
    assert documents_of(desk)["late"] == [new]


def test_a_replacement_counts_again_once_its_undo_was_undone(desk: Desk) -> None:
    """The files are those that the agents have, so nothing has changed."""
    begin(desk)
    handbook(desk, b="TWO")
    words = ("new", "replace", "handbook", "--ledger", "first.run")
    assert desk.bulkops(*words, "--out", "second.jsonl").code == 0
    assert desk.bulkops("run", "second.jsonl", *desk.target).code == 0
    for job, back in (("second", "undo"), ("undo", "redo")):
        assert desk.bulkops("undo", f"{job}.jsonl", "--out", f"{back}.jsonl").code == 0
        assert desk.bulkops("run", f"{back}.jsonl", *desk.target).code == 0
    assert "nothing has changed" in desk.bulkops(*words, "--ledger", "second.run").err


def test_a_file_that_was_renamed_is_told(desk: Desk) -> None:
    """It is new by its name; that its content is there already stands in what is said, and in the job."""
    begin(desk)
    (desk.folder / "handbook" / "c.md").rename(desk.folder / "handbook" / "hours.md")
    made = desk.bulkops("new", "replace", "handbook", "--ledger", "first.run")
    assert made.code == 0, made.err
    assert "1 renamed with the same content (c.md is hours.md now)" in made.err
    assert [row["meta"] for row in made.rows if row.get("id") == "hours.md"] == [{"renamed_from": "c.md"}]


def test_what_has_no_file_any_more_can_be_taken_out(desk: Desk) -> None:
    """Only when that is asked for."""
    old = begin(desk)
    (desk.folder / "handbook" / "c.md").unlink()
    words = ("new", "replace", "handbook", "--ledger", "first.run", "--out", "second.jsonl")
    told = desk.bulkops(*words)
    assert "1 without a file, left in the agents (--remove takes them out): c.md" in told.err
    assert not (desk.folder / "second.jsonl").exists()
    assert desk.bulkops(*words, "--remove").code == 0
    assert desk.bulkops("run", "second.jsonl", *desk.target).code == 0
    assert documents_of(desk)["all"] == [old["a.md"], old["b.md"], "doc_static"]


def test_an_agent_that_missed_a_replacement_gets_the_last_one(desk: Desk) -> None:
    """A document that was replaced twice is replaced also where an agent still has the first one."""
    old = begin(desk)
    words = ("new", "replace", "handbook", "--ledger", "first.run")
    handbook(desk, b="TWO")
    assert desk.bulkops(*words, "--out", "second.jsonl").code == 0
    assert desk.bulkops("run", "second.jsonl", *desk.target).code == 0
    late = {"op": "agent.create", "body": {"name": "late", **knowledge([old["b.md"]])}}
    assert desk.bulkops("run", desk.job([late], "late.jsonl"), *desk.target).code == 0
    handbook(desk, a="ONE")
    assert desk.bulkops(*words, "--ledger", "second.run", "--out", "third.jsonl").code == 0
    assert desk.bulkops("run", "third.jsonl", *desk.target).code == 0
    (last,) = documents_of(desk)["late"]
    assert last != old["b.md"]
    assert documents_of(desk)["all"][1] == last


def test_documents_are_replaced_in_their_own_account(desk: Desk) -> None:
    """The job is for the account whose runs uploaded them; runs of several are refused."""
    two_accounts(desk)
    handbook(desk, a="one", b="two")
    upload = {"id": "a.md", "op": "document.upload", "file": "handbook/a.md"}
    agent = {"op": "agent.create", "body": {"name": "one", **knowledge(["${ref:a.md#document_id}"])}}
    at = desk.target[:2]
    for account in ("us", "eu"):
        job = desk.job([{"$job": {"account": account}}, upload, agent], f"{account}.jsonl")
        assert (ended := desk.bulkops("run", job, *at)).code == 0, ended.err
    handbook(desk, a="ONE")
    words = ("new", "replace", "handbook", "--out", "second.jsonl", "--ledger")
    refused = desk.bulkops(*words, "us.run", "--ledger", "eu.run")
    assert refused.code == 2
    assert "several accounts (eu, us)" in refused.err
    assert desk.bulkops(*words, "eu.run").code == 0
    assert (ended := desk.bulkops("run", "second.jsonl", *at)).code == 0, ended.err
    changed = [sum(effect.kind == "agent.update" for effect in world(desk, key).effects) for key in (US, EU)]
    assert changed == [0, 1]


@pytest.mark.parametrize("seed", range(size(1, 20)))
def test_killed_at_any_moment_agents_have_a_whole_set(desk: Desk, seed: int) -> None:
    """At every kill each agent has either all the old documents or all the new ones; in the end the new ones."""
    old = begin(desk)
    handbook(desk, a="ONE", b="TWO", c="THREE")
    assert (
        desk.bulkops("new", "replace", "handbook", "--ledger", "first.run", "--out", "second.jsonl").code == 0
    )
    chance = random.Random(seed)

    def sets() -> Iterator[tuple[bool, int]]:
        before = set(old.values())
        for documents in documents_of(desk).values():
            ids = [each["id"] if isinstance(each, dict) else each for each in documents]
            mine = [each for each in ids if each != "doc_static"]
            yield len({each in before for each in mine}) <= 1, len(mine)

    for _ in range(4):
        with desk.start("run", "second.jsonl", *desk.target) as process:
            time.sleep(chance.uniform(0.3, 1.2))
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert all(whole for whole, _ in sets())
    with desk.start("run", "second.jsonl", *desk.target) as process:
        assert end_of(process).code == 0
    assert [number for _, number in sets()] == [3, 1, 0]
    assert not set(old.values()) & {
        str(each) for documents in documents_of(desk).values() for each in documents
    }
    assert desk.server is not None
    assert sum(effect.kind == "document.upload" for effect in desk.server.effects) == 6


def test_a_ledger_of_other_documents_is_refused(desk: Desk) -> None:
    """Nothing of the folder was uploaded by that run, so nothing can be replaced."""
    begin(desk)
    (desk.folder / "other").mkdir()
    (desk.folder / "other" / "z.md").write_text("z")
    told = desk.bulkops("new", "replace", "other", "--ledger", "first.run")
    assert told.code == 2
    assert "uploaded no document of other under its path" in told.err


def test_an_update_says_what_to_change(desk: Desk) -> None:
    """Without a body and without ids to replace, a line is refused; ids have to be ids."""
    job = desk.job(
        [
            {"op": "agent.update", "agent_id": "a"},
            {"op": "agent.update", "agent_id": "a", "replace": {"x": 1}},
        ]
    )
    told = desk.bulkops("plan", job)
    assert told.code == 2
    assert "`body` is missing; agent.update needs it, or `replace` with ids" in told.err
    assert "`replace` says what is no id for 'x'; write another id, or null to take it out" in told.err
