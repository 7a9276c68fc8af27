"""Several accounts in one run: each line goes to its own, and each account keeps its own limit, key and doubts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.e2e_accounts import EU, US, names, two_accounts, world
from tests.e2e.e2e_commands import (
    KEY,
    agent,
    agents,
    check_ending,
    interrupt,
    results,
    run_folder,
    table,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk

HEADER = {"$job": {"accounts": {"source": "us", "target": "eu"}}}
SOON = ("--settle", "2s")


def test_lines_go_to_their_accounts(desk: Desk) -> None:
    """A line names an account or an alias of it, or gets one from a default or a template; others are the run's."""
    two_accounts(desk)
    said = {**HEADER["$job"], "templates": {"t": {"account": "target"}}}
    said["defaults"] = {"tool.create": {"account": "source"}}
    body = {"name": "x", "description": "d", "url": "https://a.example", "method": "GET"}
    tool = {"op": "tool.create", "id": "t", "body": {**body, "parameters": {"type": "object"}}}
    lines = [agent(0), agent(1, account="eu"), agent(2, account="source"), agent(3, use="t"), tool]
    job = desk.job([{"$job": said}, *lines])
    ended = desk.run(job, "--json")
    assert ended.code == 0, ended.err
    check_ending(job, ended)
    assert names(desk, KEY) == ["Agent 0"]
    assert names(desk, EU) == ["Agent 1", "Agent 3"]
    assert names(desk, US) == ["Agent 2"]
    assert len(world(desk, US).tools) == 1
    accounts = {row["id"]: row.get("account") for row in results(job)}
    assert accounts == {"a0": None, "a1": "eu", "a2": "us", "a3": "eu", "t": "us"}
    made = table(run_folder(job) / "created.jsonl")
    assert [row.get("account") for row in made] == [None, "eu", "us", "eu", "us"]
    assert ended.rows[0]["plan"]["requests"] == {
        "expected": 5,
        "happened": 5,
        "by_class": ended.rows[0]["plan"]["requests"]["by_class"],
    }
    assert None not in ended.rows[0]["plan"]["seconds"].values()
    told = ended.rows[0]["accounts"]
    assert {name: each["requests"] for name, each in told.items()} == {"eu": 2, "us": 2}
    assert told["eu"]["limit"]["requests"] == 1_000_000
    assert "account eu: limit: 1,000,000 per min (accounts file)" in ended.err
    # What is done stays done; a line that now names another account is an edited line.
    again = desk.run(job, "--json")
    assert (again.code, again.rows[0]["requests"]["sent"]) == (0, 0)
    desk.job([{"$job": said}, agent(0, account="eu"), *lines[1:]])
    edited = desk.run(job)
    assert edited.code == 0
    assert "1 done operation with an id read" in edited.err
    assert names(desk, EU) == ["Agent 1", "Agent 3"]


def test_the_runs_own_account_by_its_name(desk: Desk) -> None:
    """A line that names the run's own account is one of its own: it counts with them, and its rows do not name it."""
    two_accounts(desk)
    job = desk.job([HEADER, agent(0), agent(1, account="eu"), agent(2, account="target")])
    ended = desk.run(job, "--account", "eu", "--json")
    assert ended.code == 0, ended.err
    assert names(desk, EU) == ["Agent 0", "Agent 1", "Agent 2"]
    assert "accounts" not in ended.rows[0]
    assert all("account" not in row for row in results(job))


def test_a_rehearsal_needs_no_accounts(desk: Desk) -> None:
    """With --emulate no accounts file is needed and no key read; each account named is a world of its own."""
    job = desk.job([HEADER, *(agent(n, account=name) for n, name in enumerate(("source", "target", "eu")))])
    desk.accounts('[accounts.eu]\napi_key_command = "touch it-was-read; echo x"\n')
    ended = desk.bulkops("run", job, "--emulate", "--rate", "10000/min", "--json")
    assert ended.code == 0, ended.err
    assert {name: told["requests"] for name, told in ended.rows[0]["accounts"].items()} == {"eu": 2, "us": 1}
    assert not (desk.folder / "it-was-read").exists()


def test_a_job_that_names_all_its_accounts_needs_no_other_key(desk: Desk) -> None:
    """Where each line names an account, the key of `default` is not asked for; one that comes is welcome."""
    two_accounts(desk)
    key = desk.env.pop("ELEVENLABS_API_KEY")
    lines = [HEADER, agent(0, account="us"), agent(1, account="target")]
    job = desk.job(lines)
    assert desk.bulkops("plan", job).code == 0
    for _ in range(2):
        assert desk.run(job).code == 0
    assert [names(desk, key) for key in (US, EU)] == [["Agent 0"], ["Agent 1"]]
    desk.job([*lines, agent(2)])
    assert "there is no API key" in desk.run(job).err
    desk.env["ELEVENLABS_API_KEY"] = key
    ended = desk.run(job)
    assert (ended.code, names(desk, key)) == (0, ["Agent 2"])


def test_accounts_that_cannot_be_used(desk: Desk) -> None:
    """An account that is not there, has no key of its own, or is another one once more: refused, nothing sent."""
    two_accounts(desk)
    job = desk.job([agent(0), agent(1, account="ue")])
    ended = desk.run(job)
    assert (ended.code, desk.sent) == (2, 0)
    assert "job.jsonl, line 2: the account 'ue' is none of yours; known are default, eu, us." in ended.err
    key = desk.folder / "key-eu"
    for text, words in (
        ("[accounts.ue]\n", "'ue' has no key of its own"),
        (
            f'[accounts.default]\napi_key_file = "{key}"\n[accounts.ue]\napi_key_file = "{key}"\n',
            "have the same key at the same server",
        ),
    ):
        desk.accounts(text)
        ended = desk.run(job, env={"ELEVENLABS_API_KEY": "" if "same" in words else KEY})
        assert (ended.code, desk.sent) == (2, 0)
        assert words in ended.err
    header = desk.job([{"$job": {"accounts": {"a": 5}}}, agent(0)], "header.jsonl")
    assert "`$job.accounts.a` has to be the name of an account" in desk.run(header).err


def test_a_run_folder_belongs_to_its_accounts(desk: Desk) -> None:
    """An account that is added is welcome; another key of a known one, or an alias that means another, is refused."""
    two_accounts(desk)
    job = desk.job([HEADER, agent(0), agent(1, account="target")])
    assert desk.run(job).code == 0
    job = desk.job([HEADER, agent(0), agent(1, account="target"), agent(2, account="source")])
    assert desk.run(job).code == 0
    sent = desk.sent
    swapped = {"$job": {"accounts": {"source": "us", "target": "us"}}}
    desk.job([swapped, agent(0), agent(1, account="target"), agent(2, account="source")])
    ended = desk.run(job)
    assert (ended.code, desk.sent) == (2, sent)
    assert "'target' is the account eu, and the header says us now" in ended.err
    desk.job([HEADER, agent(0), agent(1, account="target"), agent(3, account="source")])
    (desk.folder / "key-us").write_text("another-key\n")
    ended = desk.run(job, "--changed", "keep")
    assert (ended.code, desk.sent) == (2, sent)
    assert "another API key for account us" in ended.err
    assert desk.run(job, "--changed", "keep", "--another-key").code == 0


def test_a_refused_key_of_one_account(desk_at: Callable[..., Desk]) -> None:
    """A 401 of one account stops the run, and the message says which."""
    desk = desk_at(keys=(KEY,))
    two_accounts(desk)
    job = desk.job([agent(0), agent(1, account="eu")])
    ended = desk.run(job)
    assert ended.code == 4
    assert "refuses the key of account eu" in ended.last
    assert EU not in ended.err


def test_doubts_are_looked_for_in_their_own_listing(desk_at: Callable[..., Desk]) -> None:
    """Creates of one name are in doubt in two accounts at once: each is found, or found absent, in its own."""
    faults = [
        {"endpoint": "agent.create", "nth": 1, "fault": "error_after"},
        {"endpoint": "agent.create", "nth": 2, "fault": "reset_before"},
        {"endpoint": "agent.create", "nth": 3, "fault": "reset_after"},
    ]
    desk = desk_at(faults=faults)
    two_accounts(desk)
    same = {"name": "Anna", "conversation_config": {}}
    lines = [{"op": "agent.create", "id": name, "account": name, "body": same} for name in ("us", "eu")]
    job = desk.job([*lines, {"op": "agent.create", "id": "own", "body": same}])
    ended = desk.run(job, "-j", 1, *SOON, "--json")
    assert ended.code == 0, ended.err
    for key in (KEY, US, EU):
        assert names(desk, key) == ["Anna"]
    rows = {row["id"]: row for row in results(job)}
    keys = {"us": US, "eu": EU, "own": KEY}
    for name, row in rows.items():
        assert [effect.id for effect in world(desk, keys[name]).effects] == [row["result"]["agent_id"]]
    told = ended.rows[0]["doubts"]
    assert told == {"in_doubt": 0, "found": 2, "absent": 1, "possible_duplicates": 0}


def test_an_account_at_its_limit_holds_up_no_other(desk: Desk) -> None:
    """Lines of an account with a low limit stand first in the file: those of the others go on meanwhile."""
    two_accounts(desk, eu="2/min")
    lines = [*(agent(n, account="eu") for n in range(60)), *(agent(n) for n in range(60, 360))]
    job = desk.job(lines)
    with desk.start("run", job, *desk.target, "-j", 4, "--metrics", "metrics") as process:
        until(lambda: len(names(desk, KEY)) == 300)
        assert len(names(desk, EU)) <= 4
        ended = interrupt(process)
    assert ended.code == 130
    told = check_ending(job, ended)
    assert told["accounts"]["eu"]["limit"] == {
        "requests": 2,
        "seconds": 60.0,
        "source": "accounts file",
        "used": told["accounts"]["eu"]["limit"]["used"],
        "others": 0,
    }
    metrics = (desk.folder / "metrics").read_text()
    assert 'bulkops_account_rate_limit{job_file="' in metrics
    assert 'account="eu",source="accounts file"} 2\n' in metrics


def test_the_plan_by_account(desk: Desk) -> None:
    """The plan tells requests and time by account, and that of the slowest for all; no key is read for it."""
    two_accounts(desk, us="6000/min", eu="10/min")
    (desk.folder / "key-eu").unlink()
    job = desk.job([HEADER, *agents(3), *(agent(n, account="target") for n in range(3, 25))])
    ended = desk.bulkops("plan", job)
    assert ended.code == 0, ended.err
    assert "  to default: 3 requests at 100 requests in 60 s (default)" in ended.out
    assert "  to eu: 22 requests at 10 requests in 60 s (accounts file): about 2" in ended.out
    assert ended.out.splitlines()[-1].startswith("all accounts at once: about 2")
    told = json.loads(desk.bulkops("plan", job, "--json").out)
    assert told["requests"] == 25
    assert {name: each["requests"] for name, each in told["accounts"].items()} == {"default": 3, "eu": 22}
    alone = {name: each["seconds"] for name, each in told["accounts"].items()}
    assert told["seconds"] == pytest.approx(alone["eu"], rel=0.05)
    least, most = told["seconds_range"]
    assert alone["default"] < least <= told["seconds"] <= most
