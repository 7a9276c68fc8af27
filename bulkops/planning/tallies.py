"""Counting: lines by shape, their operations by state, and what is left to do of them."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from math import ceil
from typing import TYPE_CHECKING

from bulkops.checkpoint import StepState, digest, operation_key
from bulkops.checkpoint.baselines import KEY, known
from bulkops.checkpoint.belonging import OWN
from bulkops.model import State
from bulkops.operation import fields_of
from bulkops.operations import KINDS
from bulkops.planning.plan import Load
from bulkops.planning.rehearsal import Rehearsal, rehearse
from bulkops.planning.standing import place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulkops.api.profile import Profile
    from bulkops.checkpoint import Reader
    from bulkops.jobfile import Line
    from bulkops.model import Json
    from bulkops.planning.plan import Plan


IF_EXISTS = "if_exists"
"""The field whose value, and not only that it is there, decides about the steps."""
_ACCOUNT = "account:"
"""Stands in a shape before the name of the account; no field is called so."""
MOST_SNAPSHOTS = 10_000
"""So many things that rows read once are told apart; of those that come after, each counts as one of its own."""


class Tally:
    """How many lines there are of one shape: of one kind, with the same fields given."""

    __slots__ = (
        "account",
        "each",
        "files",
        "left",
        "lines",
        "listings",
        "op",
        "operations",
        "sent",
        "snapshots",
        "source",
    )

    def __init__(
        self, op: str, files: list[str], each: Rehearsal, account: str | None, source: str | None
    ) -> None:
        self.op = op
        self.account = account
        self.source = source
        """The account that what its lines share is read from."""
        self.sent = [name for name in files if fields_of(KINDS[op])[name].is_sent]
        self.each = each
        self.files = files
        self.lines = self.operations = self.left = self.snapshots = self.listings = 0


class Tallies:
    """Counts lines into a plan, and of which operations that were under way no line was seen."""

    def __init__(self, plan: Plan, api: Profile, reader: Reader | None) -> None:
        self._plan = plan
        self._api = api
        self._by_shape: dict[tuple[str, ...], Tally] = {}
        self._read: set[int] = set()
        self._listed = set(_kept_listings(api, reader))
        """The listings that are read already, each by its account."""
        self.under_way = _under_way(reader)
        self._known = bool(self.under_way) or not plan.standing.empty
        self.places = 0
        """What the `place` of all operations that have ended comes to, as they stand in the file."""

    def of(self, line: Line) -> Tally:
        """Return the tally of a line's shape."""
        shape = fields_given(line)
        if line.accounts:
            shape = (*shape, _ACCOUNT, line.account or "", line.accounts[-1])
        tally = self._by_shape.get(shape)
        if tally is None:
            fields = fields_of(line.kind)
            files = [name for name in line.fields if fields[name].is_file]
            each = rehearse(self._api, line)
            tally = self._by_shape[shape] = Tally(line.op, files, each, *_accounts(shape))
        return tally

    def add(self, line: Line, key: bytes) -> int:
        """Count a line with this identity, and what it has left to do; return how many operations that are."""
        tally = self.of(line)
        tally.lines += 1
        tally.operations += line.count
        return self._add_left(tally, line, key)

    def add_left(self, line: Line, key: bytes) -> int:
        """Count what a line has left to do that is counted otherwise; return how many operations that are."""
        return self._add_left(self.of(line), line, key)

    def _add_left(self, tally: Tally, line: Line, key: bytes) -> int:
        left = self._count_states(line, key) if self._known else line.count
        if left:
            plan = self._plan
            plan.work.add(line.number)
            tally.left += left
            if line.kind.deletes is not None:
                plan.note_deletes(line, left)
            first = bool(tally.each.shared) and self._is_first(line)
            tally.snapshots += first
            listings = self._first_looks(tally) if tally.each.listed else 0
            tally.listings += listings
            if plan.course.whole:
                self._put(line, key, left, tally, shared=first * tally.each.shared, listings=listings)
            if plan.duplicates is not None:
                plan.duplicates.add(line, tally.sent)
            for name in tally.sent:
                size = _size(line.fields[name])
                plan.upload_bytes += left * size
                plan.largest_upload = max(plan.largest_upload, size)
        return left

    def _is_first(self, line: Line) -> bool:
        """Tell whether what the line reads once is not read already, for an earlier row of the same source."""
        rows = self._plan.job.rows_of(line.number)
        if rows is None or line.kind.snapshot is None or len(self._read) >= MOST_SNAPSHOTS:
            return True
        known = hash((rows, line.op, line.fields.get(line.kind.snapshot), line.accounts))
        first = known not in self._read
        self._read.add(known)
        return first

    def _put(self, line: Line, key: bytes, left: int, tally: Tally, *, shared: int, listings: int) -> None:
        """Put what a line has left to do into the course of the job."""
        plan = self._plan
        if shared and tally.source != tally.account:
            plan.course.add_reading(tally.source, shared)
            shared = 0
        plan.course.add(line, key, left, tally.each, first=shared + listings, before=plan.selection.before)

    def _first_looks(self, tally: Tally) -> int:
        """Return how many listings are read for a line that were not for an earlier one."""
        new = {(tally.account, name) for name in tally.each.listed} - self._listed
        self._listed |= new
        return len(new)

    def sum_up(self) -> None:
        """Add up what was counted of each shape."""
        plan = self._plan
        awaited: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
        for tally in self._by_shape.values():
            plan.lines += tally.lines
            plan.unnamed |= tally.account is None
            plan.lines_by_kind[tally.op] += tally.lines
            plan.operations[tally.op] += tally.operations
            if tally.left:
                plan.left[tally.op] += tally.left
                before = plan.selection.before
                requests = tally.left * tally.each.each_time(before=before) + tally.listings
                shared = tally.snapshots * tally.each.shared
                plan.requests += requests + shared
                plan.requests_by_kind[tally.op] += requests + shared
                awaited[tally.account].update(
                    {what: tally.left * each for what, each in tally.each.awaited.items()}
                )
                for times, asked in (
                    (tally.left, tally.each.asked),
                    (tally.snapshots, tally.each.shared_asked),
                    (tally.left if before else 0, tally.each.before_asked),
                    (tally.listings, dict.fromkeys(tally.each.listed, 1)),
                ):
                    plan.requests_by_endpoint.update({name: times * each for name, each in asked.items()})
                if tally.account is not None:
                    load = plan.loads.setdefault(tally.account, Load())
                    load.requests += requests
                if tally.source is not None:
                    plan.loads.setdefault(tally.source, Load()).requests += shared
        for account, counts in awaited.items():
            looks = sum(ceil(count / self._api.watches[what].most) for what, count in counts.items())
            plan.looks += looks
            plan.awaited.update(counts)
            if account is not None:
                plan.loads[account].looks += looks
        for op, total in plan.operations.items():
            ended = sum(count for (of, _), count in plan.states.items() if of == op)
            plan.states[op, State.NOT_STARTED] = total - ended

    def shapes(self) -> Iterator[list[Json]]:
        """Yield what `take` needs to know of each shape."""
        for shape, tally in self._by_shape.items():
            yield [shape, tally.files, list(tally.each), tally.lines, tally.operations]

    def take(self, shapes: Sequence[list[Json]]) -> None:
        """Count lines that were counted before and are all done; `undo` takes back those that are not."""
        for shape, files, each, lines, operations in shapes:
            tally = Tally(shape[0], files, Rehearsal(*each), *_accounts(shape))
            self._by_shape[tuple(shape)] = tally
            tally.lines, tally.operations = lines, operations
            self._plan.states[tally.op, State.DONE] += operations

    def undo(self, line: Line) -> None:
        """Take back that the operations of a line are done."""
        self._plan.states[line.op, State.DONE] -= line.count

    def _count_states(self, line: Line, key: bytes) -> int:
        plan = self._plan
        left = 0
        for index in range(line.count):
            name = operation_key(key, index)
            state = plan.standing.of(name)
            self.under_way.pop(name, None)
            if state is not State.NOT_STARTED:
                plan.states[line.op, state] += 1
                self.places += place(name, line.number)
            if state is State.DONE and line.id is not None:
                plan.edited += not plan.standing.unchanged(name, digest(line.raw))
            if plan.takes_up(name, line):
                left += 1
                if state is not State.NOT_STARTED:
                    plan.again.add(name)
        return left


def fields_given(line: Line) -> tuple[str, ...]:
    """Return what lines have in common that do the same steps: their kind, which fields are given, and the way."""
    way = line.fields.get(IF_EXISTS)
    return (line.op, *line.fields) if way is None else (line.op, *line.fields, f"{IF_EXISTS}:{way}")


def _accounts(shape: Sequence[str]) -> tuple[str | None, str | None]:
    """Return the account of a shape, and the one that is read from; None for the run's own."""
    return (shape[-2] or None, shape[-1]) if _ACCOUNT in shape else (None, None)


def _under_way(reader: Reader | None) -> dict[bytes, str]:
    """Return what has begun and not ended, and made something or may have: by operation, in words."""
    steps = reader.open_steps() if reader is not None else ()
    return {
        step.key: f"a {step.endpoint} that made {step.entity}"
        if step.entity
        else f"a {step.endpoint} that is in doubt"
        for step in steps
        if step.entity is not None or step.state in (StepState.INTENT, StepState.UNKNOWN)
    }


def _kept_listings(api: Profile, reader: Reader | None) -> Iterator[tuple[str | None, str]]:
    """Yield, by account, the listings of what there was before the job; the run's own account also by its name."""
    if reader is None:
        return
    for kind, account in known(reader.pins_of(KEY)):
        listing = api.listing_of(kind)
        for name in (account,) if account else (None, reader.meta(OWN)):
            if listing is not None:
                yield name, listing.endpoint.name


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
