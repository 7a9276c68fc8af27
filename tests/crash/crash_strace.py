"""Injection by strace: the command ends, or a call of it fails, at the nth call of a kind."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CALLS = ("write", "pwrite64", "ftruncate", "fsync", "fdatasync", "rename", "unlink", "sendto", "recvfrom")
"""The system calls that change files, put them on disk, or talk to the server."""
_FOLDER = re.compile(r" fdatasync\(\d+<(?P<path>[^>]+)>")
_LINE = re.compile(r"(?P<thread>\d+) +(?P<call>\w+)\((?P<rest>.*)")


@dataclass(frozen=True, slots=True)
class Point:
    """The nth call of a kind by any one thread: strace counts each thread's calls on their own."""

    call: str
    nth: int

    def __str__(self) -> str:
        """Name it."""
        return f"{self.call} {self.nth}"

    def killing(self) -> tuple[str, ...]:
        """Return the words that start a command and kill it instead of this call."""
        return _strace(f"--trace={self.call}", f"--inject={self.call}:signal=SIGKILL:when={self.nth}")

    def failing(self, error: str, log: Path) -> tuple[str, ...]:
        """Return the words that start a command in which this call fails, and tell the calls to a file."""
        watched = {self.call, "sendto", "fsync"}
        return _strace(
            "--seccomp-bpf",
            "--decode-fds=path",
            f"--trace={','.join(sorted(watched))}",
            f"--inject={self.call}:error={error}:when={self.nth}",
            f"--output={log}",
        )


def recording(log: Path) -> tuple[str, ...]:
    """Return the words that start a command and tell its calls to a file."""
    return _strace("--seccomp-bpf", f"--trace={','.join(CALLS)}", f"--output={log}")


def points(log: Path) -> list[Point]:
    """Return every point that a recorded run has, by call and number."""
    by_thread: dict[str, Counter[str]] = defaultdict(Counter)
    for line in log.read_text("utf-8", "replace").splitlines():
        # A call that another thread interrupts is told twice; the second time it is "resumed".
        if (found := _LINE.match(line)) is not None:
            by_thread[found["call"]][found["thread"]] += 1
    return [
        Point(call, nth) for call in CALLS for nth in range(1, max(by_thread[call].values(), default=0) + 1)
    ]


def sent_after_the_failure(log: Path) -> list[str]:
    """Return the requests that left after the call that was made to fail; none of them should.

    SQLite does not mind when it cannot sync a folder; then it is enough that the folder was synced again before.
    """
    lines = log.read_text("utf-8", "replace").splitlines()
    failed = next((number for number, line in enumerate(lines) if "(INJECTED)" in line), len(lines))
    after = lines[failed:]
    folder = _FOLDER.search(after[0]) if after else None
    if folder is not None and Path(folder["path"]).is_dir():
        synced = (number for number, line in enumerate(after[1:], 1) if _is_synced(line, folder["path"]))
        after = after[: next(synced, len(after))]
    return [line for line in after if '"POST ' in line or '"DELETE ' in line]


def _is_synced(line: str, folder: str) -> bool:
    return " fsync(" in line and f"<{folder}>" in line and line.endswith("= 0")


def failed_at_all(log: Path) -> bool:
    """Tell whether the call was reached."""
    return "(INJECTED)" in log.read_text("utf-8", "replace")


def spread(found: Sequence[Point], count: int) -> list[Point]:
    """Return so many of the points, evenly over all kinds of calls."""
    if count >= len(found):
        return list(found)
    by_call: dict[str, list[Point]] = defaultdict(list)
    for point in found:
        by_call[point.call].append(point)
    chosen: list[Point] = []
    share = max(1, count // max(1, len(by_call)))
    for each in by_call.values():
        step = max(1, len(each) // share)
        chosen += each[step // 2 :: step][:share]
    return chosen


def _strace(*words: str) -> tuple[str, ...]:
    # With --seccomp-bpf, which is quicker, strace 6.1 injects errors and no signals.
    return ("strace", "--follow-forks", "--quiet=all", "--string-limit=24", "--signal=none", *words)
