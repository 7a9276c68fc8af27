"""`bulkops retry JOB`: do what failed or is blocked again."""

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
    parser.set_defaults(emulate=False)
    parser.add_argument(
        "--in-doubt",
        action="store_true",
        help="also send again what is in doubt; what did take effect is then there twice",
    )


def run(options: argparse.Namespace) -> int:
    """Do it again and return the exit code."""
    from bulkops.cli.running import run_job
    from bulkops.planning import Selection

    if options.in_doubt:
        say(
            "Sending again what is in doubt: where a first attempt did take effect, it is now there twice. "
            "The results of these operations say possible_duplicate."
        )
    return run_job(options, Selection(failed=True, in_doubt=options.in_doubt, changed=options.changed))
