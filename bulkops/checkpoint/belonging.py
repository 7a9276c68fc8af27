"""Whose run a checkpoint is: one API, one base URL and one account, told apart without storing a key."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from bulkops.checkpoint.rows import StepState
from bulkops.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.checkpoint.interface import Reader
    from bulkops.settings import Settings

ORIGIN, KEY = "origin", "key"
"""The words of `meta` that say it."""


def belonging(settings: Settings, checkpoint_id: str) -> dict[str, str]:
    """Return what a checkpoint keeps of whose run it is.

    The key's mark is an HMAC under the random id of the checkpoint, 8 bytes of it: it tells whether a key is
    the same one, and nothing about the key.
    """
    key = settings.account.key.reveal().encode()
    mark = hmac.digest(bytes.fromhex(checkpoint_id), key, "sha256")[:8]
    return {ORIGIN: f"{settings.api.name} {settings.account.base_url.rstrip('/')}", KEY: mark.hex()}


def check_belongs(reader: Reader, settings: Settings, folder: Path, *, another_key: bool = False) -> None:
    """Raise UsageError when a run folder is that of another server, or of another key unless that is meant.

    One in which nothing has happened yet, because the server was never reached or refused the key, is nobody's.
    """
    ours = belonging(settings, reader.meta("checkpoint_id") or "")
    origin, key = reader.meta(ORIGIN), reader.meta(KEY)
    if not _used(reader):
        return
    if origin not in (None, ours[ORIGIN]):
        raise UsageError(
            f"{folder} belongs to a run against {origin}, and this one would go to {ours[ORIGIN]}; "
            "give --run-dir another folder to do the job there as well"
        )
    if key not in (None, ours[KEY]) and not another_key:
        raise UsageError(
            f"{folder} belongs to a run with another API key. If it is a new key of the same account, add "
            "--another-key once; for another account, give --run-dir another folder"
        )


def _used(reader: Reader) -> bool:
    return bool(reader.counts()) or any(step.state is not StepState.NO_EFFECT for step in reader.open_steps())
