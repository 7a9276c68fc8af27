"""Paths as a job file has to write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def seen_from(start: Path, path: Path) -> str:
    """Return a path as it is written in a job file in the folder `start`: relative where it lies below it."""
    whole = path.absolute()
    return whole.relative_to(start).as_posix() if whole.is_relative_to(start) else str(whole)
