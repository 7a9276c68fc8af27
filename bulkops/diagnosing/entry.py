"""What is to stand in the accounts file, so that nobody has to say it again; never the key itself."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from bulkops.accounts import KEY_VARIABLE
from bulkops.api import DEFAULT_API

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.pace.headers import Told
    from bulkops.settings import Account

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_KEYS = ("api_key_file", "api_key_command")


def entry_lines(account: Account, api: Profile, told: Told, said: Mapping[str, str]) -> list[str]:
    """Return the lines that are to stand in the file for an account; none where it has them all.

    `said` is its entry, `told` what answers tell of limits, `api` the one that the server speaks.
    """
    wanted = {**_api(api, said), **_address(account, api, said), **_limit(account, api, told, said)}
    lines = [f"{name} = {json.dumps(text)}" for name, text in wanted.items() if said.get(name) != text]
    keyless = not any(name in said for name in _KEYS)
    if not lines and said and not keyless:
        return []
    if keyless:
        lines.append(
            f'# the key: in the environment as {KEY_VARIABLE}, or here: api_key_file = "FILE" (mode 0600)'
        )
    name = account.name if _BARE.fullmatch(account.name) else json.dumps(account.name)
    return [f"[accounts.{name}]", *lines]


def _api(api: Profile, said: Mapping[str, str]) -> dict[str, str]:
    return {} if api.name == DEFAULT_API and "api" not in said else {"api": api.name}


def _address(account: Account, api: Profile, said: Mapping[str, str]) -> dict[str, str]:
    """Return the address, by the name of its place where it has one."""
    place = next((name for name, url in api.hosts.items() if url == account.base_url), None)
    if place is not None and "base_url" not in said:
        usual = account.base_url == api.base_url and "residency" not in said
        return {} if usual else {"residency": place}
    usual = account.base_url == api.base_url and "base_url" not in said
    return {} if usual else {"base_url": account.base_url}


def _limit(account: Account, api: Profile, told: Told, said: Mapping[str, str]) -> dict[str, str]:
    """Return the limit that answers tell, else the one that the user gave: by the name of its tier where it has one."""
    limit = told.limit or (account.tier.limit if account.tier_source == "flag" else None)
    if limit is None or (limit == account.tier.limit and account.tier_source in ("default", "accounts file")):
        return {}
    period = account.tier.period
    named = next((n for n, tier in api.tiers.items() if (tier.limit, tier.period) == (limit, period)), None)
    if named is not None and "rate" not in said:
        return {"tier": named}
    return {"rate": f"{limit}/{period:g}s" if period != 60 else f"{limit}/min"}  # noqa: PLR2004 - a minute
