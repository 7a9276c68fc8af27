"""What the rows of a job's `$each` are called in a job file that we write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.errors import JobError, UsageError
from bulkops.jobfile.problems import shown
from bulkops.jobfile.reading import JobFile
from bulkops.jobfile.sources import likely_delimiter, opened
from bulkops.writing.places import seen_from

if TYPE_CHECKING:
    from pathlib import Path


def csv_source(csv: Path, start: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return a CSV file as the source that a job file in `start` names, and its columns.

    Where there are no commas, what keeps the columns apart is named as well. UsageError when it cannot be read.
    """
    open_rows(csv).close()
    source = {"csv": seen_from(start, csv)}
    try:
        columns = _columns(source, start)
        if apart := likely_delimiter(columns):
            source["delimiter"] = apart
            columns = _columns(source, start)
    except JobError as error:
        raise UsageError(str(error.problems[0])) from None
    return source, columns


def _columns(source: dict[str, str], start: Path) -> tuple[str, ...]:
    with opened(source, start) as rows:
        return (rows and rows.columns) or ()


def open_rows(path: Path) -> JobFile:
    """Open a file with a row on each line; UsageError when it cannot be read."""
    try:
        return JobFile.open(path)
    except JobError as error:
        raise UsageError(str(error.problems[0])) from None


def of_row(name: str) -> str:
    """Return the expression for a value of the row."""
    if set(name) & set("{}"):
        raise UsageError(f"{shown(name)!r} cannot be named in a job file, for its braces; rename it")
    return f"${{row:{name}}}"
