"""Which runs were taken back: by the jobs that `bulkops undo` has written for them, as their run folders list these."""

from __future__ import annotations

from pathlib import Path

import orjson

from bulkops.checkpoint import open_reader
from bulkops.model import State
from bulkops.settings import run_folder

WRITTEN = "undo_written.jsonl"
"""The file in the run folder that lists the jobs that were written to take the run back."""


def jobs_written(folder: Path) -> list[Path]:
    """Return the jobs that were written into files to take back the run in a folder."""
    written = folder / WRITTEN
    if not written.exists():
        return []
    return [Path(orjson.loads(line)["job"]) for line in written.read_bytes().splitlines()]


def undoing(folder: Path) -> list[Path]:
    """Return the checkpoints of the jobs that were written to take back the run in a folder, run or not."""
    return [run_folder(job).checkpoint for job in jobs_written(folder)]


def has_run(job: Path) -> bool:
    """Tell whether a job has done anything, as far as its usual run folder tells."""
    reader = open_reader(run_folder(job).checkpoint)
    if reader is None:
        return False
    with reader:
        return bool(reader.counts().get(State.DONE))


def undone_by(folder: Path) -> Path | None:
    """Return the job that took back the run in a folder, or part of it; None without one that is not undone itself."""
    looked = {folder.absolute()}

    def found(folder: Path) -> Path | None:
        for job in jobs_written(folder):
            own = run_folder(job).path.absolute()
            if own not in looked:
                looked.add(own)
                if has_run(job) and found(own) is None:
                    return job
        return None

    return found(folder)
