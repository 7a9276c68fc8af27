"""How every figure is measured: the CPU time of a client process, two commands in turn, medians of several rounds.

CPU time is user + sys of the measured process alone, from `wait4`; wall time says more about the machine's other work
than about the program. The server is another process on another core. What start-up costs is taken out by running
each command at two sizes and dividing the difference (`slope`).

A trap: the peak memory of a child counts the memory of the process that started it, so nothing large is imported
or kept here.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

HERE = Path(__file__).parent
LONGEST = 3600.0
"""Seconds after which a measured command is given up."""
CORES = sorted(os.sched_getaffinity(0))
MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Options:
    """How thoroughly to measure, and where. `quick` is for trying the scripts out: its figures are rough."""

    scratch: Path
    repeats: int = 5
    quick: bool = False
    full: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: what was measured in each round, and what it may be at most (None: for information)."""

    name: str
    values: Sequence[float]
    unit: str = ""
    most: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the median keeps what is promised."""
        if self.most is None:
            return ""
        return "ok" if statistics.median(self.values) <= self.most else "OVER"

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Name, must, measured and verdict, as they stand in the table."""
        must = "" if self.most is None else f"<= {_number(self.most)}{self.unit}"
        middle, low, high = statistics.median(self.values), min(self.values), max(self.values)
        measured = f"{_number(middle)}{self.unit} [{_number(low)} to {_number(high)}]"
        return self.name, must, measured, self.verdict


@dataclass(frozen=True, slots=True)
class Used:
    """What a command has used: seconds of CPU, and bytes of memory at its peak."""

    cpu: float
    peak: int


@dataclass(slots=True)
class Rounds:
    """What several rounds have measured, by name."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> list[float]:
        """Return the values of one name, a round each."""
        return self.values[name]

    def ratio(self, above: str, below: str) -> list[float]:
        """Return one value over another, round by round."""
        return [a / b for a, b in zip(self[above], self[below], strict=True)]

    def difference(self, whole: str, part: str) -> list[float]:
        """Return one value less another, round by round."""
        return [a - b for a, b in zip(self[whole], self[part], strict=True)]


def in_turn(repeats: int, acts: Mapping[str, Callable[[], float]]) -> Rounds:
    """Do every act once a round, each second round backwards, so that a slow spell hits them all."""
    rounds = Rounds({name: [] for name in acts})
    order = list(acts)
    for number in range(repeats):
        for name in order if number % 2 == 0 else reversed(order):
            rounds[name].append(acts[name]())
    return rounds


def slope(run: Callable[[int], Used], sizes: tuple[int, int]) -> float:
    """Return the CPU seconds that one more costs, from a small run and a large one."""
    small, large = sizes
    return (run(large).cpu - run(small).cpu) / (large - small)


def spend(command: Sequence[str | Path], *, code: int = 0) -> Used:
    """Run a command to its end and return what it used; RuntimeError when it ends with another exit code."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=environment(),
        )
        limit = threading.Timer(LONGEST, process.kill)
        limit.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            limit.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != code:
            said.seek(0)
            words = " ".join(map(str, command))
            raise RuntimeError(f"{words} ended with {process.returncode}:\n{said.read()[-2000:].decode()}")
    return Used(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


@contextmanager
def serving() -> Iterator[str]:
    """Start the server that answers at once, and return its base URL; it ends with the block, or with us."""
    command = [sys.executable, str(HERE / "answering.py"), str(CORES[0])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def main(measure: Callable[[Options], list[Figure]]) -> None:
    """Measure the figures of one script and print them."""
    parser = argument_parser()
    with prepared(parser.parse_args()) as options:
        print_table(measure(options))


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser with the options that every script has."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--repeats", type=int, help="rounds; default 5, with --quick 1")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: tries the scripts, figures are rough"
    )
    parser.add_argument("--full", action="store_true", help="the largest sizes; takes long")
    parser.add_argument("--scratch", default="/var/tmp", help="a folder on a real disk (default %(default)s)")
    return parser


@contextmanager
def prepared(given: argparse.Namespace) -> Iterator[Options]:
    """Make the scratch folder, and move to the clients' core."""
    if _file_system(Path(given.scratch)) in ("tmpfs", "ramfs"):
        sys.exit(f"{given.scratch} is in memory, where a commit costs nothing: name a disk with --scratch")
    # Inherited by every command; the server moves to the other core by itself.
    os.sched_setaffinity(0, {CORES[-1]})
    with tempfile.TemporaryDirectory(prefix="bulkops-bench-", dir=given.scratch) as scratch:
        repeats = given.repeats or (1 if given.quick else 5)
        yield Options(Path(scratch), repeats, given.quick, given.full)


def print_table(figures: Sequence[Figure]) -> None:
    """Print figures as a table in Markdown."""
    print_rows([("figure", "must", "median [min to max]", ""), *(figure.row for figure in figures)])


def print_rows(rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a head, as a table in Markdown."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *rest = rows
    for row in (head, ["-" * width for width in widths], *rest):
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print(f"| {' | '.join(cells)} |", flush=True)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def environment() -> dict[str, str]:
    """Return our environment without what would change how bulkops or Python work."""
    foreign = ("BULKOPS_", "ELEVENLABS_", "PYTHON", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    ours = {
        "XDG_CONFIG_HOME": "/nonexistent",
        "XDG_STATE_HOME": str(Path(tempfile.gettempdir(), "bulkops-benchmarks")),
    }
    return {**kept, **ours, "ELEVENLABS_API_KEY": "key-of-a-benchmark"}


def _file_system(folder: Path) -> str:
    """Return the type of the file system that a folder is on."""
    device = folder.stat().st_dev
    for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines():
        fields = line.split()
        major, minor = map(int, fields[2].split(":"))
        if os.makedev(major, minor) == device:
            return fields[fields.index("-") + 1]
    return "unknown"
