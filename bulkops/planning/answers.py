"""Which fields the results of lines have, by the documented answers, and which they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.checkpoint import KeyIndex, line_key, operation_key
from bulkops.errors import OperationFailed, Problem
from bulkops.jobfile import Collect, LineProblems, LineSet, Ref, nearest, parse_line, shown, sifted
from bulkops.jobfile.holes import Text, places_of
from bulkops.jobfile.marks import MARKS, TAG_MARK
from bulkops.jobfile.tables import TABLES
from bulkops.model import State
from bulkops.planning.rehearsal import result_of
from bulkops.planning.tallies import fields_given

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulkops.api.profile import Profile
    from bulkops.jobfile import JobFile, Line, RawLine
    from bulkops.operation import Operation
    from bulkops.planning.plan import Plan

    Wrong = tuple[int | None, str | None, str]

_UNHEARD_OF = "a field that no answer has"
MOST_FIELDS = 1000
"""So many different fields are looked into."""
MOST_TOLD = 20
"""So many places are told where one is asked for that may not be there."""


class Answer:
    """What is known of the results of lines that are alike."""

    def __init__(self, api: Profile, op: str, operations: list[Operation]) -> None:
        self.op = op
        self.lines = LineSet()
        """Those of the lines that can be referred to."""
        self.fields: frozenset[str] | None = None
        """The fields that the documented answers give them; None where that cannot be told."""
        self._api = api
        self._operations = operations
        try:
            if operations and not any(_UNHEARD_OF in result for result in self._results((_UNHEARD_OF,))):
                # It does less than others of its kind where this is all that is known, and may do as much.
                self._operations = [*operations, _example(op)]
            self.fields = frozenset().union(*self._results(())) if operations else None
        except OperationFailed:
            return

    def may_have(self, field: str) -> bool:
        """Tell whether results have a field where an answer has it, documented or not."""
        try:
            return any(field in result for result in self._results((field,)))
        except OperationFailed:
            return True

    def _results(self, more: tuple[str, ...]) -> Iterator[frozenset[str]]:
        for operation in self._operations:
            yield operation.may_tell
            for there in (False, True):
                yield result_of(self._api, operation, more, there=there)


class Answers:
    """The answers to the lines of a job, and what is asked of them: a bit for each line, 8 bytes for each reference."""

    def __init__(self, plan: Plan, api: Profile) -> None:
        self._plan = plan
        self._api = api
        self._by_shape: dict[tuple[str, ...], Answer] = {}
        self._alike: dict[tuple[str, frozenset[str] | None], Answer] = {}
        self._of_lines: dict[str, KeyIndex] = {}
        """By field, the lines of whose results it is asked."""
        self._of_tags: dict[str, set[str]] = {}
        """By field, the tags of whose lines it is collected."""

    def note(self, line: Line) -> None:
        """Hear of a line that can be referred to, or that refers to others."""
        if line.id is not None or line.tags:
            self._of(line).lines.add(line.number)
        for ref in line.refs:
            if isinstance(ref, Text):
                continue
            field = ref.path[0]
            if isinstance(ref, Collect):
                self._of_tags.setdefault(field, set()).add(ref.tag)
            elif field in self._of_lines:
                self._of_lines[field].add(line_key(ref.id, b"", 0))
            elif len(self._of_lines) < MOST_FIELDS:
                index = self._of_lines[field] = KeyIndex()
                index.add(line_key(ref.id, b"", 0))

    def check(self) -> Iterator[Wrong]:
        """Yield what is asked for and cannot be there; what only may not be there is noted in the plan."""
        for index in self._of_lines.values():
            index.freeze()
        found: dict[tuple[str, str], Answer] = {}
        for answer in self._alike.values():
            fields = answer.fields
            if fields is not None and (lacking := {*self._of_lines, *self._of_tags} - fields):
                self._find(answer, lacking, found)
        for line in self._referring() if found else ():
            for place, ref in places_of(line.fields):
                wanting = None if isinstance(ref, Text) else found.get((_source(ref), ref.path[0]))
                if wanting is None or isinstance(ref, Text):
                    continue
                if not wanting.may_have(ref.path[0]):
                    yield line.number, place, _words(ref, wanting, "never tells it")
                elif len(self._plan.undocumented) < MOST_TOLD:
                    what = _words(ref, wanting, "is not documented to answer it")
                    self._plan.undocumented.append(self._plan.job.problem(line.number, place, what))

    def _of(self, line: Line) -> Answer:
        """Return what is known of the results of a line."""
        shape = fields_given(line)
        answer = self._by_shape.get(shape)
        if answer is None:
            new = Answer(self._api, line.op, _operations(line))
            answer = self._by_shape[shape] = self._alike.setdefault((line.op, new.fields), new)
        return answer

    def _find(self, answer: Answer, lacking: set[str], found: dict[tuple[str, str], Answer]) -> None:
        """Find the lines with an answer that are asked for what it does not have; those that are done have theirs."""
        plan = self._plan
        for batch in sifted(plan.job, answer.lines, plan.header.start, plan.header.first):
            for raw in batch:
                if (line := self._parsed(raw)) is None:
                    continue
                key = line_key(line.id, line.raw, 0)
                if plan.standing.of(operation_key(key, 0)) is State.DONE:
                    continue
                for field in lacking:
                    if line.id is not None and field in self._of_lines and key in self._of_lines[field]:
                        found[line.id, field] = answer
                    for tag in self._of_tags.get(field, set()).intersection(line.tags):
                        found[TAG_MARK + tag, field] = answer

    def _referring(self) -> Iterator[Line]:
        """Yield the good lines that refer to others."""
        for batch in self._plan.raw_batches():
            for raw in batch:
                line = self._parsed(raw)
                if line is not None and line.refs:
                    yield line

    def _parsed(self, raw: RawLine) -> Line | None:
        plan = self._plan
        try:
            return parse_line(raw, plan.header, plan.environ, plan.folder, look_for_files=False)
        except LineProblems:
            return None


def unread_rows(job: JobFile, api: Profile) -> Iterator[Problem]:
    """Yield what `${row:…}` asks of listings that are not read yet, and that their documented rows do not have."""
    listings = api.listings()
    for unread in job.unread:
        if (listing := listings.get(unread.listing.op)) is None:
            continue
        documented = listing.endpoint.told[listing.rows][0]
        for field, name in unread.asked:
            if name not in documented:
                hint = nearest(name, documented)
                meant = f" ({hint})" if hint.startswith("did") else ""
                asked = shown(f"${{row:{name}}}")
                what = f"asks for `{asked}`, which the documented rows of {unread.listing} do not have"
                yield Problem(
                    job.name, unread.line, field, f"{what}{meant}; they have: {', '.join(documented)}"
                )


def _operations(line: Line) -> list[Operation]:
    """Return a line's operation; none where it takes its references to see it."""
    try:
        return [line.operation(lambda _ref: "id", 1)]
    except OperationFailed:
        return []


def _example(op: str) -> Operation:
    """Return the operation that is the example of its kind."""
    table = TABLES[op]
    return table.build(**{key: value for key, value in table.kind.example.items() if key not in MARKS})


def _source(ref: Ref | Collect) -> str:
    return ref.id if isinstance(ref, Ref) else TAG_MARK + ref.tag


def _words(ref: Ref | Collect, answer: Answer, why: str) -> str:
    field, fields = shown(ref.path[0]), answer.fields or frozenset()
    whose = (
        f"line {shown(ref.source)}" if isinstance(ref, Ref) else f"the lines with the tag {shown(ref.tag)!r}"
    )
    hint = nearest(ref.path[0], fields)
    meant = f" ({hint})" if hint.startswith("did") else ""
    return f"asks for `{field}` of {whose}, and {answer.op} {why}{meant}; it has: {', '.join(sorted(fields))}"
