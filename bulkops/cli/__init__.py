"""The command line: one file per verb. A call imports only what its verb needs, since cron makes many."""

from __future__ import annotations

import errno
import sys

from bulkops.cli.options import VERBS
from bulkops.cli.parsing import UsageExit, near, read, say, to_nowhere
from bulkops.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from bulkops.cli.parsing import Options

    Run: TypeAlias = Callable[[Options], int]

DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
CANNOT_WRITE = 74

HELP = """\
usage: bulkops COMMAND …

Bulk operations for the ElevenLabs Agents API: paced, checkpointed, nothing done twice.

commands:
{verbs}

  bulkops COMMAND --help    the options of a command
  bulkops --version

Exit codes: 0 all done · 1 internal error · 2 usage or job error, nothing sent · 3 some failed or are blocked ·
4 key refused · 5 halted by --halt · 6 some are in doubt · 7 stopped before the end, run again to continue ·
8 simulations failed checks · 74 checkpoint or output cannot be written · 75 another run is at it · 130/143 interrupted

Every option can also be given as an environment variable: --max-x as BULKOPS_MAX_X.
The API key comes from ELEVENLABS_API_KEY, --api-key-file or the accounts file; never from the command line.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    code = 0
    try:
        code = _main(list(sys.argv[1:] if arguments is None else arguments))
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads our output has had enough: `bulkops results … | head`.
        to_nowhere(sys.stdout)
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            raise
        say(f"bulkops: what it prints cannot be written: {error.strerror}. Print it elsewhere")
        to_nowhere(sys.stdout)
        return CANNOT_WRITE
    return code


def _main(words: list[str]) -> int:
    verb = words[0] if words else "--help"
    if verb in VERBS:
        return _run(verb, words[1:])
    if verb in {"-h", "--help", "help"}:
        print(
            HELP.format(verbs="\n".join(f"  {name:<10} {verb.about}" for name, verb in VERBS.items())), end=""
        )
        return 0 if words else 2
    if verb == "--version":
        print(f"bulkops {VERSION}")
        return 0
    say(f"bulkops: there is no command {verb!r}{near(verb, VERBS)} (`bulkops --help`)")
    return 2


def _run(verb: str, words: list[str]) -> int:
    try:
        options = read(verb, VERBS[verb], words)
    except UsageExit as end:
        return end.code
    from importlib import import_module

    return _guarded(import_module(f"bulkops.cli.{verb}").run, options)


def _guarded(run: Run, options: Options) -> int:
    from bulkops.errors import BulkopsError, JobError, Locked

    try:
        return run(options)
    except UsageExit as end:
        return end.code
    except JobError as error:
        from bulkops.cli.telling import tell_problems

        tell_problems(error)
        return error.exit_code
    except BulkopsError as error:
        if isinstance(error, Locked) and getattr(options, "quiet", False):
            # The job is being done, so cron has nothing to write a mail about.
            return error.exit_code
        from bulkops.reporting.text import safe_text

        say(f"bulkops: {safe_text(str(error), 2000)}")
        return error.exit_code
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_TROUBLE:
            raise
        # A mistake of ours, told as one.
        sys.excepthook(*sys.exc_info())
        say(
            "bulkops: this is a mistake in bulkops; please report it with the lines above. "
            "A run remembers what it did: the same command continues it"
        )
        return 1
