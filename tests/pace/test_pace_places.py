"""Where the pace is kept: one file for each key, server and period, whose name tells nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bulkops.api import Tier
from bulkops.pace.kept import Alive
from bulkops.pace.places import place_of, state_folder
from bulkops.settings import Account, Secret

URL = "https://api.elevenlabs.io/v1/convai"


def account(key: str = "key-1", url: str = URL, period: float = 60.0) -> Account:
    """Return an account."""
    return Account("default", url, Secret(key), Tier("t", 100, period))


def test_one_file_for_each_key_server_and_period(tmp_path: Path) -> None:
    """The same key at the same server is the same place, whatever the path; another one is another."""
    ours = place_of(tmp_path, account()).path
    assert place_of(tmp_path, account(url="https://api.elevenlabs.io/v2")).path == ours
    others = [account("key-2"), account(url="https://api.eu.elevenlabs.io/v1"), account(period=1.0)]
    assert len({ours, *(place_of(tmp_path, other).path for other in others)}) == 4


def test_the_name_depends_on_the_salt(tmp_path: Path) -> None:
    """In another folder the same key has another name, so names cannot be compared or looked up."""
    one, other = (place_of(tmp_path / name, account()).path.name for name in ("one", "other"))
    assert one != other
    assert "key" not in one


def test_only_the_owner_can_look(tmp_path: Path) -> None:
    """Folder 0700, salt 0600, and nothing left lying about."""
    place_of(tmp_path / "a" / "state", account())
    assert (tmp_path / "a" / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "state" / "salt").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "a" / "state").iterdir()] == ["salt"]


def test_a_folder_of_others_is_not_used(tmp_path: Path) -> None:
    """Who could put files there could rule our pace: a folder that others can write into, or own, is refused."""
    tmp_path.chmod(0o770)
    with pytest.raises(PermissionError, match="others can write"):
        place_of(tmp_path, account())
    tmp_path.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(tmp_path, 12345, 12345)
        with pytest.raises(PermissionError, match="another user"):
            place_of(tmp_path, account())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("salt", [b"", b"short"])
def test_a_damaged_salt_is_made_anew(tmp_path: Path, salt: bytes) -> None:
    """What is too short to be a salt is replaced."""
    (tmp_path / "salt").write_bytes(salt)
    place = place_of(tmp_path, account())
    assert len((tmp_path / "salt").read_bytes()) == 32
    assert place_of(tmp_path, account()) == place


def test_what_nobody_uses_is_swept(tmp_path: Path) -> None:
    """A file that was not written for a day goes, unless one that takes part in it still lives."""
    unused, used = tmp_path / "1.pace", tmp_path / "2.pace"
    for path in (unused, used, tmp_path / "1.pace.dead"):
        path.write_bytes(b"")
    alive = Alive(tmp_path / "2.pace.lives")
    fresh = tmp_path / "3.pace"
    for path in tmp_path.iterdir():
        os.utime(path, (time.time() - 90_000,) * 2)
    fresh.write_bytes(b"")
    place_of(tmp_path, account())
    assert {path.name for path in tmp_path.iterdir()} == {"2.pace", "2.pace.lives", "3.pace", "salt"}
    alive.close()


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"XDG_STATE_HOME": "/s", "HOME": "/h"}, Path("/s/bulkops")),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, Path("/h/.local/state/bulkops")),
        ({"HOME": "/h"}, Path("/h/.local/state/bulkops")),
        ({}, None),
    ],
)
def test_the_state_folder(environ: dict[str, str], folder: Path | None) -> None:
    """That of the XDG specification, where a relative path counts as none; without a home there is none."""
    assert state_folder(environ) == folder
