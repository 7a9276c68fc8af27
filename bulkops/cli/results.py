"""`bulkops results JOB`: what came out, as JSONL or CSV on stdout."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bulkops.checkpoint import open_reader
from bulkops.cli import orders
from bulkops.cli.parsing import say
from bulkops.outputs.tables import write_table

if TYPE_CHECKING:
    from bulkops.cli.parsing import Options


def run(options: Options) -> int:
    """Print the results."""
    place = orders.place_of(options)
    reader = open_reader(place.folder.checkpoint)
    if reader is None:
        say(f"{options.job} was not run yet: there is no checkpoint in {place.folder.path}")
        return 2
    select = [name.strip() for name in options.select.split(",")] if options.select else None
    with reader:
        write_table(reader.rows(), sys.stdout, options.format, select, failed_only=options.failed)
    return 0
