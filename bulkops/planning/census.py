"""One pass over a job file: every line checked, counted and compared with what the checkpoint remembers."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from bulkops.checkpoint import KeyIndex, digest, line_key, prefix, spelled
from bulkops.errors import JobError, Problem
from bulkops.jobfile import (
    LineProblems,
    parse_line,
    read_header,
    wrong_file,
)
from bulkops.jobfile.problems import LineError
from bulkops.model import State
from bulkops.planning.answers import unread_rows
from bulkops.planning.environment import Watched
from bulkops.planning.known import Known
from bulkops.planning.plan import Load, Plan, Selection
from bulkops.planning.references import References, id_of
from bulkops.planning.resuming import resumed_plan
from bulkops.planning.standing import Standing
from bulkops.planning.tallies import Tallies

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulkops.api.profile import Profile
    from bulkops.checkpoint import OperationRow, Reader
    from bulkops.jobfile import Given, Header, JobFile, Line, RawLine

NOT_TO_BE_LOST = (State.DONE, State.IN_DOUBT)
_WAS = {State.DONE: "done", State.IN_DOUBT: "held in doubt"}
GONE_KNOWN = "gone_known"
"""The word of the checkpoint that says which operations the user knows to be gone from the file."""
MOST_GONE_SHOWN = 20
MOST_PROBLEMS_KEPT = 100_000
MOST_ROWS_TOLD = 5
"""So many rows of a source are told of which the same is wrong."""


def make_plan(
    job: JobFile,
    *,
    api: Profile,
    environ: Mapping[str, str],
    reader: Reader | None = None,
    selection: Selection | None = None,
    base: JobFile | None = None,
    given: Given | None = None,
) -> Plan:
    """Read a whole job file and say what a run of it would do; nothing is sent and nothing is written.

    `given` is what the user gives beside the file. `base` is there for a `failed.jsonl`: the job that it is a part
    of, whose header and ids hold for it too.
    Raises JobError with every problem found, and UsageError for what is given and cannot be.
    """
    selection = selection or Selection()
    if base is None:
        resumed = resumed_plan(job, api=api, environ=environ, reader=reader, selection=selection, given=given)
        if resumed is not None:
            return resumed
    census = _Census(job, api, environ, reader, selection, base, given)
    census.read()
    census.check_ids()
    census.check_references()
    if census.problems:
        raise JobError(census.problems)
    census.check_emptiness()
    census.check_gone()
    census.remember()
    return census.plan


class _Census:
    """The pass and what it remembers: 8 bytes per line, and what waits for what."""

    def __init__(
        self,
        job: JobFile,
        api: Profile,
        environ: Mapping[str, str],
        reader: Reader | None,
        selection: Selection,
        base: JobFile | None,
        given: Given | None,
    ) -> None:
        self._api = api
        self._reader = reader
        self._base = base
        self._accounts = given.accounts if given is not None else None
        self._ids = KeyIndex()
        self._ids_of_bad = KeyIndex()
        self._made_ids = KeyIndex()
        self._nameless = False
        self._many: dict[int, int] = {}
        self.problems: list[Problem] = []
        self._in_rows: dict[tuple[int, tuple[str | None, str]], int] = {}
        source = base or job
        self.plan = Plan(
            job=job,
            header=read_header(source, environ, given, problems=self.problems),
            selection=selection,
            standing=Standing(reader.states() if reader is not None else ()),
            environ=environ,
            folder=source.folder,
        )
        if base is not None:
            self.plan.header = _from_the_top(self.plan.header)
        self._references = References(self.plan, api, base, given)
        self._environ = Watched(environ)
        self._tallies = Tallies(self.plan, api, reader)

    def read(self) -> None:
        """Check and count every line."""
        occurrences = self.plan.occurrences
        for line in self._lines(first=True):
            key = line_key(line.id, line.raw, 0)
            if line.id is None:
                occurrences.add(key)
                self._nameless = True
            else:
                self._ids.add(key)
                if line.id.startswith("~"):
                    self._made_ids.add(key)
                if line.count > 1:
                    self.plan.copies[line.id] = line.count
            self._references.note(line, key)
            for trap in self._api.traps(line.op, line.fields):
                first, count = self.plan.traps.get(trap, (line.number, 0))
                self.plan.traps[trap] = (first, count + 1)
            for account in line.accounts:
                self.plan.accounts.setdefault(account, line.number)
            if line.count > 1:
                self._many[line.number] = line.count
            self._tallies.add(line, key)
        occurrences.freeze()
        self._ids.freeze()
        self._made_ids.freeze()
        self._ids_of_bad.freeze()
        if occurrences.repeated and self._reader is not None and not self.problems:
            self._count_again()
        self._tallies.sum_up()
        self._count_listings()
        self.plan.again.freeze()

    def _count_listings(self) -> None:
        """Count what is read for rows that are not known yet: of each listing one page at least."""
        plan = self.plan
        for listing in {unread.listing for unread in plan.job.unread}:
            plan.requests += 1
            plan.requests_by_endpoint[listing.op] += 1
            account = plan.header.account_of(listing.account)
            plan.course.add_reading(account, 1)
            if account is not None:
                plan.loads.setdefault(account, Load()).requests += 1

    def check_ids(self) -> None:
        """Find ids that stand on more than one line, and lines beside their twins with the id made of them."""
        if self._nameless and len(self._made_ids):
            self._check_made_ids()
        double = frozenset(self._ids.duplicates())
        if not double:
            return
        first: dict[int, tuple[str, int]] = {}
        for line in self._lines():
            if line.id is None or (mark := prefix(line_key(line.id, line.raw, 0))) not in double:
                continue
            known = first.setdefault(mark, (line.id, line.number))
            if known[1] != line.number:
                same = "is" if known[0] == line.id else f"is taken for {known[0]!r}, which is"
                self._problem(
                    line.number,
                    "id",
                    f"{line.id!r} {same} on {self.plan.job.place(known[1])} already; give it another one",
                )

    def _check_made_ids(self) -> None:
        for line in self._lines():
            key = self.plan.key_of(line.id, line.raw)
            if line.id is None and key in self._made_ids:
                what = f"stands there again, with the id {spelled(key)!r} that was made of it; keep one of the two"
                self._problem(line.number, None, what)
        self.plan.occurrences.restart()

    def check_references(self) -> None:
        """Find references to what is not there, to the wrong number, and in circles."""
        for wrong in self._references.check(self._ids, self._ids_of_bad):
            self._problem(*wrong)
        if self._accounts is not None:
            self.problems += self.plan.wrong_accounts(self._accounts)
        self.problems += [
            Problem(self.plan.job.name, unread.line, f"$each.{field}", message)
            for unread in self.plan.job.unread
            for field, message in self._api.cannot_list(unread.listing.op, dict(unread.listing.query))
        ]
        self.plan.undocumented += unread_rows(self.plan.job, self._api)

    def check_emptiness(self) -> None:
        """Refuse a file without lines, unless it says that nothing failed."""
        if self.plan.lines == 0 and self._base is None and not self.plan.job.may_be_empty:
            job = self.plan.job
            if job.sources:
                message = f"the job has no rows: there are none of {', '.join(job.sources)}"
            else:
                what = "has a header and no lines" if self.plan.header.first > 1 else "is empty"
                example = '{"op": "agent.get", "agent_id": "agent_abc123"}'
                message = f"the job {what}; write lines such as {example}"
            raise JobError([Problem(job.name, None, None, message)])

    def check_gone(self) -> None:
        """Refuse a file in which operations are missing that are done, in doubt or under way.

        Unless the user says what to do then, or has said so before of the very same operations.
        """
        plan = self.plan
        if self._base is not None or self._reader is None:
            return
        lost = sum(plan.standing.count(state) - plan.count(state) for state in NOT_TO_BE_LOST)
        if not lost and not self._tallies.under_way:
            return
        rows = self._gone_rows()
        names = sorted([*(row.key for row in rows), *self._tallies.under_way])
        plan.gone = blake2b(b"".join(names), digest_size=16).hexdigest()
        if plan.selection.changed is not None or plan.gone == self._reader.meta(GONE_KNOWN):
            return
        said = [
            *(
                f"line {row.line} ({row.id or row.kind}) was {_WAS[row.state]} and is not there any more"
                for row in rows
            ),
            *(f"{what} was begun for a line that is not there" for what in self._tallies.under_way.values()),
        ]
        if len(said) > MOST_GONE_SHOWN:
            said[MOST_GONE_SHOWN:] = [f"… and {len(said) - MOST_GONE_SHOWN:,} more"]
        said.append(
            "such lines have been edited or removed; put them back, or give --changed keep (go on without them; "
            "an edited line without an id is a new one) or --changed rerun (also do edited lines with an id again)"
        )
        raise JobError([Problem(plan.job.name, None, None, message) for message in said])

    def remember(self) -> None:
        """Note for the next run what need not be found out again, where that can be told by the lines' numbers."""
        plan, reader = self.plan, self._reader
        if (
            self._base is not None
            or plan.gone
            or plan.edited
            or plan.occurrences.repeated
            or self._environ.read
        ):
            return
        if plan.standing.places != self._tallies.places:
            # Lines have been moved since they ended.
            return
        if reader is not None and any(step.number < 0 for step in reader.open_steps()):
            # What was taken up again keeps the number of the line that it ended on first.
            return
        plan.known = Known.of(plan, self._api.name, self._tallies, self._many, self._references)

    def _gone_rows(self) -> list[OperationRow]:
        """Return what has ended and is not in the file."""
        plan, present = self.plan, KeyIndex()
        plan.occurrences.restart()
        for line in self._lines():
            for planned in plan.planned(line, plan.key_of(line.id, line.raw)):
                present.add(planned.key)
        present.freeze()
        plan.occurrences.restart()
        rows = self._reader.rows(NOT_TO_BE_LOST) if self._reader is not None else ()
        return [row for row in rows if row.key not in present]

    def _lines(self, *, first: bool = False) -> Iterator[Line]:
        """Yield the good lines; the first pass notes what is wrong with the others."""
        plan = self.plan
        try:
            for batch in plan.raw_batches():
                for raw in batch:
                    try:
                        yield self._parsed(raw)
                    except LineProblems as found:
                        if first:
                            self._note_problems(raw, found)
        except JobError as unreadable:
            # What comes after a line that is too long cannot be read; what was found before is told as well.
            if first:
                self.problems += unreadable.problems

    def _parsed(self, raw: RawLine) -> Line:
        """Return a good line that the API can be told; LineProblems for any other."""
        line = self._read_line(raw)
        wrong = [LineError(*each) for each in self._api.refuses(line.op, line.fields)]
        if line.kind.lists and (asked := line.fields.get("query")):
            wrong += [LineError(*each) for each in self._api.cannot_list(line.op, asked)]
        if wrong:
            raise LineProblems(wrong)
        return line

    def _read_line(self, raw: RawLine) -> Line:
        """Return a good line; one that is done needs its files no more."""
        plan = self.plan
        try:
            return parse_line(raw, plan.header, self._environ, plan.folder)
        except LineProblems:
            if plan.standing.empty:
                raise
            line = parse_line(raw, plan.header, self._environ, plan.folder, look_for_files=False)
            key, same = line_key(line.id, line.raw, 0), digest(line.raw)
            for planned in plan.planned(line, key):
                done = plan.standing.of(planned.key) is State.DONE
                if not done or not plan.standing.unchanged(planned.key, same):
                    raise
            return line

    def _check_files(self, line: Line) -> None:
        """Look for the files of a line whose equal is done, so that they were not missed before."""
        for name in self._tallies.of(line).files:
            if wrong := wrong_file(line.fields[name]):
                self._problem(line.number, name, wrong)

    def _note_problems(self, raw: RawLine, found: LineProblems) -> None:
        each = self.plan.job.template_of(raw.number)
        for wrong in found.found if len(self.problems) < MOST_PROBLEMS_KEPT else ():
            if each is not None:
                # What is wrong with a template is so in every row.
                seen = self._in_rows[each, wrong] = self._in_rows.get((each, wrong), 0) + 1
                if seen > MOST_ROWS_TOLD:
                    continue
                if seen == MOST_ROWS_TOLD:
                    wrong = (wrong[0], f"{wrong[1]}; other rows may have the same")  # noqa: PLW2901 - what is told of it
            self._problem(raw.number, *wrong)
        self._references.note_bad(raw)
        line_id = id_of(raw)
        if line_id is not None:
            # Lines that wait for it are not wrong as well.
            self._ids_of_bad.add(line_key(line_id, b"", 0))

    def _count_again(self) -> None:
        """Count once more, now that lines which stand there several times can be told apart."""
        plan = self.plan
        plan.start_over()
        self._tallies = Tallies(plan, self._api, self._reader)
        for line in self._lines():
            if self._tallies.add(line, plan.key_of(line.id, line.raw)):
                self._check_files(line)
        plan.occurrences.restart()

    def _problem(self, number: int | None, field: str | None, message: str) -> None:
        self.problems.append(self.plan.job.problem(number, field, message))


def _from_the_top(header: Header) -> Header:
    """Return the header of a base job for a file that has none of its own."""
    return replace(header, start=0, first=1)
