"""Peak memory of a run, large against small: it does not grow with the job.

`bulkops run` with the edge replaced (without_wire.py), 64 in flight: 100,000 lines against 10,000; with `--full`
1,000,000 against 10,000, which is the figure that is claimed and takes minutes a round. And a job of as many lines, of
which the first tenth wait each for another one: 16 bytes for each line and 100 MB are what they may take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import MEGABYTE, Figure, in_turn, main
from inputs import agent_lines, run_job_without_wire, waiting_lines

if TYPE_CHECKING:
    from harness import Options


def measure(options: Options) -> list[Figure]:
    """Measure both in turn."""
    small, large = (2_000, 20_000) if options.quick else (10_000, 1_000_000 if options.full else 100_000)

    def peak(number: int) -> float:
        return run_job_without_wire(agent_lines(options.scratch, number)).peak / MEGABYTE

    def peak_waiting() -> float:
        return run_job_without_wire(waiting_lines(options.scratch, large, large // 10)).peak / MEGABYTE

    work = {"large": lambda: peak(large), "small": lambda: peak(small), "waiting": peak_waiting}
    rounds = in_turn(options.repeats, work)
    allowed = 100 + 16 * large / MEGABYTE
    return [
        Figure(f"memory: {large:,} lines / {small:,}", rounds.ratio("large", "small"), most=1.2),
        Figure(f"memory: peak at {large:,} lines", rounds["large"], " MB", 150),
        Figure(
            f"memory: peak at {large:,} lines with {large // 10:,} references",
            rounds["waiting"],
            " MB",
            allowed,
        ),
    ]


if __name__ == "__main__":
    main(measure)
