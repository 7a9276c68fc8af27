"""What comes before a run reads its checkpoint: checking it, and taking up what the last run saved elsewhere."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from bulkops.checkpoint.explaining import explain
from bulkops.checkpoint.opening import close_with_checkpoint, open_writable
from bulkops.checkpoint.reader import open_reader
from bulkops.checkpoint.rescue import CLEAN, absorb
from bulkops.checkpoint.schema import AFTER_DAMAGE
from bulkops.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path


def recover(path: Path, rescue: Path) -> int:
    """Make a checkpoint ready for the next run; return how many rows were taken up from a rescue file.

    The caller holds the run lock. Raises CheckpointError when the checkpoint is damaged, or a rescue file
    cannot be taken up, or the disk takes nothing.
    """
    reader = open_reader(path)
    if reader is None:
        return 0
    with reader:
        meta, indexed = reader.all_meta(), reader.indexed()
        if meta.get(CLEAN) != "yes" and (damage := reader.damage()):
            raise CheckpointError(f"The checkpoint {path} is damaged: {damage}. {AFTER_DAMAGE}")
    if not indexed:
        _index(path)
    try:
        return absorb(path, meta, rescue)
    except (sqlite3.Error, OSError) as error:
        raise CheckpointError(
            f"What the last run saved in {rescue} cannot be taken up: {error}. Nothing was sent. Mend that, then"
            " run the same command again."
        ) from error


def _index(path: Path) -> None:
    """Have operations found by their keys, which a first run that did not end as it should has left undone."""
    try:
        close_with_checkpoint(open_writable(path), path)
    except (sqlite3.Error, OSError) as error:
        raise CheckpointError(explain(error, path)) from error
