"""The rows of listings that a job's `$each` name: read by a small job of its own, and kept for the run they serve."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import orjson

from bulkops.checkpoint.folder import make_private_folder
from bulkops.errors import JobError, Problem
from bulkops.jobfile import LISTED, Header, JobFile, listings_of, listings_on, read_header
from bulkops.model import value
from bulkops.outputs.atomic import atomic_write
from bulkops.reporting.progress import Progress
from bulkops.settings import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bulkops.api.profile import Profile
    from bulkops.jobfile import Given, Listing
    from bulkops.model import Json

_LINE: Final = "rows"


@value
class Reading:
    """The reading of one listing: the small job that does it, and where its rows are kept afterwards."""

    listing: Listing
    job: Path
    folder: RunFolder
    kept: Path

    def prepare(self, header: Header) -> None:
        """Write the job. What a run that was ended early has read is of another moment, and is dropped."""
        make_private_folder(self.job.parent)
        shutil.rmtree(self.folder.path, ignore_errors=True)
        said = {"name": self.listing.op, "account": header.account, "accounts": header.accounts}
        line: dict[str, Json] = {"op": self.listing.op, "id": _LINE, "account": self.listing.account}
        if self.listing.query:
            # It is asked for as it stands.
            line["query"] = {name: text.replace("${", "$${") for name, text in self.listing.query}
        lines = {"$job": said}, line
        with atomic_write(self.job) as file:
            file.writelines(orjson.dumps(line) + b"\n" for line in lines)

    def take(self, api: Profile) -> None:
        """Keep the rows that were read, behind those that are kept already; each thing once, as it was first seen."""
        id_field = api.listings()[self.listing.op].id_field
        known: set[str] = set()
        with atomic_write(self.kept) as file:
            for path in (self.kept, self.folder.path / "lists" / f"{_LINE}.jsonl"):
                for row in _rows(path):
                    entity = orjson.loads(row)[id_field]
                    if entity not in known:
                        known.add(entity)
                        file.write(row)
        shutil.rmtree(self.folder.path, ignore_errors=True)
        self.job.unlink()


class Notes(Progress):
    """Says what is worth a line, and draws nothing: the progress of the small job."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def note(self, text: str) -> None:
        """Say it."""
        self._progress.note(text)


def readings(
    job: Path, folder: Path, api: Profile, environ: Mapping[str, str], given: Given, *, again: bool
) -> Iterator[Reading]:
    """Yield, prepared, the readings that a job needs: of what is not kept yet, or with `again` of all.

    JobError before the first one for what the API cannot be asked to list.
    """
    with JobFile.open(job) as file:
        wrong = [
            Problem(file.name, number, f"$each.{field}", message)
            for number, listing in listings_on(file)
            for field, message in api.cannot_list(listing.op, dict(listing.query))
        ]
        if wrong:
            raise JobError(wrong)
        wanted = listings_of(file)
        header = read_header(file, environ, given) if wanted else Header()
    for listing in wanted:
        kept = listing.file(folder / LISTED)
        reading = Reading(listing, kept.with_suffix(".job.jsonl"), RunFolder(kept.with_suffix(".run")), kept)
        if again or not reading.kept.exists():
            reading.prepare(header)
            yield reading


def _rows(path: Path) -> Iterator[bytes]:
    if path.exists():
        with path.open("rb") as file:
            yield from file
