"""CPU per operation of everything but HTTP: read, validate, pace, checkpoint, close, write the results.

`bulkops run` with the edge of the sending stack replaced by one that answers at once (without_wire.py); durable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import Figure, in_turn, main, slope
from inputs import agent_lines, run_job_without_wire

if TYPE_CHECKING:
    from harness import Options, Used


def measure(options: Options) -> list[Figure]:
    """Measure the slope."""
    sizes = (2_000, 10_000) if options.quick else (5_000, 50_000)

    def run(number: int) -> Used:
        return run_job_without_wire(agent_lines(options.scratch, number))

    rounds = in_turn(options.repeats, {"all but HTTP": lambda: slope(run, sizes) * 1e6})
    return [Figure("without HTTP: CPU per operation", rounds["all but HTTP"], " µs", 150)]


if __name__ == "__main__":
    main(measure)
