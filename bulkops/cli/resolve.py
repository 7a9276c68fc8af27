"""`bulkops resolve JOB ID --adopt ENTITY|--retry|--skip`: settle an operation in doubt by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.cli.parsing import say

if TYPE_CHECKING:
    from bulkops.cli.parsing import Options


def run(options: Options) -> int:
    """Settle it, and say which command goes on."""
    from pathlib import Path

    import anyio

    from bulkops.checkpoint.locking import run_lock
    from bulkops.checkpoint.recovering import recover
    from bulkops.checkpoint.rescue import usual_folder
    from bulkops.cli import orders
    from bulkops.errors import UsageError
    from bulkops.jobfile import JobFile
    from bulkops.lifecycle import Choice, Chosen
    from bulkops.reporting.report import Job
    from bulkops.resolving import resolve

    choices = {Choice.ADOPT: options.adopt, Choice.RETRY: options.retry, Choice.SKIP: options.skip}
    chosen = [choice for choice, given in choices.items() if given]
    if len(chosen) != 1:
        raise UsageError("say what became of it: one of --adopt ENTITY, --retry, --skip")
    place = orders.place_of(options)
    orders.reader_of(place).close()
    with JobFile.open(place.base or place.job) as job, run_lock(place.folder.path, job.path):
        # Like a run: what comes after an unclean end is checked, and what was saved elsewhere is taken up.
        recover(place.folder.checkpoint, Path(options.rescue) if options.rescue else usual_folder())
        told = anyio.run(resolve, place.folder.checkpoint, options.id, Chosen(chosen[0], options.adopt))
    flags = ("--run-dir", options.run_dir) if options.run_dir else ()
    say(f"{told}. Continue: {Job(str(place.base or place.job), flags).command('run')}")
    return 0
