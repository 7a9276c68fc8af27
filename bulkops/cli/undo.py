"""`bulkops undo JOB`: write the job that takes back what a run did, for review."""

from __future__ import annotations

import shlex
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

import orjson

from bulkops.accounts import DEFAULT_ACCOUNT
from bulkops.api import PROFILES
from bulkops.checkpoint.belonging import ORIGIN, OWN
from bulkops.checkpoint.locking import under_way
from bulkops.cli import orders
from bulkops.cli.parsing import say
from bulkops.cli.written import out_of, write_job
from bulkops.errors import UsageError
from bulkops.outputs.atomic import atomic_write
from bulkops.reporting.words import number
from bulkops.writing.undo import undo_lines
from bulkops.writing.undone import WRITTEN, has_run, jobs_written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bulkops.cli.parsing import Options
    from bulkops.model import Json

LEFT = "undo_left.jsonl"
"""The file in the run folder that lists what is not taken back."""
_DONE = {
    "agent.delete": "{} to delete",
    "agent.update": "{} to change back",
    "agent.create": "{} to make again, under other ids",
}


def run(options: Options) -> int:
    """Write the job and the list of what it leaves, and say how much that is."""
    place = orders.place_of(options)
    folder = place.folder.path
    out = out_of(options)
    if under_way(folder):
        raise UsageError(f"a run of {place.job} is under way; wait for its end, or end it")
    lines, left = Counter[str](), Counter[str]()
    removed = 0

    def counted(of_job: Iterator[dict[str, Json]]) -> Iterator[bytes]:
        nonlocal removed
        for line in of_job:
            lines[line["op"]] += 1
            removed += line["op"] == "agent.update" and _holds_null(line["body"])
            yield orjson.dumps(line)

    with orders.reader_of(place) as reader, atomic_write(folder / LEFT) as file:

        def leave(what: dict[str, Json]) -> None:
            left[what["kind"]] += 1
            file.write(orjson.dumps(what) + b"\n")

        api = PROFILES[(reader.meta(ORIGIN) or "reference").split()[0]]
        job = place.base or place.job
        of_job = counted(undo_lines(reader, api, leave, guarded=not options.even_if_changed))
        first = next(of_job, None)
        if first is not None:
            write_job(out, chain([_header(job, reader.meta(OWN)), first], of_job), lambda _: _what(lines))
    if first is None:
        say(f"{job}: there is nothing that could be taken back")
    else:
        _keep_to_one(folder, out, lines["agent.create"])
    if removed:
        say(
            f"{number(removed, 'line')} set to null what an update had added; the API may keep it all the same"
        )
    if left:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(left.items()))
        say(f"not taken back: {kinds}; see {folder / LEFT}")
    return 0


def _keep_to_one(folder: Path, out: Path | None, again: int) -> None:
    """Note which job was written; say so when it makes things again, and another one of them has been run."""
    jobs = jobs_written(folder)
    this = None if out is None else out.absolute()
    for job in jobs if again else ():
        if job != this and has_run(job):
            say(
                f"careful: {job} took this run back already, as far as it was run. What this one makes again "
                f"({again:,}) would be there twice; go on with that one: bulkops run {shlex.quote(str(job))}"
            )
    if this is not None and this not in jobs:
        with atomic_write(folder / WRITTEN) as file:
            file.writelines(orjson.dumps({"job": str(job)}) + b"\n" for job in [*jobs, this])


def _header(job: Path, account: str | None) -> bytes:
    said: dict[str, Json] = {
        "name": f"undo {job.stem}",
        "about": f"Takes back what {job.name} did, the last first; what it leaves stands in {LEFT} of its run folder.",
    }
    # A run without accounts has one of this name as well, which nobody has to have in a file.
    if account is not None and account != DEFAULT_ACCOUNT:
        said["account"] = account
    return orjson.dumps({"$job": said})


def _what(lines: Counter[str]) -> str:
    agents = ", ".join(words.format(f"{lines[op]:,}") for op, words in _DONE.items() if lines[op])
    others = [
        f"{op.removesuffix('.delete')}s: {count:,} to delete"
        for op, count in sorted(lines.items())
        if op not in _DONE
    ]
    return "; ".join([*([f"agents: {agents}"] if agents else []), *others])


def _holds_null(value: Json) -> bool:
    return value is None or (isinstance(value, dict) and any(map(_holds_null, value.values())))
