"""Accounts: what one may spend on looks at awaited things, and where its key may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulkops.accounts import Wanted, check_base_url, find_account, find_others, parse_share
from bulkops.api import LIVE, REFERENCE
from bulkops.cli import orders
from bulkops.cli.options import VERBS
from bulkops.cli.parsing import read
from bulkops.errors import UsageError
from tests.canary import CANARY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), (" 2.5 % ", 0.025), ("100%", 1.0), ("1%", 0.01)])
def test_a_share_is_a_percentage(text: str, share: float) -> None:
    """A share is written as a percentage, with or without a fraction."""
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["", "10", "0%", "0.5%", "101%", "-3%", "ten%", "1e1%", "nan%"])
def test_what_is_no_share_is_refused(text: str) -> None:
    """Anything else is a usage error that shows how a share is written."""
    with pytest.raises(UsageError, match="such as 10%"):
        parse_share(text)


def test_the_flag_wins_over_the_account(tmp_path: Path) -> None:
    """A share is taken from the flag, else from the accounts file; without either the run sees to it."""
    (tmp_path / "bulkops").mkdir()
    (tmp_path / "bulkops" / "accounts.toml").write_text(
        '[accounts.default]\npoll_share = "20%"\n[accounts.other]\n'
    )
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}

    def share(asked: Wanted) -> float | None:
        return find_account(REFERENCE, asked, environ, with_key=False).poll_share

    assert share(Wanted(poll_share="5%")) == 0.05
    assert share(Wanted()) == 0.2
    assert share(Wanted(account="other")) is None


def test_the_share_comes_from_the_command_line_or_the_environment() -> None:
    """`--poll-share` wins over `BULKOPS_POLL_SHARE`; commands that look at nothing do without."""
    environ = {"BULKOPS_POLL_SHARE": "30%"}
    assert orders.wanted(read("run", VERBS["run"], ["a.jsonl"], environ)).poll_share == "30%"
    given = read("retry", VERBS["retry"], ["--poll-share", "40%", "a.jsonl"], environ)
    assert orders.wanted(given).poll_share == "40%"
    assert orders.wanted(read("plan", VERBS["plan"], ["a.jsonl"], environ)).poll_share is None


_FILE = """
[accounts.default]
api_key_file = "absent"
[accounts.there]
api_key_file = "absent"
base_url = "https://there.example/v1"
[accounts.plain]
api_key_file = "absent"
"""
THERE = "https://there.example/v1"


def _environ(folder: Path, **more: str) -> dict[str, str]:
    """Return an environment with an accounts file of which each account has a key of its own."""
    (folder / "bulkops").mkdir()
    (folder / "bulkops" / "accounts.toml").write_text(_FILE)
    return {"XDG_CONFIG_HOME": str(folder), **more}


@pytest.mark.parametrize(
    ("account", "base_url"),
    [
        ("there", "https://elsewhere.example/v1"),
        ("there", "https://there.example:8443/v1"),
        ("there", LIVE.hosts["eu"]),
        ("plain", THERE),
        (None, THERE),
    ],
)
def test_a_key_of_the_accounts_file_goes_to_no_other_server(
    account: str | None, base_url: str, tmp_path: Path
) -> None:
    """A key that stands in an entry is not sent to another server, whoever names that, and before it is read."""
    with pytest.raises(UsageError, match="and would be sent to https://") as refused:
        find_account(LIVE, Wanted(account=account, base_url=base_url), _environ(tmp_path))
    assert "write the `base_url` that is meant into its entry" in str(refused.value)


@pytest.mark.parametrize("port", [8000, 9000])
@pytest.mark.parametrize("account", ["there", "plain"])
def test_a_key_of_the_accounts_file_may_stay_on_this_machine(account: str, port: int, tmp_path: Path) -> None:
    """A server of this machine may have any key, as an emulator or a tunnel."""
    asked = Wanted(account=account, base_url=f"http://127.0.0.1:{port}/v1")
    assert find_account(LIVE, asked, _environ(tmp_path), with_key=False).base_url == asked.base_url


def test_residencies_are_servers_of_the_api(tmp_path: Path) -> None:
    """The key of an entry that names no server may go to each residency, and one of an entry to its own server."""
    environ = _environ(tmp_path)
    for base_url in LIVE.hosts.values():
        asked = Wanted(account="plain", base_url=base_url)
        assert find_account(LIVE, asked, environ, with_key=False).base_url == base_url
    asked = Wanted(account="there", base_url="https://THERE.example:443/v2")
    assert find_account(LIVE, asked, environ, with_key=False).base_url == asked.base_url


def test_a_key_from_elsewhere_goes_where_the_flag_says(tmp_path: Path) -> None:
    """A key of the environment or of a flag goes to the server that is asked for."""
    (tmp_path / "key").write_text("of-a-file")
    (tmp_path / "key").chmod(0o600)
    environ = _environ(tmp_path, ELEVENLABS_API_KEY=CANARY)
    assert find_account(LIVE, Wanted(base_url=THERE), environ).base_url == THERE
    asked = Wanted(account="plain", base_url=THERE, api_key_file=str(tmp_path / "key"))
    assert find_account(LIVE, asked, environ).base_url == THERE


def test_the_keys_of_other_accounts_of_a_job_stay_with_their_servers(tmp_path: Path) -> None:
    """A server that is asked for by flag gets the run's own key, and not those of other accounts of its lines."""
    environ = _environ(tmp_path, ELEVENLABS_API_KEY=CANARY)
    own = find_account(LIVE, Wanted(base_url="https://elsewhere.example/v1"), environ)
    for name in ("there", "plain"):
        with pytest.raises(UsageError, match=f"the key of account '{name}' is for"):
            find_others(LIVE, own, [name], environ, base_url=own.base_url)


def test_a_port_that_there_is_not_is_refused() -> None:
    """A base URL with an impossible port is a usage error."""
    with pytest.raises(UsageError, match="from 1 to 65535"):
        check_base_url("https://there.example:99999/v1")
