"""The job with each `$each` written out: a line for every row, as plain as if it had been written by hand.

From there on nobody has to know of `$each`: lines have their identity, their place and their errors like any others.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final

from bulkops.errors import CheckpointError, JobError, Problem, UsageError
from bulkops.jobfile.each import EACH, RowTemplate
from bulkops.jobfile.problems import LineError, LineProblems, closest
from bulkops.jobfile.reading import JobFile, Origins, Unread
from bulkops.jobfile.sources import MOST_PROBLEMS, listing_of, opened
from bulkops.jobfile.strict import parse_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from bulkops.jobfile.reading import RawLine
    from bulkops.jobfile.sources import Listing
    from bulkops.model import Json

WRITTEN_OUT: Final = "lines.jsonl"
"""The name, in the run folder, of the job with each `$each` written out."""
LISTED: Final = "listed"
"""The name of the folder, in the run folder, with the rows of listings."""
_MARK: Final = b'"$each"'


@contextmanager
def open_job(
    path: str | os.PathLike[str], folder: Path | None = None, *, listed: Path | None = None
) -> Iterator[JobFile]:
    """Open a job file. Where it has an `$each`, what is opened is the job with the rows written out.

    That is kept in `folder` as `lines.jsonl`, or without a folder in a file that nobody sees. The rows of listings are
    read from the folder `listed`; where they are not there yet, there are none, and the file's `unread` says so.
    JobError says what is wrong with an `$each` or with what it names, CheckpointError that the rows cannot be written
    out, UsageError that the job itself lies where they are written.
    """
    target = None if folder is None else folder / WRITTEN_OUT
    with ExitStack() as held:
        job = held.enter_context(JobFile.open(path))
        if target is not None and _is_same(job.path, target):
            raise UsageError(f"{job.name} lies where its run writes `{WRITTEN_OUT}`; name another --run-dir")
        if not _holds_each(job):
            with _disk_errors(target):
                if target is not None and target.exists():
                    target.unlink()
            yield job
            return
        with _disk_errors(target):
            out = held.enter_context(_file(target))
            origins = _Expansion(job, out, target, listed).write()
            out.flush()
            if target is not None:
                _aside(target).replace(target)
        yield held.enter_context(JobFile(job.path, os.dup(out.fileno()), origins))


def listings_of(job: JobFile) -> list[Listing]:
    """Return the listings, each once, whose rows the `$each` of a job file name; those that are wrong are left out."""
    return list(dict.fromkeys(listing for _, listing in listings_on(job)))


def listings_on(job: JobFile) -> Iterator[tuple[int, Listing]]:
    """Yield the same each time that it is named, with the number of the line."""
    for raw in job.lines() if _holds_each(job) else ():
        written = _each_of(raw)
        try:
            listing = None if written is None else listing_of(written[EACH])
        except LineError:
            continue
        if listing is not None:
            yield raw.number, listing


def _holds_each(job: JobFile) -> bool:
    """Tell whether there may be an `$each` in it."""
    tail = b""
    for block in job.blocks():
        # A single byte is found many times as fast, and most jobs have none of these.
        dollar = block.find(b"$") >= 0 or tail.find(b"$") >= 0
        if dollar and (tail + block).find(_MARK) >= 0:
            return True
        tail = block[1 - len(_MARK) :]
    return False


def _is_same(path: Path, other: Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def _aside(target: Path) -> Path:
    return target.with_name(f"{target.name}.new")


@contextmanager
def _file(target: Path | None) -> Iterator[BinaryIO]:
    """Open a file to write and to read; it has its name once all is written."""
    if target is None:
        with TemporaryFile() as nameless:
            yield nameless
        return
    aside = _aside(target)
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w+b") as file:
        yield file


@contextmanager
def _disk_errors(target: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = target or "a temporary file"
        raise CheckpointError(
            f"The lines of the job cannot be written to {where}: {error.strerror}. Nothing was sent."
        ) from None


class _Expansion:
    def __init__(self, job: JobFile, out: BinaryIO, target: Path | None, listed: Path | None) -> None:
        self._job = job
        self._listed = listed
        self._out = out
        self._target = target
        self._number = 1
        """Of the line that is written next."""
        self._follows = 0
        """The line of the job that would go on where the last one came from."""
        self._origins = Origins()
        self._problems: list[Problem] = []

    def write(self) -> Origins:
        """Write all lines; return where they come from. JobError with everything that is wrong with an `$each`."""
        for raw in self._job.lines():
            written = _each_of(raw)
            if written is None:
                if raw.number != self._follows:
                    self._origins.add(self._number, raw.number)
                self._put(raw.raw)
                self._follows = raw.number + 1
            else:
                self._each(raw.number, written)
                self._follows = 0
        if self._problems:
            raise JobError(self._problems)
        return self._origins

    def _put(self, raw: bytes) -> None:
        self._out.write(raw)
        self._out.write(b"\n")
        self._number += 1

    def _each(self, number: int, written: dict[str, Json]) -> None:
        """Write the rows of one `$each`, or note what is wrong with it."""
        try:
            _check(written)
            self._check_place(written[EACH])
            listing = listing_of(written[EACH])
            self._origins.listings |= listing is not None
            with opened(written[EACH], self._job.folder, self._listed) as source:
                if source is None:
                    assert listing is not None, "a file has its rows at once"
                    template = RowTemplate(written.get("line"), None, listed=True)
                    self._origins.unread.append(Unread(number, listing, tuple(template.asked)))
                    self._origins.rowless = True
                    return
                template = RowTemplate(written.get("line"), source.columns, listed=listing is not None)
                self._origins.add(self._number, number, source.name)
                wrong, rows, place = 0, blake2b(digest_size=16), 0
                for place, row in enumerate(source.rows, 1):
                    try:
                        raw = template.fill(row)
                    except LineError as error:
                        wrong += 1
                        if wrong <= MOST_PROBLEMS:
                            message = f"{error.message} (row {place} of {source.name})"
                            self._problems.append(Problem(self._job.name, number, error.field, message))
                    else:
                        self._put(raw)
                        rows.update(raw)
                self._origins.mark(rows.digest())
                self._origins.rowless |= not place
        except LineError as error:
            self._problems.append(Problem(self._job.name, number, error.field, error.message))
        except LineProblems as found:
            self._problems += found.in_file(self._job.name, number)
        except JobError as unreadable:
            self._problems += unreadable.problems

    def _check_place(self, said: Json) -> None:
        """Refuse a source that would be written over by what is made of it."""
        for kind in ("csv", "jsonl"):
            named = said.get(kind) if isinstance(said, dict) else None
            if isinstance(named, str) and self._target and _is_same(self._job.folder / named, self._target):
                what = f"names the file into which the run writes its lines, `{WRITTEN_OUT}`"
                raise LineError(f"{EACH}.{kind}", f"{what}; copy it to another place first")


def _each_of(raw: RawLine) -> dict[str, Json] | None:
    """Return a line that is an `$each`; what cannot be read is told of where lines are parsed."""
    if raw.raw.find(_MARK) < 0:
        return None
    try:
        written = parse_object(raw.raw)
    except LineError:
        return None
    return written if EACH in written else None


def _check(written: dict[str, Json]) -> None:
    others = sorted(written.keys() - {EACH, "line"})
    meant = closest(others, () if "line" in written else ("line",))
    if others:
        remedies = {
            key: f"did you mean `{meant[key]}`?" if key in meant else "move it into its `line`"
            for key in others
        }
        raise LineProblems(
            [LineError(key, f"cannot stand beside `{EACH}`; {remedy}") for key, remedy in remedies.items()]
        )
