"""`bulkops new upload FOLDER`: write a job file, for review."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bulkops.cli.parsing import say
from bulkops.errors import UsageError

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    what = parser.add_subparsers(title="what", metavar="WHAT", dest="what", required=True)
    upload = what.add_parser("upload", help="upload the documents of a folder, and index them")
    upload.add_argument("folder", metavar="FOLDER", help="the folder; folders in it are walked too")
    upload.add_argument("--out", metavar="FILE", help="the job file to write; default: stdout")
    upload.add_argument(
        "--model",
        default="e5_mistral_7b",
        metavar="MODEL",
        help="the embedding model (default e5_mistral_7b)",
    )
    upload.add_argument("--no-index", action="store_true", help="only upload")
    upload.add_argument(
        "--include",
        action="append",
        metavar="GLOB",
        help="only files that match, such as '*.md'; may be repeated",
    )
    upload.add_argument("--force", action="store_true", help="replace a job file that is there")


def run(options: argparse.Namespace) -> int:
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
    say(f"{out}: {number - 1:,} documents. Look at it, then: bulkops plan {out} && bulkops run {out}")
    return 0
