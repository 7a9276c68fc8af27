"""`bulkops results JOB`: what came out, as JSONL, CSV or Parquet on stdout."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from bulkops.cli import orders
from bulkops.cli.parsing import say
from bulkops.errors import UsageError
from bulkops.outputs.dataset import check_format, write_results
from bulkops.outputs.tables import unknown_fields, write_table
from bulkops.reporting.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bulkops.checkpoint.rows import OperationRow
    from bulkops.cli.parsing import Options


def run(options: Options) -> int:
    """Print the results."""
    reader = orders.reader_of(orders.place_of(options))
    select = [name.strip() for name in options.select.split(",")] if options.select else None
    # Left early, the rows have to let go before the reader does.
    with reader, closing(reader.rows()) as rows, closing(reader.rows()) as first:  # type: ignore[type-var] # generators, promised as iterators
        for name, help_ in unknown_fields(first, select or ()).items():
            say(f"--select: no result has {safe_text(name)!r}; {help_}")
        if options.format == "parquet":
            _print_parquet(rows, select, failed_only=options.failed)
        else:
            write_table(rows, sys.stdout, options.format, select, failed_only=options.failed)
    return 0


def _print_parquet(rows: Iterable[OperationRow], select: Sequence[str] | None, *, failed_only: bool) -> None:
    """Print a Parquet file, which is made aside: its begin tells where its end is."""
    check_format("parquet")
    if sys.stdout.isatty():
        raise UsageError("--format parquet writes no text; send it to a file: … > results.parquet")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.parquet"
        write_results(rows, path, select, failed_only=failed_only)
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
