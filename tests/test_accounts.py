"""What an account may spend on looks at awaited things."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulkops.accounts import Wanted, find_account, parse_share
from bulkops.api import REFERENCE
from bulkops.cli import orders
from bulkops.cli.options import VERBS
from bulkops.cli.parsing import read
from bulkops.errors import UsageError

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
