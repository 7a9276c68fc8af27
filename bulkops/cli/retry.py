"""`bulkops retry JOB`: do what failed or is blocked again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.cli.parsing import say

if TYPE_CHECKING:
    from bulkops.cli.parsing import Options


def run(options: Options) -> int:
    """Do it again and return the exit code."""
    from bulkops.cli.running import run_job
    from bulkops.planning import Selection

    # A rehearsal forgets itself: there is nothing of it to do again.
    options.emulate = False
    if options.in_doubt:
        say(
            "Sending again what is in doubt: where a first attempt did take effect, it is now there twice. "
            "The results of these operations say possible_duplicate."
        )
    return run_job(options, Selection(failed=True, in_doubt=options.in_doubt, changed=options.changed))
