"""CPU of `bulkops plan` on 1,000,000 lines of 300 bytes with unique ids.

Beside it, as a measure of the machine: the same file read with the standard library's JSON, line by line.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from harness import Figure, in_turn, main, spend
from inputs import BULKOPS, agent_lines

if TYPE_CHECKING:
    from harness import Options

LINES = 1_000_000
READ = "import json, sys\nfor line in open(sys.argv[1], 'rb'): json.loads(line)"


def measure(options: Options) -> list[Figure]:
    """Measure both in turn; `--quick` takes a tenth of the lines and multiplies."""
    number = LINES // 10 if options.quick else LINES
    # With op, id and brackets a line has some 50 bytes more than its body.
    job = agent_lines(options.scratch, number, body=250)

    def plan() -> float:
        return spend([BULKOPS, "plan", job]).cpu * LINES / number

    def read() -> float:
        return spend([sys.executable, "-c", READ, job]).cpu * LINES / number

    rounds = in_turn(options.repeats, {"plan": plan, "read": read})
    return [
        Figure("plan: CPU for 1,000,000 lines", rounds["plan"], " s", 20),
        Figure("plan: CPU / reading them with json", rounds.ratio("plan", "read")),
    ]


if __name__ == "__main__":
    main(measure)
