"""What flags and the accounts file say about sharing a key with others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulkops.accounts import Wanted, find_account, parse_reserve
from bulkops.api import REFERENCE
from bulkops.errors import UsageError
from bulkops.settings import Reserve

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.settings import Account


def found(folder: Path, entry: str, wanted: Wanted | None = None, time_scale: float = 1.0) -> Account:
    """Return the default account, of which the accounts file says this."""
    (folder / "bulkops").mkdir(exist_ok=True)
    (folder / "bulkops" / "accounts.toml").write_text(f"[accounts.default]\n{entry}\n", "utf-8")
    environ = {"XDG_CONFIG_HOME": str(folder)}
    return find_account(REFERENCE, wanted or Wanted(), environ, time_scale=time_scale, with_key=False)


@pytest.mark.parametrize(
    ("text", "reserve"),
    [
        ("20%", Reserve(0.2)),
        (" 12.5 % ", Reserve(0.125)),
        ("0%", Reserve()),
        ("20/min", Reserve(per_second=20 / 60)),
        ("5/s", Reserve(per_second=5.0)),
    ],
)
def test_a_reserve_is_a_share_or_a_rate(text: str, reserve: Reserve) -> None:
    """20 % of the limit, or 20 a minute."""
    assert parse_reserve(text) == reserve


@pytest.mark.parametrize("text", ["20", "100%", "-5%", "1e1%", "all", "", "20/fortnight"])
def test_what_is_no_reserve_is_refused(text: str) -> None:
    """With words that say what to give."""
    with pytest.raises(UsageError, match="--reserve"):
        parse_reserve(text)


def test_the_flag_wins_over_the_accounts_file(tmp_path: Path) -> None:
    """A reserve of the file holds until a flag gives another; to be alone may be said in either."""
    file = 'reserve = "20%"\nexclusive = true'
    account = found(tmp_path, file)
    assert (account.reserve, account.exclusive) == (Reserve(0.2), True)
    account = found(tmp_path, file, Wanted(reserve="10/min"))
    assert account.reserve == Reserve(per_second=10 / 60)
    account = found(tmp_path, "", Wanted(exclusive=True))
    assert (account.reserve, account.exclusive) == (Reserve(), True)


def test_the_usable_tier_is_what_the_reserve_leaves(tmp_path: Path) -> None:
    """What plan reckons with, also where the server's clock runs faster."""
    account = found(tmp_path, 'reserve = "20/min"', time_scale=60)
    assert (account.usable.limit, account.usable.period) == (80, 1.0)


def test_exclusive_is_true_or_false(tmp_path: Path) -> None:
    """A text in its place is refused, and so is a number for a reserve."""
    with pytest.raises(UsageError, match="exclusive` has to be true or false"):
        found(tmp_path, 'exclusive = "yes"')
    with pytest.raises(UsageError, match="reserve` has to be a text"):
        found(tmp_path, "reserve = 20")
