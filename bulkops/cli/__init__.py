"""The command line: one file per verb. A call imports only what its verb needs, since cron makes many."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from bulkops.cli.parsing import Parser, take_environment
from bulkops.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

VERBS = {
    "plan": "validate a job, and say what a run would do; sends nothing",
    "run": "do a job; run it again and it continues",
    "retry": "do what failed or is blocked again",
    "status": "say where a job stands, also while it runs",
    "results": "print the results of a job as JSONL or CSV",
    "new": "write a job file: from a folder of documents",
    "kinds": "list the kinds of operations and their fields",
    "emulate": "start the local server that speaks the API",
}
EPILOG = """\
Exit codes: 0 all done · 1 internal error · 2 usage or job error, nothing sent · 3 some failed or are blocked ·
4 key refused · 5 halted by --halt · 6 some are in doubt · 7 stopped before the end, run again to continue ·
8 simulations failed checks · 74 checkpoint cannot be written · 75 another run is at it · 130/143 interrupted

Every option can also be given as an environment variable: --max-x as BULKOPS_MAX_X.
The API key comes from ELEVENLABS_API_KEY, --api-key-file or the accounts file; never from the command line.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    verb = next((word for word in words if not word.startswith("-")), None)
    parser = _parser(verb if verb in VERBS else None)
    try:
        options = parser.parse_args(words)
    except SystemExit as end:
        # argparse prints its message itself; its codes are ours: 0 for help, 2 for usage.
        return int(end.code or 0)
    return _guarded(options)


def _parser(verb: str | None) -> argparse.ArgumentParser:
    """Return a parser; only the verb at hand gets its options, which takes the import of one file."""
    parser = Parser(
        prog="bulkops",
        description="Bulk operations for the ElevenLabs Agents API: paced, checkpointed, nothing done twice.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bulkops {VERSION}")
    verbs = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="verb", required=True, parser_class=Parser
    )
    for name, about in VERBS.items():
        sub = verbs.add_parser(
            name,
            help=about,
            description=about[0].upper() + about[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == verb:
            import_module(f"bulkops.cli.{name}").add_options(sub)
            take_environment(sub, os.environ)
    return parser


def _guarded(options: argparse.Namespace) -> int:
    from bulkops.errors import BulkopsError, JobError

    try:
        code: int = import_module(f"bulkops.cli.{options.verb}").run(options)
    except JobError as error:
        from bulkops.cli.telling import tell_problems

        tell_problems(error)
        return error.exit_code
    except BulkopsError as error:
        print(f"bulkops: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever reads our output has had enough: `bulkops results … | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return code
