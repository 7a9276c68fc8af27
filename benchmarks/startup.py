"""CPU of `bulkops --help`, and of a usage error, against the bare interpreter: cron starts many.

Ten calls each a round, against ten of `python -c pass` of the same interpreter. For information, what finding
out that a job file is missing costs: that call has to load what reads jobs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from harness import Figure, in_turn, main, spend
from inputs import BULKOPS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness import Options

CALLS = 10


def measure(options: Options) -> list[Figure]:
    """Measure all in turn."""
    calls = CALLS // 2 if options.quick else CALLS

    def milliseconds(command: Sequence[str], code: int = 0) -> Callable[[], float]:
        return lambda: sum(spend(command, code=code).cpu for _ in range(calls)) / calls * 1e3

    bulkops = str(BULKOPS)
    acts = {
        "bare": milliseconds([sys.executable, "-c", "pass"]),
        "help": milliseconds([bulkops, "--help"]),
        "usage": milliseconds([bulkops, "run", "job.jsonl", "--no-such-option"], code=2),
        "missing": milliseconds([bulkops, "plan", "/nonexistent/job.jsonl"], code=2),
    }
    in_turn(1, acts)  # compiles what has not been imported since it was changed
    rounds = in_turn(options.repeats, acts)
    return [
        Figure("start-up: --help / bare interpreter", rounds.ratio("help", "bare"), most=2),
        Figure("start-up: usage error / bare interpreter", rounds.ratio("usage", "bare"), most=2),
        Figure("start-up: missing job / bare interpreter", rounds.ratio("missing", "bare")),
        Figure("start-up: bare interpreter", rounds["bare"], " ms"),
    ]


if __name__ == "__main__":
    main(measure)
