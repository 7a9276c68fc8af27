"""`bulkops run JOB`: do it; run it again and it continues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.cli.parsing import say

if TYPE_CHECKING:
    from bulkops.cli.parsing import Options


def run(options: Options) -> int:
    """Do the job and return the exit code."""
    if options.dry_run:
        from bulkops.cli import plan

        return plan.run(options)
    from bulkops.cli.running import run_job
    from bulkops.planning import Selection

    if options.time_scale != 1.0 and not options.emulate and not options.base_url:
        say("bulkops run: --time-scale is for a server whose clock runs faster: add --emulate or --base-url.")
        return 2
    return run_job(options, Selection(changed=options.changed, before=not options.no_before))
