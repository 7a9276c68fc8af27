"""Stamps from the command line: where they go, what asks for them, and that nothing stumbles over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.e2e.e2e_accounts import EU, US, two_accounts
from tests.e2e.e2e_commands import (
    KEY,
    agent,
    agents,
    check_ending,
    end_of,
    interrupt,
    results,
    run_folder,
    states,
    table,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.emulator.things import Document
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
        (("--stamp", "folder"), "--api reference) has no place for it"),
    ],
)
def test_what_cannot_be_stamped_so_is_refused(desk: Desk, words: tuple[str, ...], why: str) -> None:
    """What the API has no place for, and what excludes each other, is refused before anything is sent."""
    ended = desk.run(desk.job(agents(1)), *words)
    assert (ended.code, desk.sent) == (2, 0), ended.err
    assert why in ended.err


def text(name: str, **more: Any) -> dict[str, Any]:
    """Return the line of a text."""
    return {"op": "document.create_text", "id": name, "body": {"name": name, "text": name}, **more}


def documents(desk: Desk, key: str = KEY) -> list[Document]:
    """Return the documents and folders of an account."""
    assert desk.server is not None
    return list(desk.server.world(key).documents.values())


def all_in_one(found: list[Document], *names: str) -> None:
    """Check that there is one folder, and in it one document of each of these names."""
    [folder] = [each for each in found if each.type == "folder"]
    inside = [each.name for each in found if each.folder == folder.document_id]
    assert sorted(inside) == sorted(names)
    assert len(found) == len(names) + 1


def test_a_folder_of_the_run_is_told_of(desk_at: Callable[..., Desk]) -> None:
    """Beside the tags documents get a folder: counted, listed with what was made, and deleted last by an undo."""
    desk = desk_at(api="live")
    (desk.folder / "doc.txt").write_text("What a document says. " * 100)
    upload = {
        "op": "document.upload",
        "id": "u",
        "file": "doc.txt",
        "index": {"model": "e5_mistral_7b_instruct"},
    }
    job = desk.job([text("a"), upload, agent(0)])
    ended = desk.run(job, *LIVE, "--stamp", "tag,folder")
    assert ended.code == 0, ended.err
    told = check_ending(job, ended)
    assert told["requests"]["sent"] == desk.sent
    all_in_one(documents(desk), "a", "doc.txt")
    assert len(bodies(desk)[0]["tags"]) == 1
    [row] = [row for row in table(run_folder(job) / "created.jsonl") if row["op"] == "folder.create"]
    [folder] = [each for each in documents(desk) if each.type == "folder"]
    assert (row["kind"], row["id"]) == ("document", folder.document_id)
    before = desk.sent
    assert desk.run(job, *LIVE, "--stamp", "tag,folder").code == 0
    assert desk.sent == before
    assert desk.bulkops("undo", job, "--out", "undo.jsonl").code == 0
    assert table(desk.folder / "undo.jsonl")[-1]["document_id"] == folder.document_id
    ended = desk.run("undo.jsonl", *LIVE, "--yes", "-j", 4)
    assert ended.code == 0, ended.err
    assert (documents(desk), bodies(desk)) == ([], [])


@pytest.mark.parametrize("requests", [1, 2, 3])
def test_a_killed_run_and_the_next_have_one_folder(desk_at: Callable[..., Desk], requests: int) -> None:
    """Killed with the folder, or a document in it, between effect and answer: the next run finds and uses it."""
    desk = desk_at(api="live", latency=(0.5, 0.5))
    job = desk.job([text("a"), text("b"), text("c")])
    words = (*LIVE, "--stamp", "folder", "-j", 1)
    with desk.start("run", job, *desk.target, *words) as process:
        until(lambda: desk.sent >= requests)
        process.kill()
        end_of(process)
    ended = desk.run(job, *words, "--settle", "2s")
    assert ended.code == 0, ended.err
    check_ending(job, ended)
    all_in_one(documents(desk), "a", "b", "c")


def test_a_run_that_is_stopped_while_it_waits_for_its_folder(desk_at: Callable[..., Desk]) -> None:
    """Nothing was begun for the lines that wait, so nothing is in doubt of theirs; the next run asks and goes on."""
    desk = desk_at(api="live", faults=[{"endpoint": "folder.create", "nth": 1, "fault": "error_before"}])
    job = desk.job([text("a"), text("b")])
    words = (*LIVE, "--stamp", "folder")
    with desk.start("run", job, *desk.target, *words, "--settle", "60s") as process:
        until(lambda: desk.sent >= 2)
        stopped = interrupt(process)
    assert stopped.code == 130, stopped.err
    assert check_ending(job, stopped)["operations"]["not_started"] == 2
    ended = desk.run(job, *words, "--settle", "1s")
    assert ended.code == 0, ended.err
    assert "1 in doubt: asking the API what became of them" in ended.err
    assert states(job) == {"a": "done", "b": "done"}
    all_in_one(documents(desk), "a", "b")


def test_each_account_has_a_folder_of_its_own(desk_at: Callable[..., Desk]) -> None:
    """The documents of two accounts go into two folders, one in each."""
    desk = desk_at(api="live")
    two_accounts(desk)
    job = desk.job([text("a", account="us"), text("b", account="eu"), text("c", account="us")])
    ended = desk.run(job, *LIVE, "--stamp", "folder")
    assert ended.code == 0, ended.err
    all_in_one(documents(desk, US), "a", "c")
    all_in_one(documents(desk, EU), "b")
