"""CPU of what a run does after an unclean end, before it goes on: every page and every row is checked.

The checkpoint is that of `resume.py`, all operations of it done, marked as one whose run was killed. `recover` reads it
in a process of its own; what the process costs to start is taken out by two sizes, and the figure is for 1,000,000
rows: of 200,000, with `--full` of 1,000,000. Beside it the parts: SQLite's own check of pages and indexes, and the sums
of the rows.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from harness import Figure, in_turn, main, slope, spend
from resume import folder_of, prepared_job

if TYPE_CHECKING:
    from pathlib import Path

    from harness import Options, Used

ROWS = 1_000_000
KILLED = """
import sqlite3, sys
from bulkops.checkpoint import tables
from bulkops.checkpoint.rescue import CLEAN
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
tables.put_meta(connection, CLEAN, "no")
connection.close()
"""
RECOVER = """
import sys
from pathlib import Path
from bulkops.checkpoint.recovering import recover
recover(Path(sys.argv[1]), Path(sys.argv[1]).parent)
"""
STRUCTURE = """
import sqlite3, sys
from bulkops.checkpoint import schema
assert schema.structure(sqlite3.connect(sys.argv[1])) == "ok"
"""
SUMS = """
import sqlite3, sys
from bulkops.checkpoint import tables
assert not list(tables.unlike(sqlite3.connect(sys.argv[1])))
"""


def measure(options: Options) -> list[Figure]:
    """Measure the whole and its parts in turn."""
    sizes = (10_000, ROWS) if options.full else (2_000, 20_000) if options.quick else (10_000, 200_000)
    files = {number: killed_run(options.scratch, number) for number in sizes}

    def of_a_million(program: str) -> float:
        def run(number: int) -> Used:
            return spend([sys.executable, "-c", program, files[number]])

        return slope(run, sizes) * ROWS

    programs = {"recover": RECOVER, "structure": STRUCTURE, "sums": SUMS}
    acts = {name: partial(of_a_million, program) for name, program in programs.items()}
    rounds = in_turn(options.repeats, acts)
    return [
        Figure("recover: CPU for 1,000,000 rows after an unclean end", rounds["recover"], " s", most=10.0),
        Figure("recover: CPU of SQLite's own check of them", rounds["structure"], " s"),
        Figure("recover: CPU of the sums of them", rounds["sums"], " s"),
    ]


def killed_run(folder: Path, number: int) -> Path:
    """Return the checkpoint of a run that was killed when all but one of so many lines were done."""
    path = folder_of(prepared_job(folder, number, 1)) / "checkpoint.db"
    subprocess.run([sys.executable, "-c", KILLED, path], check=True)
    return path


if __name__ == "__main__":
    main(measure)
