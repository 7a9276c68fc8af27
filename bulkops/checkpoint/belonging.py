"""Whose run a checkpoint is: one API, and for each account a base URL and a key, told apart without storing a key."""

from __future__ import annotations

import hmac
from itertools import chain
from typing import TYPE_CHECKING

import orjson

from bulkops.checkpoint.rows import StepState
from bulkops.errors import UsageError
from bulkops.settings import Earlier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bulkops.checkpoint.interface import Reader
    from bulkops.model import Json
    from bulkops.settings import Account, Settings

ORIGIN, KEY, MEANT = "origin", "key", "account"
"""The words of `meta` that say it: of the run's own account as they are, of others with a name behind."""
OWN = "own_account"
"""The word that names the run's own account."""


def belonging(
    settings: Settings, checkpoint_id: str, aliases: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return what a checkpoint keeps of whose run it is; `aliases` are names of accounts by what lines call them.

    The key's mark is an HMAC under the random id of the checkpoint, 8 bytes of it: it tells whether a key is
    the same one, and nothing about the key.
    """
    kept = {OWN: settings.account.name}
    for account, end in _accounts(settings):
        kept[ORIGIN + end] = _origin(settings, account)
        kept[KEY + end] = _mark(account.key.reveal(), checkpoint_id)
    return kept | {f"{MEANT} {alias}": name for alias, name in (aliases or {}).items()}


def told(settings: Settings, checkpoint_id: str) -> dict[str, Json]:
    """Return what `summary.json` says of whose run it is: for each account a mark of server and key, and the salt."""
    return {
        "account": settings.account.name,
        "salt": checkpoint_id,
        "marks": {
            name: _mark(f"{_origin(settings, account)} {account.key.reveal()}", checkpoint_id)
            for name, account in settings.accounts.items()
            if account.key.reveal()
        },
    }


def told_by(folder: Path) -> Json:
    """Return what `summary.json` of a run folder says of whose run it is; None where it does not."""
    try:
        return dict(orjson.loads((folder / "summary.json").read_bytes())["belongs_to"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_owned(whose: Json, settings: Settings, place: Path, *, another_key: bool) -> None:
    """Raise UsageError when what `told_by` has returned names neither key and server of ours, unless that is meant."""
    if another_key or not whose or not whose["marks"]:
        return
    ours = told(settings, whose["salt"])["marks"]
    if set(ours.values()).isdisjoint(whose["marks"].values()):
        raise UsageError(
            f"what the API was asked for {place} came with another key or from another server; for "
            "another account, give --out another folder. If it is a new key or another address of the same account, "
            "add --another-key once"
        )


def of_earlier(results: Path, settings: Settings, *, another_key: bool) -> Earlier:
    """Return an earlier run by its results, with its accounts that this one has as well, whatever each calls them.

    Where its `summary.json` does not say whose it was, the names are taken to mean the same. `another_key`: so they are
    where none of its accounts is one of ours, which otherwise raises UsageError.
    """
    try:
        whose = told_by(results.parent)
        own, marks, salt = whose["account"], dict(whose["marks"]), whose["salt"]
        ours = {mark: name for name, mark in told(settings, salt)["marks"].items()}
    except (ValueError, KeyError, TypeError):
        return Earlier(results, settings.account.name, {name: name for name in settings.accounts})
    known = {name: ours[mark] for name, mark in marks.items() if mark in ours}
    if not known and not another_key:
        named = ", ".join(sorted(marks))
        raise UsageError(
            f"--ledger: {results.parent} is a run with another key or server ({named}), whose documents this account "
            "does not have; leave it out. If it is a new key of the same account, add --another-key once"
        )
    return Earlier(results, own, known or {name: name for name in settings.accounts})


def _origin(settings: Settings, account: Account) -> str:
    return f"{settings.api.name} {account.base_url.rstrip('/')}"


def _mark(text: str, checkpoint_id: str) -> str:
    return hmac.digest(bytes.fromhex(checkpoint_id), text.encode(), "sha256")[:8].hex()


def check_belongs(
    reader: Reader,
    settings: Settings,
    folder: Path,
    *,
    another_key: bool = False,
    aliases: Mapping[str, str] | None = None,
) -> None:
    """Raise UsageError when a run folder is that of another server, or of another key unless that is meant.

    An account that the run did not have before is welcome. A folder in which nothing has happened yet, because the
    server was never reached or refused the key, is nobody's.
    """
    ours = belonging(settings, reader.meta("checkpoint_id") or "")
    if not _used(reader):
        return
    for account, end in _accounts(settings):
        origin, key = reader.meta(ORIGIN + end), reader.meta(KEY + end)
        of = f" for account {account.name}" if end else ""
        if origin not in (None, ours[ORIGIN + end]):
            raise UsageError(
                f"{folder} belongs to a run against {origin}{of}, and this one would go to {ours[ORIGIN + end]}; "
                "give --run-dir another folder to do the job there as well"
            )
        if key not in (None, ours[KEY + end]) and not another_key:
            raise UsageError(
                f"{folder} belongs to a run with another API key{of}. If it is a new key of the same account, add "
                "--another-key once; for another account, give --run-dir another folder"
            )
    for alias, name in (aliases or {}).items():
        if (meant := reader.meta(f"{MEANT} {alias}")) not in (None, name):
            raise UsageError(
                f"{folder} belongs to a run in which {alias!r} is the account {meant}, and the header says {name} now; "
                "put it back, or give --run-dir another folder to do the job there as well"
            )


def _accounts(settings: Settings) -> Iterator[tuple[Account, str]]:
    """Yield every account that something is sent to, with what its words end with."""
    if settings.account.key.reveal():
        yield settings.account, ""
    for name, account in settings.others.items():
        yield account, f" {name}"


def _used(reader: Reader) -> bool:
    steps = chain(reader.open_steps(), reader.steps_of_run())
    return bool(reader.counts()) or any(step.state is not StepState.NO_EFFECT for step in steps)
