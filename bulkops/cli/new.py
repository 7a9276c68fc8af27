"""`bulkops new`: write a job file, for review."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bulkops.cli.written import out_of, write_job
from bulkops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulkops.cli.parsing import Options


def run(options: Options) -> int:
    """Write the job file."""
    out = out_of(options)
    start = out.absolute().parent if out is not None else Path.cwd()
    lines, what = _WRITERS[options.verb](options, start)
    write_job(out, lines, what.format)
    return 0


def _upload(options: Options, start: Path) -> tuple[Iterator[bytes], str]:
    from bulkops.writing.upload import upload_lines

    model = None if options.no_index else options.model
    include = options.include or ["*"]
    return upload_lines(Path(options.folder), start=start, model=model, include=include), "{:,} documents"


def _clone(options: Options, start: Path) -> tuple[Iterator[bytes], str]:
    from bulkops.writing.clone import clone_lines

    csv = Path(options.from_csv)
    lines = clone_lines(csv, options.agent, start=start, id=options.id, name=options.name)
    return lines, "a clone for each row"


def _export(options: Options, start: Path) -> tuple[Iterator[bytes], str]:
    from bulkops.writing.export import export_lines

    if options.column is not None and options.field is not None:
        raise UsageError("--column is for CSV and --field for JSON lines; give one of them")
    lines = export_lines(Path(options.ids), start=start, column=options.column, field=options.field)
    plain = options.column is None and options.field is None
    return lines, "{:,} conversations" if plain else "a conversation for each row"


_WRITERS = {"upload": _upload, "clone": _clone, "export": _export}
