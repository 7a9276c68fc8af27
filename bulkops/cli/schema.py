"""`bulkops schema`: what a line of a job file may look like, for editors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bulkops.cli.kinds import check_kind
from bulkops.jobfile import JobFile, said_once
from bulkops.jobfile.schema import line_schema

if TYPE_CHECKING:
    from bulkops.cli.parsing import Options


def run(options: Options) -> int:
    """Print the schema."""
    check_kind("schema", options.kind)
    said = None
    header = Path(options.header) if options.header else None
    if options.job is not None:
        with JobFile.open(options.job) as job:
            said = said_once(job, header)
    elif header is not None:
        said = said_once(None, header)
    schema = orjson.dumps(line_schema(said, options.kind), option=orjson.OPT_INDENT_2)
    sys.stdout.buffer.write(schema + b"\n")
    return 0
