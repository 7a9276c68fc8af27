"""`bulkops new upload FOLDER`: write a job file, for review."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bulkops.cli.parsing import say
from bulkops.errors import UsageError

if TYPE_CHECKING:
    from bulkops.cli.parsing import Options


def run(options: Options) -> int:
    """Write the job file."""
    from bulkops.outputs.atomic import atomic_write
    from bulkops.writing.upload import upload_lines

    out = Path(options.out) if options.out else None
    if out is not None and out.exists() and not options.force:
        raise UsageError(f"{out} is there already; give --force to replace it")
    lines = upload_lines(
        Path(options.folder),
        start=out.absolute().parent if out is not None else Path.cwd(),
        model=None if options.no_index else options.model,
        include=options.include or ["*"],
    )
    if out is None:
        sys.stdout.buffer.writelines(line + b"\n" for line in lines)
        return 0
    number = 0
    with atomic_write(out) as file:
        for line in lines:
            file.write(line + b"\n")
            number += 1
    named = shlex.quote(f"./{out}" if str(out).startswith("-") else str(out))
    say(f"{out}: {number - 1:,} documents. Look at it, then: bulkops plan {named} && bulkops run {named}")
    return 0
