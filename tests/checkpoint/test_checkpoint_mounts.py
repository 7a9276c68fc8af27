"""Network file systems are known by the list of mounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulkops.checkpoint import locking
from bulkops.checkpoint.locking import LockWish, run_lock
from bulkops.checkpoint.mounts import network_file_system
from bulkops.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def listed(tmp_path: Path, *mounted: tuple[Path, str]) -> Path:
    """Write a list of mounts: places and the kinds of what is mounted there."""
    path = tmp_path / "mountinfo"
    lines = ["22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw"]
    for place, kind in mounted:
        escaped = str(place).replace(" ", "\\040")
        lines.append(f"30 22 0:4 / {escaped} rw - {kind} server:/x rw")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"])
def test_network_is_known(tmp_path: Path, kind: str) -> None:
    """A folder on a network file system is known, also one that does not exist yet, also through a link."""
    share = tmp_path / "my share"
    share.mkdir()
    (tmp_path / "link").symlink_to(share)
    listing = listed(tmp_path, (share, kind))

    assert network_file_system(share / "deep" / "job.run", listing) == kind
    assert network_file_system(tmp_path / "link" / "job.run", listing) == kind
    assert network_file_system(tmp_path / "my shares", listing) is None


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuseblk", "virtiofs"])
def test_local_is_local(tmp_path: Path, kind: str) -> None:
    """What is on this machine counts as local."""
    assert network_file_system(tmp_path, listed(tmp_path, (tmp_path, kind))) is None


def test_latest_and_nearest_mount_counts(tmp_path: Path) -> None:
    """A disk mounted inside a share, or over it, is a disk."""
    inside = listed(tmp_path, (tmp_path, "nfs"), (tmp_path / "disk", "ext4"))
    assert network_file_system(tmp_path / "disk" / "x", inside) is None

    over = listed(tmp_path, (tmp_path, "nfs"), (tmp_path, "ext4"))
    assert network_file_system(tmp_path, over) is None


def test_no_list_no_refusal(tmp_path: Path) -> None:
    """A system that lists no mounts has local file systems only, as far as we know."""
    assert network_file_system(tmp_path, tmp_path / "nothing") is None


def test_lock_refuses_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run folder on a network file system is refused before it is made, unless the user takes the risk."""
    job = tmp_path / "job.jsonl"
    job.touch()
    monkeypatch.setattr(locking, "network_file_system", lambda _: "nfs4")
    with (
        pytest.raises(UsageError, match=r"\(nfs4\).*--run-dir.*--unsafe-fs"),
        run_lock(tmp_path / "r", job),
    ):
        pass
    assert not (tmp_path / "r").exists()
    with run_lock(tmp_path / "r", job, LockWish(unsafe=True)):
        assert (tmp_path / "r" / "lock").exists()
