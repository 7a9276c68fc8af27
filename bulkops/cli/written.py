"""How job files that we write come to the user: to a file, whole or not at all, or to stdout."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bulkops.cli.parsing import say
from bulkops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bulkops.cli.parsing import Options


def out_of(options: Options) -> Path | None:
    """Return the file that is to be written, None for stdout; UsageError when it is there and may not be replaced."""
    out = Path(options.out) if options.out else None
    if out is not None and out.exists() and not options.force:
        raise UsageError(f"{out} is there already; give --force to replace it")
    return out


def write_job(out: Path | None, lines: Iterable[bytes], told: Callable[[int], str]) -> None:
    """Write the lines of a job, header first; of a file, say what it has (`told` by their number) and what is next."""
    from bulkops.outputs.atomic import atomic_write

    if out is None:
        sys.stdout.buffer.writelines(line + b"\n" for line in lines)
        return
    number = 0
    with atomic_write(out) as file:
        for line in lines:
            file.write(line + b"\n")
            number += 1
    named = shlex.quote(f"./{out}" if str(out).startswith("-") else str(out))
    say(f"{out}: {told(number - 1)}. Look at it, then: bulkops plan {named} && bulkops run {named}")
