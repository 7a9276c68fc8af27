"""`bulkops report JOB`: one HTML file that says what happened, also while it runs."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bulkops.checkpoint import open_reader
from bulkops.checkpoint.locking import under_way
from bulkops.cli import orders
from bulkops.errors import UsageError
from bulkops.model import State
from bulkops.outputs.atomic import atomic_write
from bulkops.outputs.projections import doubt
from bulkops.reporting.history import read_history
from bulkops.reporting.report import Job

if TYPE_CHECKING:
    from bulkops.cli.orders import JobPlace
    from bulkops.cli.parsing import Options
    from bulkops.reporting.html.story import Known

INSTALL = "the report needs more packages; install them with: python -m pip install 'bulkops[report]'"


def run(options: Options) -> int:
    """Write the report, print where it is, and return the exit code."""
    place = orders.place_of(options)
    folder = place.folder.path
    out = Path(options.out) if options.out else folder / "report.html"
    try:
        from bulkops.reporting.html.page import page
    except ImportError as missing:
        raise UsageError(f"{INSTALL} ({missing})") from None
    text = page(_known(place))
    if not out.absolute().parent.is_dir():
        raise UsageError(f"{out} cannot be written: there is no folder {out.absolute().parent}")
    with atomic_write(out) as file:
        file.write(text.encode())
    print(out)
    return 0


def _known(place: JobPlace) -> Known:
    from bulkops.reporting.html.ended import collect
    from bulkops.reporting.html.story import Known

    folder = place.folder.path
    runs = read_history(folder / "events.jsonl")
    with ExitStack() as held:
        # A run that was refused, or cut off, before its first operation ended has told of itself all the same.
        reader = open_reader(place.folder.checkpoint) if runs else orders.reader_of(place)
        if reader is not None:
            held.enter_context(reader)
        return Known(
            job=str(place.base or place.job),
            runs=runs,
            ended=collect(() if reader is None else reader.rows()),
            doubts=[]
            if reader is None
            else [
                orjson.loads(doubt(row, Job(str(place.base or place.job)).resolve))
                for row in reader.rows([State.IN_DOUBT])
            ],
            under_way=under_way(folder),
            now=time.time(),
        )
