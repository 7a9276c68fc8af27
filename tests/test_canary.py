"""The search for the key finds it in every spelling, so that finding nothing means something."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.canary import CANARY, sightings

if TYPE_CHECKING:
    from pathlib import Path

KEY = f"{CANARY}-more"


@pytest.mark.parametrize(
    "content",
    [
        KEY.encode(),
        f"xi-api-key: {KEY}\n".encode(),
        b"\x00\xff" + KEY.encode() + b"\x00",
        quote(KEY, safe="").encode(),
        KEY.encode().hex().encode(),
        *(base64.b64encode(b"user:" + bytes(n) + KEY.encode()) for n in range(3)),
        *(base64.urlsafe_b64encode(bytes(n) + KEY.encode()) for n in range(3)),
    ],
)
def test_each_spelling_is_found(tmp_path: Path, content: bytes) -> None:
    """Plain, within a database, in a URL, in hex, and within base64 wherever it begins."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file.db").write_bytes(content)
    assert list(sightings(tmp_path)) == [tmp_path / "deep" / "file.db"]
    (tmp_path / "deep" / "file.db").unlink()


def test_other_texts_are_not_found(tmp_path: Path) -> None:
    """What only looks alike is no sighting."""
    (tmp_path / "file").write_text("canary/5f1e9c27 and b3d84a60")
    assert not list(sightings(tmp_path))
