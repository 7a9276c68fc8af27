"""Which events came lately, by the digests of their bodies: one that is delivered again is not kept again."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from bulkops.webhook.spool import digest_of, files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LIMIT = 200_000
_LENGTH = 16
"""Of 32 bytes, so many tell apart more than anybody delivers, and only who has the secret could look for two alike."""


class Recent:
    """The newest digests: `limit` at least, and twice as many at most, some 100 bytes each."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def __contains__(self, sha256: str) -> bool:
        """Tell whether it came lately."""
        short = _short(sha256)
        return short in self._young or short in self._old

    def add(self, sha256: str) -> None:
        """Remember one."""
        self._young.add(_short(sha256))
        if len(self._young) >= self._limit:
            self._old, self._young = self._young, set()

    def fill(self, spool: Path, days: Iterable[str] | None = None) -> None:
        """Remember what a spool has of some days, or of all; the newest, where that is too much."""
        wanted = None if days is None else frozenset(days)
        newest: list[list[str]] = []
        left = self._limit
        for file in reversed(files(spool)):
            if left > 0 and (wanted is None or file.day in wanted):
                newest.append(_digests(file.path))
                left -= len(newest[-1])
        for sha256 in chain.from_iterable(reversed(newest)):
            self.add(sha256)


def _digests(file: Path) -> list[str]:
    """Return the digests of the whole lines of a file, without reading the events."""
    with file.open("rb") as content:
        digests = (digest_of(raw) for raw in content if raw.endswith(b"\n"))
        # Damage is for those to tell who want the events.
        return [sha256 for sha256 in digests if sha256]


def _short(sha256: str) -> bytes:
    return bytes.fromhex(sha256[: 2 * _LENGTH])
