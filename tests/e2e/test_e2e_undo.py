"""A run is taken back: the account is as it was before, and what others have changed since is left alone."""

from __future__ import annotations

import random
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.crash.crash_sizes import size
from tests.e2e.e2e_accounts import EU, US, two_accounts
from tests.e2e.e2e_accounts import world as world_of
from tests.e2e.e2e_commands import KEY, agent, agents, end_of, results, run_folder, states, table, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk, Ended

GREETING = {"conversation_config": {"agent": {"first_message": "Hello ${name}", "language": None}}}
UNDO = ("undo.jsonl", "--yes", "-j", 4)


def world(desk: Desk) -> dict[str, Any]:
    """Return every agent of the account, whole, but for what the server says of times."""
    assert desk.server is not None
    return {name: orjson.loads(one.body) for name, one in desk.server.world(KEY).agents.items()}


def by_content(agents_: dict[str, Any]) -> list[bytes]:
    """Return agents without their ids."""
    return sorted(orjson.dumps(body, option=orjson.OPT_SORT_KEYS) for body in agents_.values())


def old(desk: Desk, number: int) -> list[str]:
    """Make agents that are there before the job is run; return their ids."""
    job = desk.job(agents(number), "old.jsonl")
    assert desk.run(job).code == 0
    return [row["result"]["agent_id"] for row in results(job)]


def update(line_id: str, agent_id: str, body: Any = GREETING, **more: Any) -> dict[str, Any]:
    """Return a line that changes an agent."""
    escaped = orjson.loads(orjson.dumps(body).replace(b"${", b"$${"))
    return {"op": "agent.update", "id": line_id, "agent_id": agent_id, "body": escaped, **more}


def delete(line_id: str, agent_id: str, **more: Any) -> dict[str, Any]:
    """Return a line that deletes an agent."""
    return {"op": "agent.delete", "id": line_id, "agent_id": agent_id, **more}


def of_all_sorts(there: list[str]) -> list[dict[str, Any]]:
    """Return a job that creates, clones, changes and deletes agents, some of them several times."""
    new = "${ref:new#agent_id}"
    return [
        agent("x", id="new"),
        agent("y", id="short"),
        {"op": "agent.clone", "id": "copies", "agent_id": there[0], "name": "Copy ${copy}", "copies": 3},
        update("once", there[1]),
        update("adds", there[2], {"tags": ["a"], "conversation_config": {"tts": {"speed": 1.5}}}),
        update("first", there[3], {"name": "First"}),
        update(
            "then",
            there[3],
            {"name": "Then", "conversation_config": {"agent": {"language": "de"}}},
            needs=["first"],
        ),
        update("of-new", new, {"name": "New"}),
        update("same", there[4], {"name": "Agent 4"}),
        delete("gone", there[5]),
        update("changed", there[6], {"name": "Changed"}),
        delete("then-gone", there[6], needs=["changed"]),
        delete("short-gone", "${ref:short#agent_id}"),
    ]


def undo(desk: Desk, job: Path | str, *words: object) -> Ended:
    """Write the job that takes another one back."""
    ended = desk.bulkops("undo", job, "--out", "undo.jsonl", "--force", *words)
    assert ended.code == 0, ended.err
    return ended


def left_of(job: Path) -> list[dict[str, Any]]:
    """Return what is told to be left."""
    return table(run_folder(job) / "undo_left.jsonl")


def test_a_run_is_taken_back_and_so_is_that(desk: Desk) -> None:
    """Made agents are gone, changed ones as before, deleted ones there again; undone, all is as after the run."""
    there = old(desk, 8)
    before = world(desk)
    job = desk.job(of_all_sorts(there))
    assert desk.run(job, "--yes").code == 0
    after = world(desk)
    told = undo(desk, job)
    assert "agents: 4 to delete, 3 to change back, 2 to make again, under other ids" in told.err
    assert "Look at it, then: bulkops plan undo.jsonl && bulkops run undo.jsonl" in told.err
    assert desk.run(*UNDO).code == 0
    now = world(desk)
    assert by_content(now) == by_content(before)
    kept = before.keys() - {there[5], there[6]}
    assert {name: now[name] for name in kept} == {name: before[name] for name in kept}
    assert left_of(job) == []

    again = desk.bulkops("undo", "undo.jsonl", "--out", "redo.jsonl")
    assert again.code == 0, again.err
    assert desk.run("redo.jsonl", "--yes").code == 0
    assert by_content(world(desk)) == by_content(after)


def test_what_is_made_again_refers_to_what_is_made_again(desk: Desk) -> None:
    """Old ids become references, also where an agent that stayed is set back; in a circle one is told instead."""
    there = old(desk, 5)

    def knows(*others: str) -> dict[str, Any]:
        return {"conversation_config": {"agent": {"prompt": {"built_in_tools": {"agents": list(others)}}}}}

    links = {0: [1, 2], 1: [2], 2: [0, 2], 3: [0]}
    setup = [update(f"s{n}", there[n], knows(*(there[to] for to in links[n]))) for n in links]
    assert desk.run(desk.job(setup, "setup.jsonl")).code == 0
    before = world(desk)
    lines = [delete(f"d{n}", there[n]) for n in (0, 1, 2)]
    job = desk.job([*lines, update("u", there[3], {"name": "Other"}), update("v", there[4], knows())])
    assert desk.run(job, "--yes", "-j", 1).code == 0
    undo(desk, job)
    assert desk.run(*UNDO).code == 0
    now = world(desk)
    new = {name: agent_id for agent_id, one in now.items() if (name := one["name"])}

    def known_by(number: int) -> list[str]:
        told = now[new[f"Agent {number}"]]["conversation_config"]["agent"]["prompt"]["built_in_tools"][
            "agents"
        ]
        return [next(name for name, one in (before | now).items() if name == each) for each in told]

    named = [new[f"Agent {number}"] for number in range(3)]
    assert not set(named) & set(there)
    assert known_by(3) == [named[0]]
    told = {
        number: [
            named.index(each) if each in named else there[:3].index(each) + 10 for each in known_by(number)
        ]
        for number in range(3)
    }
    # 2 is made again first, then 1, then 0: what would lead back has the old id, also that of the agent itself.
    assert told == {2: [0, 12], 1: [2], 0: [11, 12]}
    left = {(row["id"], row["custom_id"]) for row in left_of(job)}
    assert left == {(there[2], "d2"), (there[1], "d0"), (there[2], "d0")}


def test_a_second_job_that_takes_it_back_is_warned_of(desk: Desk) -> None:
    """What was deleted is made again by one undo only: a second file says so once the first was run."""
    job = desk.job([delete("d", old(desk, 1)[0])])
    assert desk.run(job, "--yes").code == 0
    for name in ("undo.jsonl", "second.jsonl"):
        assert "careful" not in desk.bulkops("undo", job, "--out", name).err
    assert desk.run(*UNDO).code == 0
    told = desk.bulkops("undo", job, "--out", "third.jsonl").err
    assert f"careful: {desk.folder / 'undo.jsonl'} took this run back already" in told
    assert "second.jsonl took" not in told
    assert "careful" in desk.bulkops("undo", job).err
    # The same file again goes on with what it did.
    assert "careful" not in desk.bulkops("undo", job, "--out", "undo.jsonl", "--force").err
    assert desk.run(*UNDO).code == 0
    assert len(world(desk)) == 2


def test_the_lines_are_for_review(desk: Desk) -> None:
    """Without --out the job goes to stdout: a header, then one line for each agent, what was done last first."""
    there, seeded = old(desk, 2), world(desk)
    job = desk.job([update("a", there[0]), {**agent("b"), "needs": ["a"]}])
    assert desk.run(job).code == 0
    ended = desk.bulkops("undo", job)
    assert ended.code == 0, ended.err
    header, made, changed = ended.rows
    assert header["$job"]["name"] == "undo job"
    [new] = world(desk).keys() - seeded.keys()
    assert (made["id"], made["op"], made["agent_id"]) == (f"undo:{new}", "agent.delete", new)
    assert made["expected"] == {"name": "Agent b"}
    assert made["meta"] == {"undoes": ["ab"]}
    assert (changed["id"], changed["op"]) == (f"undo:{there[0]}", "agent.update")
    assert changed["body"] == {"conversation_config": {"agent": {"first_message": None, "language": "en"}}}
    assert changed["expected"] == {
        "name": "Agent 0",
        "conversation_config": {"agent": {"first_message": "Hello $${name}"}},
    }
    assert "1 line set to null what an update had added" in ended.err


def test_what_was_made_last_goes_first(desk: Desk) -> None:
    """An agent that was made later may use one that was made before, also one that was changed once more afterwards."""
    job = desk.job(
        [agent("a"), {**agent("b"), "needs": ["aa"]}, update("c", "${ref:aa#agent_id}", needs=["ab"])],
    )
    assert desk.run(job).code == 0
    _, *lines = desk.bulkops("undo", job).rows
    assert [(line["op"], line["meta"]["undoes"]) for line in lines] == [
        ("agent.delete", ["ab"]),
        ("agent.delete", ["aa", "c"]),
    ]


def test_what_was_changed_since_is_left_alone(desk: Desk) -> None:
    """Agents that somebody else has changed fail as changed_since, whether made or changed; all others go back."""
    there = old(desk, 2)
    before = world(desk)
    job = desk.job([*agents(2), update("u0", there[0]), update("u1", there[1])])
    assert desk.run(job).code == 0
    made = {row["id"]: row["result"]["agent_id"] for row in results(job)}
    undo(desk, job)
    assert desk.server is not None
    # Made agents tell by the time of their last change, which has to be later than they were made.
    now = time.time() - desk.server.world(KEY)._epoch + 60
    for name in (made["a0"], there[0]):
        desk.server.world(KEY).update_agent(
            name, "Mine", b'{"name":"Mine","conversation_config":{}}', now=now
        )
    assert desk.run(*UNDO).code == 3
    assert states(desk.folder / "undo.jsonl") == {
        f"undo:{made['a0']}": "failed",
        f"undo:{made['a1']}": "done",
        f"undo:{there[0]}": "failed",
        f"undo:{there[1]}": "done",
    }
    errors = [row["error"] for row in results(desk.folder / "undo.jsonl") if row["error"]]
    assert {error["code"] for error in errors} == {"changed_since"}
    assert world(desk)[there[1]] == before[there[1]]
    assert {world(desk)[name]["name"] for name in (made["a0"], there[0])} == {"Mine"}

    undo(desk, job, "--even-if-changed", "--run-dir", run_folder(job))
    assert desk.run(*UNDO, "--run-dir", "forced.run").code == 0
    assert made["a0"] not in world(desk)
    assert world(desk)[there[0]]["conversation_config"] == {"agent": {"language": "en"}}


def test_the_job_file_is_not_needed_as_it_was(desk: Desk) -> None:
    """Lines that were edited since the run are taken back as they were done, and also when the file is gone."""
    there = old(desk, 1)
    before = world(desk)
    job = desk.job([agent(0), update("u", there[0])])
    assert desk.run(job).code == 0
    desk.job([{**agent(0), "body": {}}, update("u", there[0], {"name": "Edited"})])
    undo(desk, job)
    written = (desk.folder / "undo.jsonl").read_bytes()
    job.unlink()
    undo(desk, job)
    assert (desk.folder / "undo.jsonl").read_bytes() == written
    assert desk.run(*UNDO).code == 0
    assert world(desk) == before


def test_a_line_that_was_done_again_is_taken_back_to_the_first_image(desk: Desk) -> None:
    """What an edited line has changed in two runs is as it was before the first."""
    there = old(desk, 1)
    before = world(desk)
    job = desk.job([update("u", there[0], {"name": "One"})])
    assert desk.run(job).code == 0
    desk.job([update("u", there[0], {"conversation_config": {"agent": {"language": "de"}}})])
    assert desk.run(job, "--changed", "rerun").code == 0
    assert world(desk)[there[0]]["name"] == "One"
    undo(desk, job)
    assert desk.run(*UNDO).code == 0
    assert world(desk) == before


def test_what_cannot_be_taken_back_is_told(desk: Desk) -> None:
    """Tools, documents, conversations and simulations are listed, and so is what was not read before it was changed."""
    there = old(desk, 3)
    (desk.folder / "a.md").write_text("x")
    job = desk.job(
        [
            {"op": "tool.create", "id": "t", "body": {"name": "T", "url": "https://x.org", "method": "GET"}},
            {"op": "document.upload", "id": "d", "file": "a.md"},
            {"op": "conversation.create", "id": "c", "body": {"agent_id": there[0]}},
            {
                "op": "agent.simulate",
                "id": "s",
                "agent_id": there[0],
                "body": {"scenario": "s", "user_messages": ["hi"], "success_criteria": ["greets"]},
            },
            update("u", there[1]),
            delete("g", there[2]),
            delete("nothing", "agent_nobody"),
        ]
    )
    assert desk.run(job, "--yes", "--no-before").code == 0
    ended = desk.bulkops("undo", job)
    assert (ended.code, ended.out) == (0, "")
    assert "there is nothing that could be taken back" in ended.err
    assert "not taken back: agent 2, conversation 1, document 1, simulation 1, tool 1; see" in ended.err
    left = {row["custom_id"]: row for row in left_of(job)}
    assert left.keys() == {"t", "d", "c", "s", "u", "g"}
    assert left["t"]["id"] == next(iter(desk.server.world(KEY).tools)) if desk.server is not None else None
    assert left["u"]["why"] == "it was changed without having been read before (--no-before)"
    assert left["g"]["id"] == there[2]


def test_what_is_in_doubt_is_told_and_not_touched(desk_at: Callable[..., Desk]) -> None:
    """An agent that may be there twice is not deleted, and a tool that may be there is told without an id."""
    lost = [{"endpoint": kind, "nth": 1, "fault": "reset_after"} for kind in ("agent.create", "tool.create")]
    desk = desk_at(faults=lost)
    tool = {"op": "tool.create", "id": "t", "body": {"name": "T", "url": "https://x.org", "method": "GET"}}
    job = desk.job([*agents(2), tool])
    assert desk.run(job, "--in-doubt", "reconcile,agent.create=retry", "-j", 1).code == 6
    ended = undo(desk, job)
    assert "agents: 1 to delete" in ended.err
    of_tool, of_agent = left_of(job)
    assert (of_agent["custom_id"], of_agent["kind"]) == ("a0", "agent")
    assert "twice" in of_agent["why"]
    assert (of_tool["custom_id"], of_tool["kind"], of_tool["id"]) == ("t", "tool", None)
    assert "in doubt" in of_tool["why"]


def test_a_run_that_was_never_finished_is_taken_back(desk: Desk) -> None:
    """What a stopped run has done until then is taken back, and an update that was refused has nothing to take back."""
    there = old(desk, 2)
    before = world(desk)
    lines = [update("wrong", there[0], {"name": 3}), update("u", there[1]), *agents(20)]
    job = desk.job(lines)
    assert desk.run(job, "--max-requests", 10, "-j", 1).code == 7
    assert world(desk) != before
    undo(desk, job)
    assert desk.run(*UNDO).code == 0
    assert world(desk) == before


@pytest.mark.parametrize("seed", range(size(1, 20)))
def test_killed_at_any_moment_it_is_taken_back_all_the_same(desk_at: Callable[..., Desk], seed: int) -> None:
    """After kills of the run and of the run of its undo, both resumed, the account is as it was before."""
    chance = random.Random(seed)
    desk = desk_at(latency=(0.0, 0.05))
    there = old(desk, 40)
    before = world(desk)
    lines: list[dict[str, Any]] = []
    for place, name in enumerate(there):
        of_place = {0: update(f"u{place}", name), 1: delete(f"d{place}", name), 2: agent(f"n{place}")}
        lines.append(of_place.get(place % 4, update(f"v{place}", name, {"name": f"V {place}"})))
    job = desk.job(lines)
    _run_killed(desk, job, chance)
    assert set(states(job).values()) == {"done"}
    undo(desk, job)
    _run_killed(desk, "undo.jsonl", chance)
    assert set(states(desk.folder / "undo.jsonl").values()) == {"done"}
    assert by_content(world(desk)) == by_content(before)


@pytest.mark.parametrize("kind", ["agent.update", "agent.delete"])
def test_what_was_there_is_on_disk_before_it_is_changed(desk_at: Callable[..., Desk], kind: str) -> None:
    """Killed after a change took effect and before its answer came, a run can be resumed and taken back."""
    desk = desk_at(faults=[{"endpoint": kind, "nth": 1, "fault": "slow", "seconds": 30}])
    [name] = old(desk, 1)
    before = world(desk)
    job = desk.job([update("u", name) if kind == "agent.update" else delete("u", name)])
    with desk.start("run", job, *desk.target, "--yes") as process:
        until(lambda: desk.effects(kind))
        process.send_signal(signal.SIGKILL)
        end_of(process)
    assert world(desk) != before
    early = undo(desk, job)
    assert "there is nothing that could be taken back" in early.err
    [left] = left_of(job)
    assert (left["kind"], left["id"]) == ("agent", name)
    assert "run the job again first" in left["why"]
    assert desk.run(job, "--yes").code == 0
    undo(desk, job)
    assert desk.run(*UNDO).code == 0
    assert by_content(world(desk)) == by_content(before)


def _run_killed(desk: Desk, job: Path | str, chance: random.Random) -> None:
    """Run a job to its end, killed three times on the way."""
    for _ in range(3):
        sent = desk.sent
        with desk.start("run", job, *desk.target, "--yes", "-j", 4) as process:
            until(partial(_sent_more_than, desk, sent, process))
            time.sleep(chance.random() * 0.3)
            process.send_signal(signal.SIGKILL)
            end_of(process)
    ended = desk.run(job, "--yes")
    assert ended.code == 0, ended.err


def _sent_more_than(desk: Desk, count: int, process: Any) -> bool:
    return desk.sent > count or process.poll() is not None


def test_an_undo_replaces_no_file_by_itself(desk: Desk) -> None:
    """A file that is there stays, unless --force is given; a job that was not run has nothing to be undone."""
    job = desk.job(agents(1))
    early = desk.bulkops("undo", job)
    assert early.code == 2
    assert "was not run yet" in early.err
    assert desk.run(job).code == 0
    refused = desk.bulkops("undo", job, "--out", job)
    assert refused.code == 2
    assert "give --force to replace it" in refused.err


def test_what_was_there_and_was_updated_is_taken_back(desk: Desk) -> None:
    """What `if_exists: update` has changed is changed back; what `skip` has found is none of the run's doing."""
    there = old(desk, 3)
    before = world(desk)
    greeting: dict[str, Any] = {"conversation_config": {"agent": {"language": "de"}}}
    way = {"if_exists": "update"}
    lines = [
        {"op": "agent.create", "id": "made", "body": {"name": "Agent 0", **greeting}, **way},
        {
            "op": "agent.clone",
            "id": "cloned",
            "agent_id": there[2],
            "name": "Agent 1",
            "set": greeting,
            **way,
        },
        {"op": "agent.create", "id": "found", "body": {"name": "Agent 2", **greeting}, "if_exists": "skip"},
        agent("x", id="new", if_exists="skip"),
        {
            "op": "agent.create",
            "id": "again",
            "body": {"name": "Agent x", **greeting},
            **way,
            "needs": ["new"],
        },
    ]
    job = desk.job(lines)
    assert desk.run(job).code == 0
    assert world(desk) != before
    told = {row["id"]: row["result"].get("updated") for row in results(job)}
    assert told == {"made": True, "cloned": True, "found": None, "new": None, "again": True}
    undone = undo(desk, job)
    assert "1 to delete, 2 to change back" in undone.err
    assert desk.run(*UNDO).code == 0
    assert world(desk) == before


def test_what_was_there_and_was_updated_unread_is_told(desk: Desk) -> None:
    """With --no-before nobody knows how an agent was that `if_exists: update` has changed: it is listed."""
    old(desk, 1)
    body = {"name": "Agent 0", "conversation_config": {}}
    job = desk.job([{"op": "agent.create", "id": "made", "body": body, "if_exists": "update"}])
    assert desk.run(job, "--no-before").code == 0
    assert "nothing that could be taken back" in desk.bulkops("undo", job).err
    assert "--no-before" in table(run_folder(job) / "undo_left.jsonl")[0]["why"]


def test_what_was_left_alone_is_nothing_to_take_back(desk: Desk) -> None:
    """An update with `replace` that found none of the ids has changed nothing, so nothing of it is told."""
    there = old(desk, 1)
    job = desk.job([{"op": "agent.update", "agent_id": there[0], "replace": {"doc_a": "doc_b"}}])
    assert desk.run(job).code == 0
    undone = desk.bulkops("undo", job)
    assert "nothing that could be taken back" in undone.err
    assert "not taken back" not in undone.err


@pytest.mark.parametrize("header", [None, "us"])
def test_an_undo_goes_to_the_account_of_the_run(desk: Desk, header: str | None) -> None:
    """A run whose account a flag chose is taken back in that account, also where the header names another one."""
    two_accounts(desk)
    job = desk.job([{"$job": {"account": header}} if header else {"$job": {"name": "any"}}, agent("x")])
    assert desk.run(job, "--account", "eu").code == 0
    made = results(job)[0]["result"]["agent_id"]
    assert made in world_of(desk, EU).agents
    undo(desk, job)
    assert desk.run(*UNDO).code == 0
    assert made not in world_of(desk, EU).agents


def test_agents_of_two_accounts_are_taken_back_each(desk: Desk) -> None:
    """An id that there is in two accounts stands for two agents: each is taken back in its own."""
    two_accounts(desk)
    seed = "agent_seed_0001"
    lines = [
        {"op": "agent.update", "id": name, "agent_id": seed, "account": name, "body": {"name": f"of {name}"}}
        for name in ("us", "eu")
    ]
    job = desk.job(lines)
    before = [agent.name for key in (US, EU) for agent in world_of(desk, key).agents.values()]
    assert desk.run(job).code == 0
    now = [agent.name for key in (US, EU) for agent in world_of(desk, key).agents.values()]
    assert now == ["of us", "of eu"]
    assert desk.bulkops("undo", job, "--out", "back.jsonl").code == 0
    ended = desk.run(desk.folder / "back.jsonl")
    assert ended.code == 0, ended.err
    assert [agent.name for key in (US, EU) for agent in world_of(desk, key).agents.values()] == before
