"""Whether what this machine's wall clock said in an earlier process can be compared with what it says now."""

from __future__ import annotations

import time
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TOLERANCE = 2.0


def reading() -> str:
    """Return what tells a clock that was set, or a machine that was started anew, from one that was not."""
    # Since the machine was started, also while it slept: the difference moves only when the clock is set.
    monotonic = (
        time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
    )
    return f"{_boot()} {time.time() - monotonic:.3f}"


def is_steady(earlier: str | None) -> bool:
    """Tell whether the clock has not been set since a reading of an earlier process."""
    then, now = (earlier or "").split(), reading().split()
    if len(then) != len(now) or then[0] != now[0] or not then[0]:
        return False
    return abs(float(then[1]) - float(now[1])) < _TOLERANCE


def _boot() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        # Nothing tells whether it was started anew: never steady.
        return f"{time.time_ns()}"
