"""A key that must never be seen again: where it stands, in whatever spelling, something let it out."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "canary/5f1e9c27+b3d84a60"
"""The beginning of every key that the tests give to the command; it has signs that a URL spells differently."""
WRITTEN_BY_TESTS = frozenset({"accounts.toml", "webhook.secret"})
"""The names of files into which a test writes the key on purpose, and the command never anything."""


def _spellings() -> tuple[bytes, ...]:
    raw = CANARY.encode()
    # In base64 of something longer the key begins at any of three places; what depends on its neighbours is cut off.
    inside = (base64.b64encode(bytes(skip) + raw) for skip in range(3))
    encoded = [text[4:-4].rstrip(b"=") for text in inside]
    return tuple(
        dict.fromkeys(
            [
                raw,
                quote(CANARY, safe="").encode(),
                json.dumps(CANARY).strip('"').encode(),
                raw.hex().encode(),
                *encoded,
                *(text.translate(bytes.maketrans(b"+/", b"-_")) for text in encoded),
            ]
        )
    )


SPELLINGS = _spellings()


def seen_in(content: bytes) -> bool:
    """Tell whether something shows the key in any spelling."""
    return any(spelling in content for spelling in SPELLINGS)


def sightings(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder whose content or name shows the key."""
    for path in folder.rglob("*"):
        if path.name in WRITTEN_BY_TESTS or path.is_symlink() or not path.is_file():
            continue
        try:
            content = path.read_bytes()
        except OSError:  # a file that a test made unreadable, or that is going away
            continue
        if seen_in(content) or seen_in(str(path).encode("utf-8", "surrogateescape")):
            yield path
