"""Memory that is freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

FILLS = """
import ctypes, sys
from bulkops.exporting.allocating import give_memory_back
libc = ctypes.CDLL(None)
if not hasattr(libc, "mallopt"):
    sys.exit(9)
if sys.argv[1] == "back":
    give_memory_back()
def resident():
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")))
del (large := [bytes(30 * 2**20)])[:]
before = resident()
blocks = []
for _ in range(40):
    blocks.append(bytearray(b"x" * 2**20))
    kept = ctypes.create_string_buffer(600)
    blocks.append(kept)
del blocks[::2]
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks into /proc")
def test_freed_blocks_go_back() -> None:
    """Large blocks between small ones that stay are given back when they are freed, and are kept otherwise."""
    left = {}
    for how in ("back", "left"):
        ended = subprocess.run(
            [sys.executable, "-c", FILLS, how], capture_output=True, text=True, check=False
        )
        if ended.returncode == 9:
            pytest.skip("another C library than glibc")
        assert ended.returncode == 0, ended.stderr
        left[how] = int(ended.stdout)
    assert left["back"] < 2_000
    assert left["left"] > 10_000, left
