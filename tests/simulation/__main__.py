"""`python -m tests.simulation --histories N --seed S`: many histories, as many processes as there are cores."""

from __future__ import annotations

import argparse
import sys
import time
from multiprocessing import Pool

from tests.crash.crash_sizes import note
from tests.simulation.history import history_of
from tests.simulation.oracle import play, violations
from tests.simulation.shrinking import explain

BLOCK = 2_000


def bad_seeds(seeds: range) -> list[int]:
    """Return the seeds whose histories go wrong."""
    return [seed for seed in seeds if violations(play(history_of(seed)))]


def main() -> int:
    """Play them; explain the first one that goes wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--histories", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=None)
    given = parser.parse_args()
    last = given.seed + given.histories
    blocks = [range(start, min(start + BLOCK, last)) for start in range(given.seed, last, BLOCK)]
    begun, bad = time.monotonic(), list[int]()
    with Pool(given.processes) as pool:
        for number, found in enumerate(pool.imap(bad_seeds, blocks), 1):
            bad += found
            for seed in found:
                sys.stderr.write(f"\rseed {seed} goes wrong\n")
            if sys.stderr.isatty():
                sys.stderr.write(
                    f"\r{min(number * BLOCK, given.histories):,} histories, {len(bad)} went wrong"
                )
    seconds = time.monotonic() - begun
    sys.stdout.write(
        f"\n{given.histories:,} histories from seed {given.seed}, {given.histories / seconds:,.0f} a second: "
        f"{len(bad)} went wrong\n"
    )
    note("simulated histories", histories=given.histories, violations=len(bad))
    if bad:
        sys.stdout.write(f"seeds {bad[:100]}\n{explain(bad[0])}\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
