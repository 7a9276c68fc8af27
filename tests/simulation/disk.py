"""The disk of a simulation: what was committed survives a kill, what was synced a power cut; the rest is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bulkops.checkpoint.memory import MemoryCheckpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bulkops.checkpoint import StepRow
    from bulkops.checkpoint.rows import OperationRow
    from tests.simulation.world import World

    Write = Callable[[MemoryCheckpoint], Coroutine[Any, Any, None] | None]


def finish(call: Coroutine[Any, Any, None]) -> None:
    """Run a call of the twin to its end: it waits for nobody."""
    try:
        while True:
            call.send(None)
    except StopIteration:
        return


class Disk:
    """The checkpoint's twin behind a group commit: calls queue, a commit takes what is there, then wakes all."""

    def __init__(self, world: World) -> None:
        self.image = MemoryCheckpoint()
        """What a process that starts now would read."""
        self.synchronous = True
        self._world = world
        self._queue: list[tuple[Write, Callable[[], None] | None]] = []
        self._in_hand: list[tuple[Write, Callable[[], None] | None]] = []
        self._unsynced: list[Write] = []

    def note(self, step: StepRow) -> None:
        """See `Checkpoint.note`."""
        self._queue.append((lambda image: image.note(step), None))

    def intend(self, step: StepRow, durable: Callable[[], None]) -> None:
        """See `Checkpoint.intend`; `durable` is called then."""
        self.call(lambda image: image.intend(step), durable)

    def close(self, row: OperationRow, durable: Callable[[], None], *, keep_steps: bool) -> None:
        """See `Checkpoint.close_operation`."""
        self.call(lambda image: image.close_operation(row, keep_steps=keep_steps), durable)

    def call(self, write: Write, durable: Callable[[], None]) -> None:
        """Queue a write that somebody waits for."""
        self._queue.append((write, durable))
        self._begin()

    def crash(self, *, power: bool) -> None:
        """Lose what a crash loses. Of a commit under way either everything survives or nothing."""
        if self._in_hand and self._world.chance.random() < 0.5:
            self._apply()
        self._queue, self._in_hand = [], []
        if not power:
            self.sync()
        self._unsynced = []

    def sync(self) -> None:
        """Let what was committed survive a power cut."""
        for write in self._unsynced:
            self._write(write)
        self._unsynced = []

    def _begin(self) -> None:
        if self._queue and not self._in_hand:
            self._in_hand, self._queue = self._queue, []
            self._world.later(self._world.chance.uniform(0.001, 0.03), self._committed, mortal=True)

    def _committed(self) -> None:
        waiting = [durable for _, durable in self._in_hand if durable is not None]
        self._apply()
        self._in_hand = []
        for durable in waiting:
            durable()
        self._begin()

    def _apply(self) -> None:
        if not self.synchronous and not self._unsynced:
            # The system writes it out when it finds the time.
            self._world.later(5.0, self.sync)
        for write, _ in self._in_hand:
            if self.synchronous:
                self._write(write)
            else:
                self._unsynced.append(write)

    def _write(self, write: Write) -> None:
        call = write(self.image)
        if call is not None:
            finish(call)
