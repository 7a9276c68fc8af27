"""What is told about a file that was saved."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Saved:
    """A file that is on disk: its path in the run folder (with `/`), its size in bytes and its SHA-256."""

    path: str
    bytes: int
    sha256: str
