"""The file in which the pace is kept: whole or as before, whoever is killed or stopped in its midst."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from bulkops.pace.kept import Alive, KeptFile, is_dead

if TYPE_CHECKING:
    from pathlib import Path

WRITER = """
import sys
from pathlib import Path
from bulkops.pace.kept import KeptFile
file, number = KeptFile(Path(sys.argv[1])), 0
while True:
    if file.lock():
        before = file.read()
        number = (int(before[:9]) if before else number) + 1
        file.write(b"%09d " % number * 2000)
        file.unlock()
        if number % 100 == 1:
            print(number, flush=True)
"""
HOLDER = """
import sys, time
from pathlib import Path
from bulkops.pace.kept import KeptFile
file = KeptFile(Path(sys.argv[1]))
print(file.lock(), flush=True)
time.sleep(60)
"""


def started(source: str, path: Path) -> subprocess.Popen[bytes]:
    """Start a process that does something with the file, and wait until it is at it."""
    process = subprocess.Popen([sys.executable, "-c", source, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_a_writer_killed_at_any_moment_leaves_it_whole(tmp_path: Path) -> None:
    """After each of many kills -9 the file holds one writing, whole, and none that was there before the last seen."""
    path, chance, last = tmp_path / "kept", random.Random(1), 0
    for _ in range(15):
        with started(WRITER, path) as process:
            time.sleep(chance.uniform(0, 0.02))
            process.kill()
        file = KeptFile(path)
        assert file.lock()
        body = file.read()
        assert body
        assert len(set(body.split())) == 1
        assert last < (last := int(body[:9]))
        file.close()


def test_two_writers_never_mix(tmp_path: Path) -> None:
    """Two processes that write as fast as they can lose none of each other's writings."""
    path = tmp_path / "kept"
    with started(WRITER, path) as one, started(WRITER, path) as other:
        time.sleep(1)
        one.kill()
        other.kill()
    file = KeptFile(path)
    body = file.read()
    assert body
    assert len(set(body.split())) == 1
    file.close()


def test_a_stopped_holder_is_not_waited_for(tmp_path: Path) -> None:
    """A process that was stopped while it held the lock holds others up for a moment only; once dead, not at all."""
    path = tmp_path / "kept"
    file = KeptFile(path)
    with started(HOLDER, path) as process:
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        assert not file.lock()
        assert time.monotonic() - began < 0.5
        process.kill()
    assert file.lock()
    file.close()


def test_what_is_known_is_not_read_again(tmp_path: Path) -> None:
    """Each sees once what the other wrote."""
    one, other = KeptFile(tmp_path / "kept"), KeptFile(tmp_path / "kept")
    assert one.read() == b""
    one.write(b"first")
    assert not one.changed()
    assert other.changed()
    assert other.read() == b"first"
    assert other.read() is None
    other.write(b"second")
    assert one.read() == b"second"
    one.close()
    other.close()


@pytest.mark.parametrize("place", [0, 8, 17, 4096, 4096 + (1 << 20) + 2])
def test_what_was_damaged_is_not_believed(tmp_path: Path, place: int) -> None:
    """A byte that changed by itself, in the head or in the body that holds, makes it unreadable."""
    path = tmp_path / "kept"
    file = KeptFile(path)
    file.read()
    file.write(b"even")
    file.write(b"odd")
    file.close()
    handle = os.open(path, os.O_RDWR)
    os.pwrite(handle, bytes([os.pread(handle, 1, place)[0] ^ 1]), place)
    os.close(handle)
    after = KeptFile(path)
    assert after.read() in {b"", b"odd"}
    after.close()


def test_life_shows_until_the_end(tmp_path: Path) -> None:
    """Who lives is not dead, who was killed is, and its file goes with that."""
    path = tmp_path / "life"
    alive = Alive(path)
    assert not is_dead(path)
    alive.drop()
    assert path.exists()
    assert is_dead(path)
    assert not path.exists()
    assert is_dead(path)


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    """A symbolic link where the file should be is refused."""
    (tmp_path / "kept").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        KeptFile(tmp_path / "kept")
    assert not (tmp_path / "elsewhere").exists()
