"""CPU per operation with 256 requests in flight, against 16: what more requests at once cost each of them.

The same `bulkops run` as in operation_vs_sdk.py, with `-j 256` and with `-j 16`; slopes between two sizes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import Figure, in_turn, main, serving, slope
from inputs import agent_lines, run_job

if TYPE_CHECKING:
    from harness import Options, Used


def measure(options: Options) -> list[Figure]:
    """Measure both in turn."""
    sizes = (500, 2_500) if options.quick else (2_000, 10_000)

    with serving() as url:

        def at(in_flight: int) -> float:
            def run(number: int) -> Used:
                return run_job(agent_lines(options.scratch, number), url, in_flight=in_flight)

            return slope(run, sizes) * 1e6

        rounds = in_turn(options.repeats, {"256": lambda: at(256), "16": lambda: at(16)})
    return [
        Figure("in flight: CPU at 256 / at 16", rounds.ratio("256", "16"), most=1.5),
        Figure("in flight: CPU at 16", rounds["16"], " µs"),
    ]


if __name__ == "__main__":
    main(measure)
