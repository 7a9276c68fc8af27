from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from bulkops.errors import CheckpointError
from bulkops.outputs.atomic import PREFIX, atomic_write, sweep

if TYPE_CHECKING:
    from pathlib import Path

WRITER = """
import sys
from pathlib import Path
from bulkops.outputs.atomic import atomic_write
path = Path(sys.argv[1])
for n in range(1_000_000):
    with atomic_write(path) as file:
        for _ in range(64):
            file.write(b"%08d" % n * 512)
"""
SIZE = 8 * 512 * 64


def test_a_kill_leaves_a_whole_file(tmp_path: Path) -> None:
    """A process killed with -9 while it rewrites a file leaves an old or a new one, never a part."""
    path = tmp_path / "results.jsonl"
    seen = set()
    for attempt in range(8):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) as writer:
            before = path.stat().st_mtime_ns if path.exists() else 0
            while not path.exists() or path.stat().st_mtime_ns == before:
                time.sleep(0.001)
            time.sleep(0.003 * attempt)
            writer.send_signal(signal.SIGKILL)
        content = path.read_bytes()
        assert len(content) == SIZE
        assert content == content[:8] * (SIZE // 8)
        seen.add(content[:8])
    assert len(seen) > 1


def test_a_failed_block_changes_nothing(tmp_path: Path) -> None:
    """When the block raises, the old file stays as it was and nothing else is left."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), atomic_write(path) as file:
        file.writelines([b"new", "no bytes"])  # type: ignore[list-item] # the error wanted here
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_private(tmp_path: Path) -> None:
    """What is written is readable by its owner only, also where a file for everybody stood before."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o644)
    with atomic_write(path) as file:
        file.write(b"new")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is the error with exit code 74, says which file, and leaves the old one."""
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(CheckpointError, match=r"file cannot be written: No space left"),
        atomic_write(path) as file,
    ):
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_long_name_can_be_written(tmp_path: Path) -> None:
    """A name as long as the file system takes has room for its temporary file."""
    path = tmp_path / ("ä" * 127)
    with atomic_write(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


def test_sweeping_takes_only_ours(tmp_path: Path) -> None:
    """Sweeping removes our temporary files and nothing else."""
    (tmp_path / f"{PREFIX}0123-results.jsonl").write_bytes(b"half")
    (tmp_path / f"{PREFIX}folder").mkdir()
    (tmp_path / ".other").write_bytes(b"")
    assert sweep(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{PREFIX}folder", ".other"]
