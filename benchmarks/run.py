"""Measure the figures that the README claims, and print them in one table.

    benchmarks/run.py                    all of them, 5 rounds each
    benchmarks/run.py --only startup     one of them; may be given several times
    benchmarks/run.py --quick            small sizes, one round: do the scripts still work?
    benchmarks/run.py --full             the largest sizes: memory and recovery of a million lines, resume of ten

Each script beside this one tells its claim, its commands and its method, and can be called alone. The exit code is
1 when a figure is over what is promised.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING

from harness import argument_parser, prepared, print_table

if TYPE_CHECKING:
    from harness import Figure

SCRIPTS = (
    "operation_vs_sdk",
    "in_flight",
    "without_http",
    "checkpoint",
    "memory",
    "plan_lines",
    "plan_accuracy",
    "resume",
    "recover",
    "upload_200mb",
    "startup",
    "transports",
    "pacing",
    "pacing_live",
    "polling",
    "exporting",
    "listening",
)


def main() -> int:
    """Measure what was asked for."""
    parser = argument_parser()
    parser.add_argument("--only", action="append", choices=SCRIPTS, metavar="NAME", help=", ".join(SCRIPTS))
    given = parser.parse_args()
    figures: list[Figure] = []
    with prepared(given) as options:
        for name in given.only or SCRIPTS:
            began = time.monotonic()
            print(f"{name} …", file=sys.stderr, end=" ", flush=True)
            figures += import_module(name).measure(options)
            print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    print_table(figures)
    return int(any(figure.verdict == "OVER" for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
