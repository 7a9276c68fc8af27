"""Which operation is next: lines in order, each once what it waits for has ended."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from bulkops.checkpoint import digest, line_key, operation_key
from bulkops.errors import Stop
from bulkops.model import State, value
from bulkops.planning import Planned, id_of, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulkops.checkpoint import OperationRow
    from bulkops.jobfile import Line, RawLine
    from bulkops.planning import Plan


@value
class Blocked:
    """An operation that cannot go, and why."""

    planned: Planned
    cause: str


@dataclass(slots=True)
class _Dependant:
    """A line that waits: where it stands, and for how many operations still."""

    number: int
    offset: int
    key: bytes
    missing: int = 0
    cause: str | None = None


@dataclass(slots=True)
class _Target:
    """An operation that others wait for."""

    state: State
    goes_on: bool
    """Its line says that what waits for it goes on although it failed."""
    dependants: list[_Dependant] = field(default_factory=list)
    again: list[Planned] = field(default_factory=list)
    """What was ready, and waits again since the operation goes on."""

    def waiting(self) -> Iterator[int]:
        """Yield where the lines stand that wait for it."""
        yield from (dependant.offset for dependant in self.dependants)
        yield from (planned.line.offset for planned in self.again)


class Feed:
    """The operations that a run takes up, as they become ready.

    Memory: one batch of lines, the operations that others wait for, and the lines that wait.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._batches: Iterator[list[RawLine]] = plan.batches_with_work()
        self._sifted = not plan.occurrences.repeated
        self._lines: deque[RawLine] = deque()
        self._ready: deque[Planned | Blocked] = deque()
        self._freed: deque[_Dependant] = deque()
        self._reading = anyio.Lock()
        self._targets = self._find_targets()
        self._going_on = False
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
        if planned.line.id is None:
            return False
        target = self._targets.get(planned.key)
        if target is None:
            return False
        target.state = state
        return self._settle(target, planned.name or "")

    def goes_on(self, key: bytes) -> None:
        """Note that an operation which had ended goes on: what waits for it and has not begun waits again."""
        if (target := self._targets.get(key)) is not None:
            target.state = State.NOT_STARTED
            self._going_on = True

    def waits_again(self, planned: Planned) -> bool:
        """Tell whether an operation that was ready has to wait again; `take` gives it once more in its time."""
        if not self._going_on:
            return False
        for _, target in self._sources(planned.line):
            if target.state in (State.NOT_STARTED, State.IN_DOUBT):
                target.again.append(planned)
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
        target = self._targets.get(planned.key) if planned.line.id is not None else None
        return target is not None and (bool(target.dependants) or not self.exhausted)

    def held(self) -> int:
        """Return how many lines wait for operations in doubt."""
        doubtful = (target for target in self._targets.values() if target.state is State.IN_DOUBT)
        return len({offset for target in doubtful for offset in target.waiting()})

    def _find_targets(self) -> dict[bytes, _Target]:
        plan = self._plan
        targets = {}
        for line_id in plan.waited_for:
            key = line_key(line_id, b"", 0)
            for index in range(plan.copies.get(line_id, 1)):
                name = operation_key(key, index)
                targets[name] = _Target(plan.before(name), line_id in plan.going_on)
        return targets

    def _meet(self, raw: RawLine) -> None:
        plan = self._plan
        line = plan.parse(raw)
        # Equal lines are told apart by their order, so those without work count as well.
        key = plan.key_of(line.id, raw.raw)
        if not self._sifted and raw.number not in plan.work:
            return
        if not line.needs and not line.refs:
            self._prepare(line, key, None)
            return
        dependant = _Dependant(raw.number, raw.offset, key)
        for target_name, target in self._sources(line):
            self._judge(dependant, target, target_name)
            if target.state in (State.NOT_STARTED, State.IN_DOUBT):
                target.dependants.append(dependant)
                dependant.missing += 1
        if dependant.cause is not None or not dependant.missing:
            self._prepare(line, key, dependant.cause)

    def _sources(self, line: Line) -> Iterator[tuple[str, _Target]]:
        for line_id, index in line.sources():
            key = line_key(line_id, b"", 0)
            count = self._plan.copies.get(line_id, 1)
            for number in range(count) if index is None else (index - 1,):
                yield named(line_id, number, count) or "", self._targets[operation_key(key, number)]

    def _judge(self, dependant: _Dependant, target: _Target, name: str) -> None:
        dependant.cause = dependant.cause or _cause(target, name)

    def _settle(self, target: _Target, name: str) -> bool:
        if target.state is State.IN_DOUBT:
            # What waits for it keeps waiting: it may turn out to be done.
            return False
        waiting, target.dependants = target.dependants, []
        for dependant in waiting:
            dependant.missing -= 1
            already_freed = dependant.cause is not None
            self._judge(dependant, target, name)
            if not already_freed and (dependant.cause is not None or not dependant.missing):
                self._freed.append(dependant)
        again, target.again = target.again, []
        cause = _cause(target, name)
        self._ready.extend(again if cause is None else [Blocked(planned, cause) for planned in again])
        return bool(waiting or again)

    def _prepare_freed(self, dependant: _Dependant) -> None:
        raw = self._plan.job.line_at(dependant.offset, dependant.number)
        self._check_unchanged()
        self._prepare(self._plan.parse(raw), dependant.key, dependant.cause)

    def _prepare(self, line: Line, key: bytes, blocked: str | None) -> None:
        begun_before = not self._plan.standing.empty
        for planned in self._plan.planned(line, key):
            if not begun_before or self._plan.takes_up(planned.key, line):
                self._ready.append(planned if blocked is None else Blocked(planned, blocked))


def _cause(target: _Target, name: str) -> str | None:
    """Return why what waits for an operation cannot go, None where it can."""
    blocks = target.state in (State.FAILED, State.BLOCKED, State.SKIPPED) and not target.goes_on
    return f"{name} is {target.state.value}" if blocks else None
