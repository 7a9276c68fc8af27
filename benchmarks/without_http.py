"""CPU per operation of everything but HTTP: read, validate, pace, checkpoint, close, write the results.

`bulkops run` with the edge of the sending stack replaced by one that answers at once (without_wire.py); durable.

Microseconds are those of the machine at that moment, so a bare POST by aiohttp, 64 in flight, is measured in turn with
it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import transports
from harness import Figure, in_turn, main, serving, slope, spend
from inputs import agent_lines, run_job_without_wire

if TYPE_CHECKING:
    from harness import Options, Used


def measure(options: Options) -> list[Figure]:
    """Measure both slopes."""
    sizes = (2_000, 10_000) if options.quick else (5_000, 50_000)

    def run(number: int) -> Used:
        return run_job_without_wire(agent_lines(options.scratch, number))

    def post(number: int) -> Used:
        command = [sys.executable, transports.__file__, "post", "aiohttp alone", url, "64", str(number)]
        return spend(command)

    with serving() as server:
        url = f"{server}/agents/create"
        rounds = in_turn(
            options.repeats,
            {
                "all but HTTP": lambda: slope(run, sizes) * 1e6,
                "a POST": lambda: slope(post, (2_000, 8_000)) * 1e6,
            },
        )
    return [
        Figure("without HTTP: CPU per operation", rounds["all but HTTP"], " µs", 150),
        Figure("a bare POST by aiohttp: CPU", rounds["a POST"], " µs"),
        Figure("without HTTP / a bare POST", rounds.ratio("all but HTTP", "a POST")),
    ]


if __name__ == "__main__":
    main(measure)
