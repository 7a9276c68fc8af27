"""What the lines of a job wait for: noted line by line, checked once all lines are known."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

from bulkops.checkpoint import KeyIndex, Occurrences, line_key, operation_key
from bulkops.jobfile import (
    TAG_MARK,
    Collect,
    LineError,
    LineProblems,
    LineSet,
    Ref,
    closest,
    depth,
    find_cycle,
    nearest,
    parse_line,
    parse_object,
    read_header,
    shown,
    sifted,
)
from bulkops.jobfile.marks import read_need
from bulkops.jobfile.merging import under
from bulkops.jobfile.templates import beneath, kind_of, used_by
from bulkops.model import State
from bulkops.operations import KINDS
from bulkops.planning.answers import Answers
from bulkops.planning.groups import BLOCKING, Group, Groups, name_of
from bulkops.planning.plan import named

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from bulkops.api.profile import Profile
    from bulkops.jobfile import Given, Header, JobFile, Line, RawLine
    from bulkops.model import Json
    from bulkops.planning.plan import Plan

    Wrong = tuple[int | None, str | None, str]

MOST_TAGS_NAMED = 1000
MOST_COMPARED = 20_000
MOST_MEANT = 20
"""So many ids of lines are compared with so many that are not there: some seconds at most."""
MOST_SHOWN = 10
"""So many lines show the way of a circle."""


class References:
    """Which lines wait for what: some 500 bytes for each that does, let go when the plan is made."""

    def __init__(self, plan: Plan, api: Profile, base: JobFile | None, given: Given | None) -> None:
        self._plan = plan
        self._base = base
        self._given = given
        self._asked: dict[str, int] = {}
        """What is waited for, as `needs` says it, with a line that does: below nought where it wants one operation."""
        self._collected: set[str] = set()
        self._answers = Answers(plan, api)
        self._edges: dict[str, Collection[str]] = {}
        self._edges_of_tags: dict[str, list[str]] = {}
        self._tagged = LineSet()
        self._going_on = KeyIndex()
        self._tags_of_bad: set[str] = set()

    @property
    def asked(self) -> Iterator[tuple[str, int | None]]:
        """What lines wait for: ids, with a number where one operation is meant, and tags."""
        return (need for need in map(read_need, self._asked) if need is not None)

    def note_bad(self, raw: RawLine) -> None:
        """Hear of a line that is wrong: what waits for its tags is not wrong as well."""
        tags = _parsed(raw).get("tags")
        self._tags_of_bad.update(
            tag for tag in (tags if isinstance(tags, list) else ()) if isinstance(tag, str)
        )

    def note(self, line: Line, key: bytes) -> None:
        """Hear of a line with this identity (that of the first of its equals)."""
        if line.tags:
            self._tagged.add(line.number)
        self._answers.note(line)
        if line.on_error == "continue" and line.id is not None:
            self._going_on.add(key)
        if not line.needs and not line.refs:
            return
        # Lines without an id are waited for by their tags.
        node = line.id or f"~{line.number}"
        sources = line.sources()
        for source, index in sources:
            need = source if index is None else f"{source}[{index}]"
            whole = all(ref.source != source for ref in line.refs if isinstance(ref, Ref))
            if need not in self._asked or (self._asked[need] > 0 and not whole):
                self._asked[need] = line.number if whole else -line.number
        if line.id is not None or line.tags:
            self._edges[node] = tuple(source for source, _ in sources)
        for tag in line.tags:
            self._edges_of_tags.setdefault(TAG_MARK + tag, []).append(node)
        for ref in line.refs:
            if isinstance(ref, Collect):
                self._collected.add(ref.tag)

    def check(self, ids: KeyIndex, ids_of_bad: KeyIndex) -> Iterator[Wrong]:
        """Yield, as line, field and message, what refers to nothing, to the wrong number, and in circles.

        Then the plan has its groups.
        """
        elsewhere = self._ids_of_base(ids)
        self._going_on.freeze()
        unknown: list[tuple[int, str]] = []
        for (source, index), at in zip(self.asked, self._asked.values(), strict=True):
            number, needs_all = abs(at), at > 0
            if source.startswith(TAG_MARK):
                continue
            key = line_key(source, b"", 0)
            if key in ids_of_bad:
                continue
            if key not in ids and key not in elsewhere:
                unknown.append((number, source))
                continue
            count = self._plan.copies.get(source, 1)
            if index is not None and index > count:
                yield number, None, f"refers to {source}[{index}], and that line has {count} operations"
            if index is None and count > 1 and not needs_all:
                what = f"refers to {source!r}, which has {count} operations"
                yield number, None, f"{what}; say which: {source}[1]"
        self._edges.update(self._edges_of_tags)
        yield from self._unknown(unknown)
        if (cycle := find_cycle(self._edges)) is not None:
            yield self._circle(cycle)
        else:
            self._plan.depth = depth(self._edges, {source for source, _ in self.asked})
        yield from self._find_groups()
        yield from self._answers.check()

    def goes_on(self, line_id: str) -> bool:
        """Tell whether what waits for a line goes on although that has failed."""
        return line_key(line_id, b"", 0) in self._going_on

    def _unknown(self, asked: Sequence[tuple[int, str]]) -> Iterator[Wrong]:
        """Yield what is to be said of ids that no line has, with the id that was probably meant."""
        lines = chain.from_iterable(self._plan.raw_batches()) if asked else ()
        ids = (line_id for raw in lines if (line_id := id_of(raw)) is not None)
        close = closest({source for _, source in asked[:MOST_MEANT]}, islice(ids, MOST_COMPARED))
        for number, source in asked:
            hint = f"did you mean `{shown(close[source])}`?" if source in close else "give one line the id"
            yield number, None, f"waits for {source!r}, and no line has that id; {hint}"

    def _circle(self, cycle: list[str]) -> Wrong:
        names = [self._plan.job.place(int(node[1:])) if _is_nameless(node) else node for node in cycle]
        path = " → ".join(names[:MOST_SHOWN]) + (" → …" if len(names) > MOST_SHOWN else "")
        what = f"waits for itself in a circle of lines: {path}; take one `needs` or reference out"
        first = next(node for node in cycle if not node.startswith(TAG_MARK))
        if _is_nameless(first):
            return int(first[1:]), None, what
        lines = chain.from_iterable(self._plan.raw_batches())
        return next((raw.number for raw in lines if id_of(raw) == first), None), None, what

    def _find_groups(self) -> Iterator[Wrong]:
        plan = self._plan
        of_tags = {source[1:]: _Members(plan) for source, _ in self.asked if source.startswith(TAG_MARK)}
        for tag in self._collected:
            of_tags[tag].keys = plan.collected[tag] = bytearray()
        seen: set[str] = set()
        if of_tags:
            self._find_members(of_tags, seen)
        seen.update(tag for tag, members in of_tags.items() if members.met)
        for tag, members in of_tags.items():
            if not members.met and tag not in self._tags_of_bad and not plan.job.rowless:
                hint = nearest(tag, seen) if seen else "give lines the tag"
                what = f"waits for all lines with the tag {tag!r}, and there are none; {hint}"
                yield abs(self._asked[TAG_MARK + tag]), None, what
        lines = (
            group_of(plan, source, index, goes_on=self.goes_on(source))
            for source, index in self.asked
            if not source.startswith(TAG_MARK)
        )
        plan.groups = Groups(chain(lines, (members.group(tag) for tag, members in of_tags.items())))

    def _find_members(self, of_tags: Mapping[str, _Members], seen: set[str]) -> None:
        """Find the operations with tags that are waited for, in the order of the lines of the whole job."""
        for line, key in self._tagged_lines() if self._base is None else self._tagged_of_both(self._base):
            for tag in dict.fromkeys(line.tags):
                if tag in of_tags:
                    of_tags[tag].add(line, key)
                elif len(seen) < MOST_TAGS_NAMED:
                    seen.add(tag)

    def _tagged_lines(self) -> Iterator[tuple[Line, bytes]]:
        plan = self._plan
        for batch in sifted(plan.job, self._tagged, plan.header.start, plan.header.first):
            for raw in batch:
                line = plan.parse(raw)
                yield line, plan.key_of(line.id, line.raw)
        plan.occurrences.restart()

    def _tagged_of_both(self, base: JobFile) -> Iterator[tuple[Line, bytes]]:
        """Yield the lines with tags of the base job, each as it reads in the part of it that is run."""
        plan = self._plan
        own = {key: (line.offset, line.number) for line, key in self._tagged_lines()}
        for line, key in self._tagged_of_base(base):
            yield (plan.parse(plan.job.line_at(*own.pop(key))) if key in own else line), key
        for key, place in own.items():
            yield plan.parse(plan.job.line_at(*place)), key

    def _tagged_of_base(self, base: JobFile) -> Iterator[tuple[Line, bytes]]:
        header = read_header(base, self._plan.environ, self._given)
        occurrences = Occurrences()
        for line in self._lines_of_base(base, header):
            if line.id is None:
                occurrences.add(line_key(None, line.raw, 0))
        occurrences.freeze()
        for line in self._lines_of_base(base, header):
            key = line_key(line.id, line.raw, 0)
            if line.id is None and (occurrence := occurrences.next(key)):
                key = line_key(None, line.raw, occurrence)
            yield line, key

    def _lines_of_base(self, base: JobFile, header: Header) -> Iterator[Line]:
        """Yield the good lines with tags of the base job."""
        plan = self._plan
        for raw in base.lines(header.start, header.first):
            try:
                line = parse_line(raw, header, plan.environ, plan.folder, look_for_files=False)
            except LineProblems:
                continue
            if line.tags:
                yield line

    def _ids_of_base(self, own: KeyIndex) -> KeyIndex:
        """Return the ids of the base job, and learn of those that are waited for what such lines have to know."""
        ids = KeyIndex()
        asked = {source for source, _ in self.asked}
        for raw in self._base.lines() if self._base is not None and asked else ():
            line_id = id_of(raw)
            if line_id is None:
                continue
            key = line_key(line_id, b"", 0)
            ids.add(key)
            if line_id in asked and key not in own:
                self._learn_of_base(line_id, key, raw)
        ids.freeze()
        return ids

    def _learn_of_base(self, line_id: str, key: bytes, raw: RawLine) -> None:
        written, header = parse_object(raw.raw), self._plan.header
        used = used_by(written, header.templates, [])
        op = kind_of(written, used)
        if not isinstance(op, str) or op not in KINDS:
            return
        written = under(beneath(header.defaults.get(op, {}), used), written)
        count = written.get(KINDS[op].many or "")
        if isinstance(count, int) and count > 1:
            self._plan.copies[line_id] = count
        if written.get("on_error") == "continue":
            self._going_on.add(key)


class _Members:
    """The operations with a tag: how many there are, and how many are left; `keys` of them where it is collected."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.met = self._left = self._doubtful = 0
        self._cause: str | None = None
        self.keys: bytearray | None = None

    def add(self, line: Line, key: bytes) -> None:
        """Count the operations of a line."""
        for planned in self._plan.planned(line, key):
            self.met += 1
            if self.keys is not None:
                self.keys += planned.key
            state = self._plan.before(planned.key)
            self._left += state in (State.NOT_STARTED, State.IN_DOUBT)
            self._doubtful += state is State.IN_DOUBT
            if self._cause is None:
                self._cause = planned.cause(state, self._plan.job)

    def group(self, tag: str) -> Group:
        """Return the group that they are."""
        return Group(name_of(TAG_MARK + tag, None), self._left, self._doubtful, self._cause)


def group_of(plan: Plan, line_id: str, index: int | None, *, goes_on: bool) -> Group:
    """Return the group of all operations of a line, or of the one with this number from 1.

    With `goes_on` its line says that what waits for it goes on although it failed.
    """
    key, count = line_key(line_id, b"", 0), plan.copies.get(line_id, 1)
    left = doubtful = 0
    cause = None
    for number in range(count) if index is None else (index - 1,):
        state = plan.before(operation_key(key, number))
        left += state in (State.NOT_STARTED, State.IN_DOUBT)
        doubtful += state is State.IN_DOUBT
        if cause is None and state in BLOCKING and not goes_on:
            cause = f"{named(line_id, number, count)} is {state.value}"
    return Group(name_of(line_id, index), left, doubtful, cause)


def id_of(raw: RawLine) -> str | None:
    """Return the id of a line that may be bad otherwise."""
    written = _parsed(raw)
    line_id = written.get("id") or written.get("custom_id")
    return line_id if isinstance(line_id, str) else None


def _parsed(raw: RawLine) -> Mapping[str, Json]:
    try:
        return parse_object(raw.raw)
    except LineError:
        return {}


def _is_nameless(node: str) -> bool:
    # No id is a tilde and a number.
    return node.startswith("~") and node[1:].isdecimal()
