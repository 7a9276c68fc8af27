"""`bulkops results JOB`: what came out, as JSONL or CSV on stdout."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

from bulkops.cli import orders
from bulkops.cli.parsing import say
from bulkops.outputs.tables import unknown_fields, write_table
from bulkops.reporting.text import safe_text

if TYPE_CHECKING:
    from bulkops.cli.parsing import Options


def run(options: Options) -> int:
    """Print the results."""
    reader = orders.reader_of(orders.place_of(options))
    select = [name.strip() for name in options.select.split(",")] if options.select else None
    # Left early, the rows have to let go before the reader does.
    with reader, closing(reader.rows()) as rows, closing(reader.rows()) as first:  # type: ignore[type-var] # generators, promised as iterators
        for name, help_ in unknown_fields(first, select or ()).items():
            say(f"--select: no result has {safe_text(name)!r}; {help_}")
        write_table(rows, sys.stdout, options.format, select, failed_only=options.failed)
    return 0
