"""`bulkops retry JOB`: do what failed or is blocked again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkops.cli.parsing import Options


def run(options: Options) -> int:
    """Do it again and return the exit code."""
    from bulkops.cli.running import run_job
    from bulkops.planning import Selection

    # A rehearsal forgets itself: there is nothing of it to do again.
    options.emulate = False
    return run_job(options, Selection(failed=True, changed=options.changed, before=not options.no_before))
