"""What memory an export keeps that it does not need any more: of the C library's allocator, where that is glibc's."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_ARENA_MAX: Final = -8
_MMAP_THRESHOLD: Final = -3
_TRIM_THRESHOLD: Final = -1
"""Parameters of mallopt(3)."""
_ARENAS: Final = 2
_BYTES: Final = 128 * 1024
"""What glibc begins with. Left alone it raises both, up to 32 MiB, with the first large blocks that are freed."""


def give_memory_back() -> None:
    """Let what is freed go back to the system, from now on in this process; nothing with another C library.

    An export makes the same large blocks in each of its jobs, on some ten threads. Every thread has an arena of its own
    otherwise, and large blocks come to lie between small ones that stay: six jobs of 10,000 left 97 MB, and 83 so.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, to in ((_ARENA_MAX, _ARENAS), (_MMAP_THRESHOLD, _BYTES), (_TRIM_THRESHOLD, _BYTES)):
            mallopt(parameter, to)
