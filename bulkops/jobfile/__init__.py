"""From a job file to its lines: reading, header, expressions, and errors that name line and field."""

from __future__ import annotations

from bulkops.jobfile.expanding import LISTED, WRITTEN_OUT, listings_of, listings_on, open_job
from bulkops.jobfile.graph import depth, find_cycle
from bulkops.jobfile.header import Given, Header, read_header, said_once
from bulkops.jobfile.holes import Collect, LookedUp, Ref, pick
from bulkops.jobfile.lines import Line, parse_line
from bulkops.jobfile.marks import TAG_MARK
from bulkops.jobfile.problems import LineError, LineProblems, closest, nearest, problems_text, shown
from bulkops.jobfile.reading import JobFile, RawLine
from bulkops.jobfile.sifting import Fingerprint, LineSet, fingerprint, sifted
from bulkops.jobfile.sources import Listing
from bulkops.jobfile.strict import parse_object
from bulkops.jobfile.uploads import wrong_file

__all__ = [
    "LISTED",
    "TAG_MARK",
    "WRITTEN_OUT",
    "Collect",
    "Fingerprint",
    "Given",
    "Header",
    "JobFile",
    "Line",
    "LineError",
    "LineProblems",
    "LineSet",
    "Listing",
    "LookedUp",
    "RawLine",
    "Ref",
    "closest",
    "depth",
    "find_cycle",
    "fingerprint",
    "listings_of",
    "listings_on",
    "nearest",
    "open_job",
    "parse_line",
    "parse_object",
    "pick",
    "problems_text",
    "read_header",
    "said_once",
    "shown",
    "sifted",
    "wrong_file",
]
