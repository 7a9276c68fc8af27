"""Where the pace of an account is kept: a folder of the user's, and in it a name that tells nothing about the key."""

from __future__ import annotations

import os
import secrets
import time
from errno import EPERM
from hashlib import blake2b
from math import inf
from pathlib import Path
from stat import S_IWGRP, S_IWOTH
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bulkops.pace.kept import is_dead
from bulkops.pace.sharing import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.settings import Account

LAYOUT = 2
"""The number of what stands in the file; versions of bulkops with another one keep a file of their own."""

SUFFIX = ".pace"
FORGOTTEN = 86_400.0
"""Seconds after which a file that nobody uses is removed. What stands in it has long been nothing by then."""

_SALT_BYTES = 32


def state_folder(environ: Mapping[str, str]) -> Path | None:
    """Return the folder for what bulkops remembers about the user's accounts (XDG); None where there is no home."""
    given = environ.get("XDG_STATE_HOME")
    if given and Path(given).is_absolute():
        return Path(given) / "bulkops"
    home = environ.get("HOME")
    return Path(home) / ".local" / "state" / "bulkops" if home else None


def place_of(folder: Path, account: Account) -> Place:
    """Return where the pace of an account is kept; raises OSError where the folder cannot be used.

    Account means key, server, and the period that its limit is counted over. The name is a digest of these keyed
    with a random salt, 8 bytes of it: it tells whether a key is the same one, to those who have the key and can
    read the folder, and nothing about it to anybody. A slow digest would add nothing, as keys are random and far
    too long to be tried one after the other; but it would take its time at each start of each run.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_own(folder)
    _sweep(folder)
    parts = urlsplit(account.base_url)
    server = f"{parts.scheme}://{parts.hostname}:{parts.port or ''}"
    words = f"{LAYOUT} {server} {account.tier.period:g} {account.key.reveal()}"
    name = blake2b(words.encode(), digest_size=8, key=_salt(folder / "salt"), person=b"bulkops pace")
    return Place(folder / f"{name.hexdigest()}{SUFFIX}")


def _check_own(folder: Path) -> None:
    """Refuse a folder in which somebody else could put files: they would rule our pace."""
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise PermissionError(EPERM, "it belongs to another user", str(folder))
    if found.st_mode & (S_IWGRP | S_IWOTH):
        raise PermissionError(EPERM, "others can write into it", str(folder))


def _salt(path: Path) -> bytes:
    """Return the salt, made by whoever comes first: linked to its name when it is whole."""
    try:
        salt = path.read_bytes()
        if len(salt) == _SALT_BYTES:
            return salt
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass
    aside = path.with_name(f"salt.{secrets.token_hex(4)}")
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, secrets.token_bytes(_SALT_BYTES))
        path.hardlink_to(aside)
    except FileExistsError:
        pass
    finally:
        os.close(file)
        aside.unlink()
    return path.read_bytes()


def _sweep(folder: Path) -> None:
    """Remove what nobody has used for long: first the signs of life, then the files that nobody lives beside."""
    before = time.time() - FORGOTTEN
    old = [path for path in folder.glob(f"*{SUFFIX}*") if _written(path) < before]
    for path in sorted(old, key=lambda path: path.suffix == SUFFIX):
        if path.suffix != SUFFIX or not any(folder.glob(f"{path.name}.*")):
            is_dead(path)


def _written(path: Path) -> float:
    """Return when a file was written last; never, for one whose process has just ended and taken it along."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return inf
