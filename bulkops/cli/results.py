"""`bulkops results JOB`: what came out, as JSONL or CSV on stdout."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

from bulkops.cli import orders
from bulkops.outputs.tables import write_table

if TYPE_CHECKING:
    from bulkops.cli.parsing import Options


def run(options: Options) -> int:
    """Print the results."""
    reader = orders.reader_of(orders.place_of(options))
    select = [name.strip() for name in options.select.split(",")] if options.select else None
    # Left early, the rows have to let go before the reader does.
    with reader, closing(reader.rows()) as rows:  # type: ignore[type-var] # a generator, promised as an iterator
        write_table(rows, sys.stdout, options.format, select, failed_only=options.failed)
    return 0
