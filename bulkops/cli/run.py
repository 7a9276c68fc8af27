"""`bulkops run JOB`: do it; run it again and it continues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.cli import options as common
from bulkops.cli.parsing import say

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    common.add_job(parser)
    common.add_account(parser)
    common.add_running(parser)
    parser.add_argument(
        "--emulate",
        action="store_true",
        help="rehearse against a built-in local server, in a run folder of its own that begins anew each time",
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="only say what it would do, like plan")


def run(options: argparse.Namespace) -> int:
    """Do the job and return the exit code."""
    if options.dry_run:
        from bulkops.cli import plan

        return plan.run(options)
    from bulkops.cli.running import run_job
    from bulkops.planning import Selection

    if options.time_scale != 1.0 and not options.emulate and not options.base_url:
        say("bulkops run: --time-scale is for a server whose clock runs faster: add --emulate or --base-url.")
        return 2
    return run_job(options, Selection(changed=options.changed))
