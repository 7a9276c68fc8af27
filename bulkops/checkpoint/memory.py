"""The checkpoint's twin that remembers as long as the process lives: for tests, rehearsals and benchmarks."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from datetime import UTC, datetime
from operator import attrgetter
from types import coroutine
from typing import TYPE_CHECKING, Self

import orjson

from bulkops.checkpoint.identity import KEY_SIZE
from bulkops.checkpoint.rows import LineChecks, StateRow
from bulkops.checkpoint.schema import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator, Sequence
    from types import TracebackType

    from bulkops.checkpoint.rows import OperationRow, StepRow
    from bulkops.errors import CheckpointError
    from bulkops.model import State


@coroutine
def _turn() -> Generator[None]:
    """Let others run once, as waiting for a disk does; a call that is cancelled here has taken effect."""
    yield


class MemoryCheckpoint:
    """The `Checkpoint` in memory; it never fails. What the docstrings there call durable is remembered."""

    def __init__(self) -> None:
        self._operations: dict[bytes, OperationRow] = {}
        self._steps: dict[bytes, dict[int, StepRow]] = {}
        self._pins: dict[tuple[bytes, bytes], bytes] = {}
        self._meta = {
            "format": str(FORMAT),
            "checkpoint_id": secrets.token_hex(16),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    async def intend(self, step: StepRow) -> None:
        """Remember a step before its request is sent."""
        self.note(step)
        await _turn()

    def note(self, step: StepRow) -> None:
        """Remember what is known about a step, in place of what was."""
        self._steps.setdefault(step.key, {})[step.number] = step

    async def close_operation(self, row: OperationRow, *, keep_steps: bool) -> None:
        """Remember the end of an operation; unless `keep_steps`, forget its steps."""
        self._put(row)
        if not keep_steps:
            self._steps.pop(row.key, None)
        await _turn()

    def close_done(self, row: OperationRow, hear: Callable[[CheckpointError | None], None]) -> None:
        """Remember the end of an operation that is done, and forget its steps; `hear` is called soon."""
        self._put(row)
        self._steps.pop(row.key, None)
        asyncio.get_running_loop().call_soon(hear, None)

    async def reopen(self, key: bytes, steps: Sequence[StepRow] = ()) -> None:
        """Forget the end of an operation and put these steps in the place of its own."""
        self._operations.pop(key, None)
        self._steps.pop(key, None)
        for step in steps:
            self.note(step)
        await _turn()

    async def settle(self, steps: Sequence[StepRow]) -> None:
        """Remember what was found out about steps in doubt, all at once."""
        for step in steps:
            self.note(step)
        await _turn()

    async def steps_of(self, key: bytes) -> list[StepRow]:
        """Return the steps of an operation by number."""
        found = self._steps_in_order(key)
        await _turn()
        return found

    async def row_of(self, key: bytes) -> OperationRow | None:
        """Return the end of an operation, None while it has none."""
        found = self._operations.get(key)
        await _turn()
        return found

    async def records_of(self, keys: bytes) -> list[bytes]:
        """Return the records of those operations that have ended, in this order; the keys stand one after the other."""
        each = (bytes(keys[start : start + KEY_SIZE]) for start in range(0, len(keys), KEY_SIZE))
        found = [self._operations[key].record for key in each if key in self._operations]
        await _turn()
        return found

    async def pin(self, key: bytes, request: bytes, reply: bytes, *, anew: bool = False) -> None:
        """Remember the answer that all operations of a line see, or one of them; the first one stays, unless `anew`."""
        if anew:
            self._pins.pop((key, request), None)
        self._pins.setdefault((key, request), reply)
        await _turn()

    async def pinned(self, key: bytes, request: bytes) -> bytes | None:
        """Return the answer that was pinned, None before."""
        found = self._pins.get((key, request))
        await _turn()
        return found

    async def set_meta(self, key: str, value: str) -> None:
        """Remember a word about the whole run, in place of an earlier one."""
        self._meta[key] = value
        await _turn()

    def meta(self, key: str) -> str | None:
        """Return a word about the whole run."""
        return self._meta.get(key)

    async def flush(self) -> None:
        """Return; everything noted is remembered."""
        await _turn()

    def reader(self) -> MemoryReader:
        """Return a reader of what is remembered."""
        return MemoryReader(self._operations, self._steps, self._meta, self._pins)

    def _put(self, row: OperationRow) -> None:
        # In the place of its end, not of the one that it had before.
        self._operations.pop(row.key, None)
        self._operations[row.key] = row

    def _steps_in_order(self, key: bytes) -> list[StepRow]:
        return sorted(self._steps.get(key, {}).values(), key=attrgetter("number"))


class MemoryReader:
    """The `Reader` of a `MemoryCheckpoint`; a stream shows the moment of its first item."""

    def __init__(
        self,
        operations: dict[bytes, OperationRow],
        steps: dict[bytes, dict[int, StepRow]],
        meta: dict[str, str],
        pins: dict[tuple[bytes, bytes], bytes],
    ) -> None:
        self._operations = operations
        self._steps = steps
        self._meta = meta
        self._pins = pins

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: there is nothing to close."""

    def meta(self, key: str) -> str | None:
        """Return a word about the whole run."""
        return self._meta.get(key)

    def indexed(self) -> bool:
        """Tell that an operation is found by its key."""
        return True

    def states(self, states: Collection[State] | None = None) -> Iterator[StateRow]:
        """Yield what is known of where ended operations stand, in no order: of all, or of those in some states."""
        for row in list(self._operations.values()):
            if states is None or row.state in states:
                yield StateRow(row.key, row.state, row.digest, row.line)

    def state_of(self, key: bytes) -> StateRow | None:
        """Return the same of one operation, None while it has not ended."""
        return next((row for row in self.states() if row.key == key), None)

    def states_on(self, line: int) -> Iterator[StateRow]:
        """Yield the same of the ended operations that were on the line with this number."""
        return (row for row in self.states() if row.line == line)

    def count_on(self, line: int) -> int:
        """Return how many operations have ended that were on the line with this number."""
        return sum(1 for _ in self.states_on(line))

    def lines(self) -> Iterator[int]:
        """Yield the numbers of the lines with ended operations in order, each once."""
        yield from sorted({row.line for row in self._operations.values()})

    def open_steps(self) -> Iterator[StepRow]:
        """Yield the steps of operations that have not ended, by operation and number."""
        is_open = [
            step
            for key, steps in self._steps.items()
            if key not in self._operations and len(key) == KEY_SIZE
            for step in steps.values()
        ]
        yield from sorted(is_open, key=attrgetter("key", "number"))

    def steps_of_run(self) -> Iterator[StepRow]:
        """Yield the steps of the run itself, which are no operation's."""
        of_run = [
            step for key, steps in self._steps.items() if len(key) != KEY_SIZE for step in steps.values()
        ]
        yield from sorted(of_run, key=attrgetter("key", "number"))

    def rows(self, states: Collection[State] | None = None) -> Iterator[OperationRow]:
        """Yield the ended operations by line and index: all, or those in some states."""
        found = [row for row in self._operations.values() if states is None or row.state in states]
        yield from sorted(found, key=attrgetter("line", "index", "key"))

    def records(self) -> Iterator[bytes]:
        """Yield the record of every ended operation, by line and index."""
        return (row.record for row in self.rows())

    def in_time(self) -> Iterator[tuple[int, OperationRow]]:
        """Yield the ended operations in the order of ending, each with its place in it."""
        yield from enumerate(self._operations.values())

    def at(self, place: int) -> OperationRow:
        """Return the ended operation at a place in that order."""
        return list(self._operations.values())[place]

    def pins_of(self, key: bytes) -> list[tuple[bytes, bytes]]:
        """Return what is pinned under the key of an operation or a line: requests and answers, in order of time."""
        return [(request, reply) for (of, request), reply in self._pins.items() if of == key]

    def owners(self, ids: Collection[str]) -> dict[str, bytes]:
        """Return which of these ids operations have made, and which operation."""
        made = [
            (one["id"], row.key)
            for row in self._operations.values()
            for one in orjson.loads(row.record).get("created", ())
        ]
        under_way = [(step.entity, step.key) for steps in self._steps.values() for step in steps.values()]
        return {entity: key for entity, key in (*made, *under_way) if entity is not None and entity in ids}

    def row_of(self, key: bytes) -> OperationRow | None:
        """Return the end of an operation, None while it has none."""
        return self._operations.get(key)

    def counts(self) -> dict[State, int]:
        """Return how many operations have ended in which state; states of none are left out."""
        return dict(Counter(row.state for row in self._operations.values()))

    def counts_by_kind(self) -> dict[str, dict[State, int]]:
        """Return the same for each kind of operation."""
        found: dict[str, Counter[State]] = {}
        for row in self._operations.values():
            found.setdefault(row.kind, Counter())[row.state] += 1
        return {kind: dict(states) for kind, states in found.items()}

    def checks(self) -> Iterator[LineChecks]:
        """Yield, in line order, how the checks of each line that has some came out."""
        lines: dict[bytes, list[OperationRow]] = {}
        for row in sorted(self._operations.values(), key=attrgetter("index")):
            if row.passed is not None:
                lines.setdefault(row.line_key, []).append(row)
        for line_key, rows in sorted(lines.items(), key=lambda item: (item[1][0].line, item[0])):
            yield LineChecks(line_key, sum(row.passed is True for row in rows), len(rows), rows[0].record)
