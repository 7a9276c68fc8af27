"""`api` and `residency` of the accounts file: said once for an account, and no job speaks two of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bulkops.accounts import Wanted, find_account
from bulkops.api import LIVE, REFERENCE
from bulkops.cli import orders
from bulkops.cli.options import VERBS
from bulkops.cli.parsing import read
from bulkops.errors import UsageError
from tests.e2e.e2e_commands import FAST, agent, table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk

ACCOUNTS = """
[accounts.default]
api = "live"
[accounts.old]
api = "reference"
api_key_command = "echo key-of-old"
[accounts.silent]
api_key_command = "echo key-of-silent"
"""


def spoken(desk: Desk, *words: object, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of the API that a command would speak."""
    monkeypatch.setenv("XDG_CONFIG_HOME", desk.env["XDG_CONFIG_HOME"])
    return orders.profile(read("run", VERBS["run"], [str(word) for word in words], {})).name


def test_what_an_account_speaks(lone_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag wins over the account, which the flag names, else the header, else it is the default one."""
    lone_desk.accounts(ACCOUNTS)
    plain = lone_desk.job([agent(0)])
    header = lone_desk.job([{"$job": {"account": "old"}}, agent(0)], "header.jsonl")
    given = lone_desk.folder / "given.json"
    given.write_text(json.dumps({"$job": {"account": "old"}}))
    for words, api in (
        ((plain,), "live"),
        ((header,), "reference"),
        ((plain, "--header", given), "reference"),
        ((header, "--account", "default"), "live"),
        ((plain, "--account", "silent"), "reference"),
        ((header, "--api", "live"), "live"),
        ((header.with_name("nothing.jsonl"),), "live"),
    ):
        assert spoken(lone_desk, *words, monkeypatch=monkeypatch) == api, words


def test_a_job_speaks_one_api(lone_desk: Desk) -> None:
    """An account that speaks another API than the run's own is refused, unless a flag names one; silence agrees."""
    lone_desk.accounts(ACCOUNTS)
    both = lone_desk.job([agent(0), agent(1, account="old")])
    refused = lone_desk.bulkops("plan", both)
    assert refused.code == 2
    assert (
        "account 'old' speaks the reference API, and the others, or the run's own account, speak the live API"
        in refused.err
    )
    assert lone_desk.bulkops("plan", both, "--api", "live").code == 0
    assert (
        lone_desk.bulkops("plan", lone_desk.job([agent(0), agent(1, account="silent")], "s.jsonl")).code == 0
    )


def test_accounts_that_agree_speak_for_a_job(lone_desk: Desk) -> None:
    """Where nothing says what the run's own account speaks, those of the header's `accounts` do, if they agree."""
    lone_desk.accounts(
        '[accounts.us]\napi = "live"\n[accounts.eu]\napi = "live"\n[accounts.old]\napi = "reference"\n'
    )
    for others, code in (({"source": "us", "target": "eu"}, 0), ({"source": "us", "target": "old"}, 2)):
        header = {"$job": {"accounts": others}}
        job = lone_desk.job(
            [header, agent(0, account="source"), {"op": "tool.list", "id": "t", "account": "target"}]
        )
        assert lone_desk.bulkops("plan", job).code == code


def test_a_run_and_a_rehearsal_speak_it(desk_at: Callable[..., Desk]) -> None:
    """A job goes to a live server without a word about that on the command line, and so does its rehearsal."""
    desk = desk_at(api="live")
    assert desk.server is not None
    desk.accounts(f'[accounts.default]\napi = "live"\nbase_url = "{desk.server.base_url}"\n')
    listing = {"op": "tool.list", "id": "tools"}  # of the live API alone
    job = desk.job([listing])
    ended = desk.bulkops("run", job, *FAST)
    assert ended.code == 0, ended.err
    assert desk.bulkops("run", job, "--emulate", *FAST).code == 0
    assert table(job.with_suffix(".run") / "results.jsonl")[0]["status"] == "done"


def entry(folder: Path, text: str) -> dict[str, str]:
    """Write an accounts file with one entry; return an environment that has it."""
    (folder / "bulkops").mkdir(exist_ok=True)
    (folder / "bulkops" / "accounts.toml").write_text(f"[accounts.default]\n{text}\n")
    return {"XDG_CONFIG_HOME": str(folder), "ELEVENLABS_API_KEY": "k"}


def test_a_residency_of_the_file_is_an_address(tmp_path: Path) -> None:
    """It is what --residency is, for this account; an address of a flag wins, where the key is not the file's."""
    environ = entry(tmp_path, 'residency = "eu"')
    assert find_account(LIVE, Wanted(), environ).base_url == LIVE.hosts["eu"]
    assert find_account(LIVE, Wanted(base_url=LIVE.hosts["us"]), environ).base_url == LIVE.hosts["us"]
    environ = entry(tmp_path, 'residency = "eu"\napi_key_command = "echo k"') | {"ELEVENLABS_API_KEY": ""}
    with pytest.raises(UsageError, match=r"is for https://api\.eu\.residency"):
        find_account(LIVE, Wanted(base_url=LIVE.hosts["us"]), environ)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('residency = "mars"', "no residency 'mars'"),
        ('residency = "eu"\nbase_url = "https://x.example"', "give one"),
        ('api = "alive"', "no API 'alive'"),
        ("api = 1", "has to be a text"),
    ],
)
def test_entries_that_cannot_be_meant(tmp_path: Path, text: str, words: str) -> None:
    """A place or an API that there is not, and two addresses, are refused."""
    with pytest.raises(UsageError, match=words):
        find_account(LIVE, Wanted(), entry(tmp_path, text))


def test_the_reference_has_no_residency(tmp_path: Path) -> None:
    """Where the API that is spoken has none, the entry is refused in words that say so."""
    with pytest.raises(UsageError, match="none with --api reference"):
        find_account(REFERENCE, Wanted(), entry(tmp_path, 'residency = "eu"'))


def test_a_migration_is_between_accounts_of_one_api(lone_desk: Desk) -> None:
    """Where the two accounts speak different APIs no job is written, as it could not be run."""
    lone_desk.accounts(ACCOUNTS)
    ended = lone_desk.bulkops("new", "migrate", "--from", "default", "--to", "old")
    assert ended.code == 2
    assert (
        "account 'old' speaks the reference API, and the others, or the run's own account, speak the live API"
        in ended.err
    )
