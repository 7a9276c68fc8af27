"""Accounts: a key, where it may be used and how fast, from flags, environment and the accounts file."""

from __future__ import annotations

import re
import stat
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bulkops.api import DEFAULT_API, PROFILES
from bulkops.api.profile import Tier, scaled
from bulkops.errors import UsageError
from bulkops.settings import Account, Reserve, Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bulkops.api.profile import Profile

KEY_VARIABLE = "ELEVENLABS_API_KEY"
DEFAULT_ACCOUNT = "default"
"""The account of a run that names none; it need not stand in the accounts file."""
KEY_COMMAND_TIMEOUT = 60.0
PERCENT = 100
_TEXTS = frozenset(
    {
        "api",
        "base_url",
        "residency",
        "tier",
        "rate",
        "reserve",
        "poll_share",
        "api_key_file",
        "api_key_command",
    }
)
_FLAGS = frozenset({"exclusive"})
_KNOWN = _TEXTS | _FLAGS
_RATE = re.compile(r"(\d{1,9})\s*/\s*(\d{0,6})\s*(s|sec|second|min|m|minute|h|hour)", re.ASCII)
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)\s*%", re.ASCII)
_PERIODS = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "min": 60.0,
    "m": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
}
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What flags and environment say about the account; None where they say nothing."""

    account: str | None = None
    base_url: str | None = None
    tier: str | None = None
    rate: str | None = None
    reserve: str | None = None
    exclusive: bool = False
    api_key_file: str | None = None
    poll_share: str | None = None


def accounts_path(environ: Mapping[str, str]) -> Path:
    """Return where the accounts file is: `bulkops/accounts.toml` in the user's config folder (XDG)."""
    given = environ.get("XDG_CONFIG_HOME")
    base = Path(given) if given else Path(environ.get("HOME", "~")).expanduser() / ".config"
    return base / "bulkops" / "accounts.toml"


def find_account(
    api: Profile,
    wanted: Wanted,
    environ: Mapping[str, str],
    *,
    header_account: str | None = None,
    time_scale: float = 1.0,
    with_key: bool = True,
) -> Account:
    """Return the account to use. Raises UsageError, in words that say what to do, when there is none.

    The name: flag or environment, then the job's header, then `default`. `with_key=False` is for commands that
    send nothing. An account that was named uses its own key before the one in the environment, so that no key
    goes to an account it is not for. A key of the accounts file goes to the server of its entry alone, whatever flags
    and environment say: the entry's own, or where it names none, those of the API; and to this machine.
    """
    name = wanted.account or header_account
    entries = _read_file(accounts_path(environ))
    if name is not None and name not in entries:
        known = ", ".join(sorted(entries)) or "none"
        raise UsageError(f"there is no account {name!r} in {accounts_path(environ)} (it has: {known})")
    entry = entries.get(name or DEFAULT_ACCOUNT, {})
    bound = not _has_other_key(wanted, entry, environ, named=name is not None)
    home = _home(api, name or DEFAULT_ACCOUNT, entry) if bound or not wanted.base_url else None
    base_url = wanted.base_url or home or api.base_url
    check_base_url(base_url)
    if bound:
        _check_origin(api, name or DEFAULT_ACCOUNT, base_url, home, environ)
    tier, source = _tier(api, wanted, entry)
    key = _key(wanted, entry, environ, named=name is not None) if with_key else Secret("")
    fixed = bool(wanted.rate or (not wanted.tier and entry.get("rate")))
    reserve = parse_reserve(wanted.reserve or entry.get("reserve") or "0%")
    share = wanted.poll_share or entry.get("poll_share")
    return Account(
        name=name or DEFAULT_ACCOUNT,
        base_url=base_url,
        key=key,
        tier=scaled(tier, time_scale),
        tier_source=source,
        fixed=fixed,
        reserve=Reserve(reserve.share, reserve.per_second * time_scale),
        exclusive=wanted.exclusive or bool(entry.get("exclusive")),
        poll_share=None if share is None else parse_share(share),
    )


def account_names(environ: Mapping[str, str]) -> set[str]:
    """Return the names of the accounts in the accounts file; UsageError when it cannot be used."""
    return set(_read_file(accounts_path(environ)))


def entry_of(name: str, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return what the accounts file says of an account, nothing where it has none of that name.

    Raises UsageError when the file cannot be used.
    """
    return _read_file(accounts_path(environ)).get(name, {})


def find_others(
    api: Profile,
    own: Account,
    names: Iterable[str],
    environ: Mapping[str, str],
    *,
    base_url: str | None = None,
    time_scale: float = 1.0,
    with_key: bool = True,
) -> dict[str, Account]:
    """Return the accounts of the accounts file that a job names beside the run's own, by name.

    Flags about key and limit are for the run's own account; `base_url`, where it is given, is for all. Each has a key
    of its own: the one in the environment is the run's. Raises UsageError as `find_account` does, and for two names
    of one account: what is in doubt is looked for by account, and so is the limit kept.
    """
    entries = _read_file(accounts_path(environ))
    keyless = {name: text for name, text in environ.items() if name != KEY_VARIABLE}
    found: dict[str, Account] = {}
    for name in names:
        if name == own.name:
            continue
        if with_key and not _has_own_key(entries.get(name, {})):
            raise UsageError(
                f"account {name!r} has no key of its own: name a key file (api_key_file) or a key command "
                f"(api_key_command) in {accounts_path(environ)}"
            )
        wanted = Wanted(account=name, base_url=base_url)
        found[name] = find_account(api, wanted, keyless, time_scale=time_scale, with_key=with_key)
    if with_key:
        _check_apart([own, *found.values()])
    return found


def _check_apart(accounts: Iterable[Account]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for account in accounts:
        one = seen.setdefault((account.base_url.rstrip("/"), account.key.reveal()), account.name)
        if one != account.name:
            raise UsageError(
                f"the accounts {one!r} and {account.name!r} have the same key at the same server, so they are one: "
                "call it by one name in the job (--account names the run's own)"
            )


def check_base_url(url: str) -> None:
    """Refuse a base URL that a key must not be sent to: no TLS beyond this machine, user names, fragments."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"--base-url {url!r} is not an http(s) URL, such as https://api.elevenlabs.io/v1/convai"
        )
    try:
        _origin(url)
    except ValueError:
        raise UsageError(
            f"--base-url {url!r} has a port that there is not; give one from 1 to 65535"
        ) from None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError("--base-url may not have a user name, a query or a fragment")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise UsageError(f"--base-url {url!r} would send the key unencrypted; use https://")


def _check_origin(
    api: Profile, name: str, base_url: str, home: str | None, environ: Mapping[str, str]
) -> None:
    """Refuse to send the key of an entry of the accounts file to a server that it is not for: `home` is the entry's."""
    if home is not None:
        check_base_url(home)
    its = [home] if home is not None else [api.base_url, *api.hosts.values()]
    if _origin(base_url) in map(_origin, its) or urlsplit(base_url).hostname in _LOOPBACK:
        return
    raise UsageError(
        f"the key of account {name!r} is for {_server(its[0])}, and would be sent to {_server(base_url)}: take "
        "--base-url, --residency or BULKOPS_BASE_URL away, or write the `base_url` that is meant into its entry in "
        f"{accounts_path(environ)}"
    )


def _origin(url: str) -> tuple[str, str | None, int]:
    """Return scheme, host and port of a URL (RFC 6454); ValueError for a port that there is not."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _server(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def parse_rate(text: str) -> Tier:
    """Return the tier that a rate such as `100/min`, `5/s` or `600/10min` spells; UsageError for anything else."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a rate; give N/PERIOD, such as 100/min, 5/s or 600/10min")
    limit, number, unit = int(match[1]), int(match[2] or 1), match[3]
    if limit < 1 or number < 1:
        raise UsageError(f"{text!r} would never send anything; give a rate such as 100/min")
    return Tier("rate", limit, number * _PERIODS[unit])


def parse_reserve(text: str) -> Reserve:
    """Return the reserve that a share such as `20%` or a rate such as `20/min` spells; UsageError for others."""
    match = _SHARE.fullmatch(text.strip())
    if match is None:
        try:
            tier = parse_rate(text)
        except UsageError:
            raise UsageError(
                f"--reserve {text!r} is neither a share nor a rate; give one such as 20% or 20/min"
            ) from None
        return Reserve(per_second=(tier.limit or 0) / tier.period)
    share = float(match[1]) / PERCENT
    if share >= 1:
        raise UsageError(f"--reserve {text!r} would leave nothing to send with; give less than 100%")
    return Reserve(share)


def parse_share(text: str) -> float:
    """Return the share that a text such as `10%` spells; UsageError for anything else."""
    match = _SHARE.fullmatch(text.strip())
    if match is None or not 1 <= (percent := float(match[1])) <= PERCENT:
        raise UsageError(f"{text!r} is not a share; give a percentage from 1% to 100%, such as 10%")
    return percent / PERCENT


def _home(api: Profile, name: str, entry: Mapping[str, str]) -> str | None:
    """Return where the accounts file says that the API is; None where it does not."""
    place = entry.get("residency")
    if place is None:
        return entry.get("base_url") or None
    if place not in api.hosts:
        there = ", ".join(api.hosts) or f"none with --api {api.name}"
        raise UsageError(
            f"account {name!r}: there is no residency {place!r} in the accounts file; there is: {there}"
        )
    return api.hosts[place]


def _tier(api: Profile, wanted: Wanted, entry: Mapping[str, str]) -> tuple[Tier, str]:
    for rate, name, source in (
        (wanted.rate, wanted.tier, "flag"),
        (entry.get("rate"), entry.get("tier"), "accounts file"),
    ):
        if rate is not None:
            return parse_rate(rate), source
        if name is not None:
            tier = api.tiers.get(name)
            if tier is None:
                raise UsageError(f"there is no tier {name!r}; there are: {', '.join(api.tiers)}")
            if tier.limit is None:
                raise UsageError(
                    f"the {name} tier has no number of its own; give it with --rate, such as --rate 2000/min, "
                    "or as `rate` in the accounts file"
                )
            return tier, source
    return next(iter(api.tiers.values())), "default"


def _has_own_key(entry: Mapping[str, str]) -> bool:
    return "api_key_file" in entry or "api_key_command" in entry


def _has_other_key(
    wanted: Wanted, entry: Mapping[str, str], environ: Mapping[str, str], *, named: bool
) -> bool:
    """Tell whether the key is not that of the entry: a flag names it, the environment, or nobody does."""
    in_place = bool(environ.get(KEY_VARIABLE)) and not named
    return bool(wanted.api_key_file) or in_place or not _has_own_key(entry)


def _key(wanted: Wanted, entry: Mapping[str, str], environ: Mapping[str, str], *, named: bool) -> Secret:
    if wanted.api_key_file:
        return _from_file(Path(wanted.api_key_file))
    if environ.get(KEY_VARIABLE) and _has_other_key(wanted, entry, environ, named=named):
        return usable_key(environ[KEY_VARIABLE], KEY_VARIABLE)
    if "api_key_file" in entry:
        return _from_file(Path(entry["api_key_file"]).expanduser())
    if "api_key_command" in entry:
        return _from_command(entry["api_key_command"])
    raise UsageError(
        f"there is no API key: set {KEY_VARIABLE}, or give --api-key-file FILE, "
        f"or name a key file or key command in {accounts_path(environ)}. "
        "To try without a key: add --emulate"
    )


def usable_key(text: str, source: str) -> Secret:
    """Return a key as a secret, without a final newline; one that cannot be a header is refused, unshown."""
    key = text.removesuffix("\n").removesuffix("\r")
    # A key with a stray newline would be shown whole in the HTTP library's error message.
    if not key or not all("!" <= character <= "~" for character in key):
        raise UsageError(
            f"the API key from {source} is empty or has characters that no key has (blanks, newlines)"
        )
    return Secret(key)


def _from_file(path: Path) -> Secret:
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the key file {path} cannot be read: {error}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise UsageError(f"the key file {path} can be read by others; run: chmod 600 {path}")
    return usable_key(text, str(path))


def _from_command(command: str) -> Secret:
    try:
        done = subprocess.run(  # noqa: S602 - the user's own command, from the user's own file
            command,
            shell=True,
            check=True,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            timeout=KEY_COMMAND_TIMEOUT,
        )
    except (OSError, subprocess.SubprocessError) as error:
        reason = (
            f"exit code {error.returncode}"
            if isinstance(error, subprocess.CalledProcessError)
            else "no answer"
        )
        raise UsageError(f"the key command failed ({reason}): {command}") from None
    return usable_key(done.stdout.decode("utf-8", "replace"), "the key command")


def _read_file(path: Path) -> dict[str, dict[str, str]]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the accounts file {path} cannot be read: {error}") from None
    accounts = content.get("accounts")
    if not isinstance(accounts, dict) or set(content) != {"accounts"}:
        raise UsageError(f"the accounts file {path} has to consist of tables such as [accounts.default]")
    for name, entry in accounts.items():
        _check_entry(path, name, entry)
    return accounts


def _check_entry(path: Path, name: str, entry: object) -> None:
    if not isinstance(entry, dict):
        raise UsageError(f"{path}: `accounts.{name}` has to be a table: [accounts.{name}]")
    if "api_key" in entry:
        raise UsageError(
            f"{path}: `accounts.{name}.api_key`: keys do not stand in this file; "
            "use api_key_file or api_key_command, or the environment"
        )
    for field, value in entry.items():
        if field not in _KNOWN:
            raise UsageError(
                f"{path}: `accounts.{name}.{field}` is not known; there are: {', '.join(sorted(_KNOWN))}"
            )
        if field in _FLAGS and not isinstance(value, bool):
            raise UsageError(f"{path}: `accounts.{name}.{field}` has to be true or false")
        if field in _TEXTS and not isinstance(value, str):
            raise UsageError(f"{path}: `accounts.{name}.{field}` has to be a text")
    if entry.get("api", DEFAULT_API) not in PROFILES:
        raise UsageError(
            f"{path}: `accounts.{name}.api`: there is no API {entry['api']!r}; there is: {', '.join(PROFILES)}"
        )
    if "base_url" in entry and "residency" in entry:
        raise UsageError(
            f"{path}: `accounts.{name}`: base_url and residency both say where the API is; give one"
        )
