"""Which operation is next: lines in order, each once what it waits for has ended."""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING

import anyio
import orjson
from anyio import to_thread

from bulkops.checkpoint import digest, line_key, prefix
from bulkops.engines.waiting import Waiting
from bulkops.errors import Stop
from bulkops.model import value
from bulkops.planning import Planned, id_of, name_of, name_of_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bulkops.checkpoint import OperationRow
    from bulkops.jobfile import Line, RawLine
    from bulkops.model import State
    from bulkops.planning import Plan


@value
class Blocked:
    """An operation that cannot go, and why."""

    planned: Planned
    cause: str


@value
class _Freed:
    """A line that waits no more, and why it cannot go, if so."""

    who: int
    cause: str | None


class Feed:
    """The operations that a run takes up, as they become ready.

    Memory: one batch of lines, and some 40 bytes for each that waits for others.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._batches: Iterator[list[RawLine]] = plan.batches_with_work()
        self._sifted = not plan.occurrences.repeated
        self._lines: deque[RawLine] = deque()
        self._ready: deque[Planned | Blocked] = deque()
        self._freed: deque[_Freed] = deque()
        self._reading = anyio.Lock()
        self._groups = plan.groups
        self._waited_for = bool(plan.groups)
        self._waiting = Waiting(len(plan.groups))
        self._again: dict[int, list[Planned]] = {}
        """By group what was ready, and waits again since an operation of it goes on."""
        self._going_on = False
        self._keys: dict[int, bytes] = {}
        """The identities of lines that wait and have equals."""
        self.exhausted = False
        """Every line was met; what is left waits for others."""

    def take(self) -> Planned | Blocked | None:
        """Return the next operation that is ready, or None when more has to be read or awaited."""
        while True:
            if self._ready:
                return self._ready.popleft()
            if self._freed:
                self._prepare_freed(self._freed.popleft())
            elif self._lines:
                self._meet(self._lines.popleft())
            else:
                return None

    async def read(self) -> None:
        """Read on; to be called when `take` had nothing and `exhausted` is False."""
        async with self._reading:
            if self._lines or self.exhausted:
                return
            # One hop to a thread for some thousand lines; the file may be on a slow disk.
            batch = await to_thread.run_sync(self._next_batch)
            if batch is None:
                self.exhausted = True
            else:
                self._lines.extend(batch)

    def _next_batch(self) -> list[RawLine] | None:
        batch = next(self._batches, None)
        self._check_unchanged()
        return batch

    def _check_unchanged(self) -> None:
        """Stop when the job file is no longer what was planned: line numbers and offsets would mean other lines."""
        if not self._plan.job.unchanged:
            raise Stop("the job file was changed while it ran; run it again to go on with what it says now")

    def ended(self, planned: Planned, state: State) -> bool:
        """Note that an operation has ended; return whether that made another one ready."""
        if not self._waited_for:
            return False
        cause = planned.cause(state, self._plan.job)
        freed = len(self._freed) + len(self._ready)
        for group in self._groups_of(planned.key, planned.line_key, planned.line.tags):
            self._groups.end(group, state, cause)
            if cause is not None:
                self._block(group, cause)
            if not self._groups.left(group):
                self._freed.extend(_Freed(who, None) for who in self._waiting.release(group))
                self._ready.extend(self._again.pop(group, ()))
        return len(self._freed) + len(self._ready) > freed

    def goes_on(self, row: OperationRow) -> None:
        """Note that an operation which had ended goes on: what waits for it and has not begun waits again."""
        tags = orjson.loads(row.record).get("tags", ())
        for group in self._groups_of(row.key, row.line_key, tags):
            self._groups.go_on(group, row.state)
            self._going_on = True

    def waits_again(self, planned: Planned) -> bool:
        """Tell whether an operation that was ready has to wait again; `take` gives it once more in its time."""
        if not self._going_on:
            return False
        for group, _ in self._sources(planned.line):
            if self._groups.left(group):
                self._again.setdefault(group, []).append(planned)
                return True
        return False

    async def find(self, row: OperationRow) -> Planned | None:
        """Return an operation by its end, with its line as it reads now; None where that is not in the job."""
        raw = await to_thread.run_sync(self._line_of, row)
        line = None if raw is None else self._plan.parse(raw)
        if line is None or row.index >= line.count:
            return None
        return Planned(row.key, row.line_key, line, row.index)

    def _line_of(self, row: OperationRow) -> RawLine | None:
        lines = chain.from_iterable(self._plan.raw_batches())
        found = next((raw for raw in lines if digest(raw.raw) == row.digest), None)
        if found is not None or row.id is None:
            return found
        lines = chain.from_iterable(self._plan.raw_batches())
        return next((raw for raw in lines if id_of(raw) == row.id), None)

    def wants(self, planned: Planned) -> bool:
        """Return whether something waits for this operation, as far as the lines are known."""
        groups = self._groups_of(planned.key, planned.line_key, planned.line.tags) if self._waited_for else ()
        return any(not self.exhausted or self._waiting.any(group) for group in groups)

    def held(self) -> int:
        """Return how many lines wait for operations in doubt."""
        held: set[int] = set()
        for group in self._groups.doubtful():
            held.update(self._waiting.place(who)[1] for who in self._waiting.on(group))
            held.update(planned.line.offset for planned in self._again.get(group, ()))
        return len(held)

    def _groups_of(self, key: bytes, line_key: bytes, tags: Iterable[str]) -> Iterator[int]:
        """Yield the groups that an operation is in."""
        names = [prefix(line_key), prefix(key), *map(name_of_tag, dict.fromkeys(tags))]
        places = map(self._groups.place, names)
        yield from (place for place in places if place is not None)

    def _sources(self, line: Line) -> Iterator[tuple[int, bool]]:
        """Yield the groups that a line waits for, and whether it goes on although they have failed."""
        for source, index in line.sources():
            group = self._groups.place(name_of(source, index))
            assert group is not None
            yield group, line.forgives(source)

    def _meet(self, raw: RawLine) -> None:
        plan = self._plan
        line = plan.parse(raw)
        # Equal lines are told apart by their order, so those without work count as well.
        key = plan.key_of(line.id, raw.raw)
        if not self._sifted and raw.number not in plan.work:
            return
        missing: list[tuple[int, bool]] = []
        cause = None
        if line.needs or line.refs:
            for group, forgiving in self._sources(line):
                if not forgiving and cause is None:
                    cause = self._groups.cause(group)
                if self._groups.left(group):
                    missing.append((group, forgiving))
        if cause is not None or not missing:
            self._prepare(line, key, cause)
            return
        who = self._waiting.line(raw.number, raw.offset)
        if not self._sifted and line.id is None:
            self._keys[who] = key
        for group, forgiving in missing:
            self._waiting.add(who, group, forgiving=forgiving)

    def _block(self, group: int, cause: str) -> None:
        self._freed.extend(_Freed(who, cause) for who in self._waiting.block(group))
        again = self._again.pop(group, ())
        for planned in again:
            forgiving = all(forgives for of, forgives in self._sources(planned.line) if of == group)
            self._ready.append(planned if forgiving else Blocked(planned, cause))

    def _prepare_freed(self, freed: _Freed) -> None:
        number, offset = self._waiting.place(freed.who)
        raw = self._plan.job.line_at(offset, number)
        self._check_unchanged()
        line = self._plan.parse(raw)
        key = self._keys.pop(freed.who, None) or line_key(line.id, raw.raw, 0)
        self._prepare(line, key, freed.cause)

    def _prepare(self, line: Line, key: bytes, blocked: str | None) -> None:
        begun_before = not self._plan.standing.empty
        for planned in self._plan.planned(line, key):
            if not begun_before or self._plan.takes_up(planned.key, line):
                self._ready.append(planned if blocked is None else Blocked(planned, blocked))
