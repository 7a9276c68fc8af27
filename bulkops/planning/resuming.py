"""The plan of a job file that begins as the last run saw it: one pass that hashes, and looks at what is not done.

It is the same plan that reading every line would make; wherever that is in doubt, there is none, and every line is
read. A line is passed over when the checkpoint has an end for each of its operations and all of them are done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.checkpoint import KeyIndex, line_key, operation_key
from bulkops.errors import JobError
from bulkops.jobfile import Fingerprint, LineProblems, LineSet, parse_line, read_header, sifted
from bulkops.model import State
from bulkops.planning.environment import Watched
from bulkops.planning.groups import Groups
from bulkops.planning.known import Known, remembered
from bulkops.planning.plan import Plan
from bulkops.planning.references import group_of
from bulkops.planning.standing import Standing
from bulkops.planning.tallies import Tallies

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulkops.api.profile import Profile
    from bulkops.checkpoint import Reader, StateRow
    from bulkops.jobfile import Given, Header, JobFile, Line
    from bulkops.planning.known import Remembered
    from bulkops.planning.plan import Selection

_NOT_DONE = frozenset(State) - {State.DONE}


class _Doubt(Exception):
    """The file may not be what it was, or what was appended may have to do with what was there."""


def resumed_plan(
    job: JobFile,
    *,
    api: Profile,
    environ: Mapping[str, str],
    reader: Reader | None,
    selection: Selection,
    given: Given | None = None,
) -> Plan | None:
    """Return the plan that follows from what is remembered; None when every line has to be read."""
    if reader is None or selection.changed is not None:
        return None
    before = remembered(reader)
    if before is None or before.known.api != api.name or job.size < before.size or not reader.indexed():
        return None
    try:
        header = read_header(job, environ, given)
        if before.header != header.digest:
            return None
        resumption = _Resumption(job, api, environ, reader, selection, before, header)
        resumption.read()
    except (_Doubt, JobError, LineProblems):
        return None
    return resumption.plan


class _Resumption:
    """The pass: 8 bytes for each line that is not done, 16 for each operation of it that has ended."""

    def __init__(
        self,
        job: JobFile,
        api: Profile,
        environ: Mapping[str, str],
        reader: Reader,
        selection: Selection,
        before: Remembered,
        header: Header,
    ) -> None:
        self._job = job
        self._reader = reader
        self._before = before
        self._known = before.known
        self._environ = Watched(environ)
        self._header = header
        self._wanted = self._unended_lines()
        self.plan = Plan(
            job=job,
            header=self._header,
            selection=selection,
            standing=Standing(self._rows()),
            environ=environ,
            folder=job.folder,
            copies=dict(self._known.copies),
            accounts=dict(self._known.accounts),
            depth=self._known.depth,
        )
        self.plan.occurrences.freeze()
        self._many = dict(self._known.many)
        self._keys = KeyIndex()
        self._going_on = frozenset(self._known.going_on)
        self._tallies = Tallies(self.plan, api, reader)
        self._tallies.take(self._known.shapes)

    def read(self) -> None:
        """Hash the file, and count the lines that are not done; _Doubt when the plan does not follow."""
        found = Fingerprint()
        for line in self._lines(found, 0, 1, self._before.size):
            self._tallies.undo(line)
            self._tallies.add_left(line, self._key_of(line))
        if not self._before.is_of(found):
            raise _Doubt
        for line in self._appended(found):
            self._check_appended(line)
            self._tallies.add(line, self._key_of(line, appended=True))
        self._keys.freeze()
        # What is under way has to be on a line, and of no two lines may one be taken for the other.
        if self._tallies.under_way or self._keys.duplicates():
            raise _Doubt
        self._tallies.sum_up()
        self.plan.again.freeze()
        self.plan.groups = Groups(
            group_of(self.plan, line_id, index, goes_on=self.goes_on(line_id))
            for line_id, index in self.asked
        )
        self._remember(found)

    @property
    def asked(self) -> list[tuple[str, int | None]]:
        """What lines wait for; those that are appended wait for nothing."""
        return [(line_id, index) for line_id, index in self._known.waited_for]

    def goes_on(self, line_id: str) -> bool:
        """Tell whether what waits for a line goes on although that has failed."""
        return line_id in self._going_on

    def _unended_lines(self) -> LineSet:
        """Return the numbers of the lines that nothing has ended of, with those beyond what was read before."""
        wanted, expected = LineSet(), self._header.first
        for number in self._reader.lines():
            if not self._header.first <= number <= self._before.line_ends + 1:
                raise _Doubt
            for passed in range(expected, number):
                wanted.add(passed)
            expected = number + 1
        wanted.add_from(expected)
        return wanted

    def _rows(self) -> Iterator[StateRow]:
        """Yield what has ended on lines that have to be looked at, which are noted, and what lines wait for."""
        for row in self._reader.states(_NOT_DONE):
            self._wanted.add(row.line)
            yield row
        for number, count in self._known.many.items():
            if number in self._wanted or self._reader.count_on(number) < count:
                self._wanted.add(number)
                yield from self._reader.states_on(number)
        for line_id in sorted({line_id for line_id, _ in self._known.waited_for}):
            for index in range(self._known.copies.get(line_id, 1)):
                if found := self._reader.state_of(operation_key(line_key(line_id, b"", 0), index)):
                    yield found

    def _appended(self, found: Fingerprint) -> Iterator[Line]:
        """Yield the lines that come after those that were read before."""
        start, number = self._before.size, self._before.line_ends + 1
        if (
            start < self._job.size
            and not self._before.complete
            and next(self._job.blocks(start))[:1] != b"\n"
        ):
            # The last line goes on.
            raise _Doubt
        return self._lines(found, start, number, None)

    def _lines(self, found: Fingerprint, start: int, number: int, end: int | None) -> Iterator[Line]:
        """Yield the wanted lines of a part of the file, all of which goes into the fingerprint."""

        def blocks() -> Iterator[bytes]:
            for block in self._job.blocks(start, end):
                found.add(block)
                yield block

        for batch in sifted(self._job, self._wanted, start, number, blocks=blocks()):
            for raw in batch:
                yield parse_line(raw, self._header, self._environ, self.plan.folder)

    def _key_of(self, line: Line, *, appended: bool = False) -> bytes:
        """Return a line's identity; _Doubt when operations of it have ended that did not end on this line."""
        key = self.plan.key_of(line.id, line.raw)
        self._keys.add(key)
        for index in range(line.count):
            name = operation_key(key, index)
            if self.plan.standing.of(name) is not State.NOT_STARTED and not appended:
                continue
            if self._reader.state_of(name) is not None:
                raise _Doubt
        return key

    def _check_appended(self, line: Line) -> None:
        if line.needs or line.refs or self._environ.read:
            raise _Doubt
        if line.count > 1:
            self._many[line.number] = line.count
            if line.id is not None:
                self.plan.copies[line.id] = line.count
        for account in line.accounts:
            self.plan.accounts.setdefault(account, line.number)

    def _remember(self, found: Fingerprint) -> None:
        plan = self.plan
        plan.fingerprint = found
        plan.known = Known.of(plan, self._known.api, self._tallies, self._many, self)
