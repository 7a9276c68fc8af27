"""What bounds a run besides its job: what other runs use of the key, and how long the user gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from bulkops.checkpoint.mounts import network_file_system
from bulkops.errors import Stop
from bulkops.pace.places import place_of
from bulkops.reporting.words import duration

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bulkops.engines.local import Engine
    from bulkops.pace.sharing import Place
    from bulkops.settings import Account
    from bulkops.told import Told


def places(folder: Path | None, accounts: Iterable[Account], told: Told) -> dict[str, Place]:
    """Return where the paces are kept in the user's state folder, if they can be: a run needs no memory of others.

    Without a folder they are not meant to be; where the folder cannot be used, that is told (``unshared``).
    """
    if folder is None:
        return {}
    return {
        account.name: place
        for account in accounts
        # To one without a key nothing is sent.
        if account.key.reveal() and (place := _place(folder, account, told)) is not None
    }


def _place(folder: Path, account: Account, told: Told) -> Place | None:
    try:
        kind = network_file_system(folder)
        if kind is None:
            return place_of(folder, account)
        reason = f"{folder} is on a network file system ({kind})"
    except OSError as error:
        reason = f"{error.filename or folder}: {error.strerror}"
    told("unshared", account=account.name, reason=reason)
    return None


async def end_after(seconds: float, engine: Engine) -> None:
    """End the run when it has taken so long."""
    await anyio.sleep(seconds)
    engine.stop(Stop(f"--max-duration is over: {duration(seconds)}"))
