"""`bulkops results JOB`: what came out, as JSONL or CSV on stdout."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bulkops.checkpoint import open_reader
from bulkops.cli import options as common
from bulkops.cli.parsing import say
from bulkops.outputs.tables import write_table

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    common.add_job(parser)
    parser.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="default: jsonl")
    parser.add_argument(
        "--select", metavar="FIELD[,FIELD]", help="only these, such as id,status,agent_id,result.name"
    )
    parser.add_argument("--failed", action="store_true", help="only what is not done")
    parser.add_argument("--emulate", action="store_true", help="of the last rehearsal")


def run(options: argparse.Namespace) -> int:
    """Print the results."""
    place = common.place_of(options)
    reader = open_reader(place.folder.checkpoint)
    if reader is None:
        say(f"{options.job} was not run yet: there is no checkpoint in {place.folder.path}")
        return 2
    select = [name.strip() for name in options.select.split(",")] if options.select else None
    with reader:
        write_table(reader.rows(), sys.stdout, options.format, select, failed_only=options.failed)
    return 0
