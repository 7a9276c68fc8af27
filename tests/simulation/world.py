"""Virtual time: what is to happen next, the server, the disk, and the process that is alive."""

from __future__ import annotations

import heapq
import random
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from tests.simulation.disk import Disk
from tests.simulation.history import SETTLE, End, Fate
from tests.simulation.process import Process
from tests.simulation.server import Server, profile_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.history import History

MOST_EVENTS = 20_000
WRITTEN = 0.1
"""Seconds after which everything that follows from an answer is on the disk."""


class World:
    """A history under way."""

    def __init__(self, history: History, process: type[Process] = Process) -> None:
        self.history = history
        self.now = 0.0
        self.chance = random.Random(history.seed)
        self.server = Server(history)
        self.api = profile_of(history)
        self.disk = Disk(self)
        self.variants = [order.variant for order in history.orders]
        """What the lines say now; an edited line says something else."""
        self.edited: set[int] = set()
        self.asked: list[set[object]] = [{self.what(i, v)} for i, v in enumerate(self.variants)]
        """What each operation may have made, as its line said it at one time."""
        self.refused: set[int] = set()
        self.tries = [0] * len(history.orders)
        self.undated: set[int] = set()
        """The operations of which it was not known when they were sent."""
        self.reported: dict[int, str] = {}
        """What the client has told its user to be done."""
        self.taken_back: set[tuple[int, str]] = set()
        """What it had to take back: a crash may come before the user is told of that."""
        self.trace: list[str] | None = None
        self.attempts = self.reads = 0
        self.waiting: list[tuple[int, Fate, list[str], float]] = []
        """The requests under way, each with its operation, what it has made, and when its end is heard."""
        self._fates = dict(history.fates)
        self._kind = process
        self._heap: list[tuple[float, int, int | None, Callable[[], None]]] = []
        self._count = 0
        self._epoch = 0
        self.process = self._start()

    def run(self) -> None:
        """Let everything happen, until nothing is left to do."""
        for deed in self.history.foreign:
            self.later(deed.at, partial(self._meddle, deed.name, makes=deed.makes))
        self.process.start()
        for _ in range(MOST_EVENTS):
            if not self._heap:
                return
            self.now, _, epoch, act = heapq.heappop(self._heap)
            if epoch is None or epoch == self._epoch:
                act()
        raise AssertionError("it never ends")

    def later(self, seconds: float, act: Callable[[], None], *, mortal: bool = False) -> None:
        """Let something happen; what is mortal happens only if the process is still alive then."""
        self._count += 1
        heapq.heappush(self._heap, (self.now + seconds, self._count, self._epoch if mortal else None, act))

    def what(self, i: int | None, variant: int) -> object:
        """Return what tells one thing from another: those of equal lines are as good as each other."""
        assert i is not None
        order = self.history.orders[i]
        return (order.name, variant, order.listed, i if self.history.stamps else None)

    def next_fate(self, i: int) -> tuple[int, Fate]:
        """Return number and fate of the attempt at an operation that begins now."""
        number, self.attempts = self.attempts, self.attempts + 1
        fate = self._fates.get(number, Fate())
        self.tries[i] += 1
        if fate.end is End.REFUSED:
            self.refused.add(i)
        return number, fate

    def answer_to(self, i: int, fate: Fate, made: list[str]) -> str | None:
        """Return the id that the client hears: another request's, where fate wants it and there is one."""
        others: list[str] = []
        if fate.end is End.LAST:
            others = [entity for entity, of in self.process.named.items() if of != i]
        elif fate.end is End.NEXT:
            # A crash before the other one has heard of it would leave nobody who could know.
            others = [
                made[0]
                for of, its, made, heard in self.waiting
                if of != i and its.end is End.ANSWER and made and heard + WRITTEN < self._crash_at
            ]
        return others[-1] if others else made[0] if made else None

    def page_lost(self) -> bool:
        """Tell whether the read that begins now is answered 500."""
        number, self.reads = self.reads, self.reads + 1
        return number in self.history.lost_pages

    def tell(self, text: str) -> None:
        """Write a line of the trace, if anybody reads it."""
        if self.trace is not None:
            self.trace.append(f"{self.now:9.3f}  {text}")

    def _start(self) -> Process:
        number = self._epoch
        crashes = self.history.crashes
        clock = crashes[number - 1].clock if number else self.history.clock
        self._crash_at = inf
        if number < len(crashes):
            self._crash_at = self.now + crashes[number].after
            self.later(crashes[number].after, self._crash, mortal=True)
        return self._kind(self, clock, SETTLE)

    def _crash(self) -> None:
        crash = self.history.crashes[self._epoch]
        self.tell(f"process {self._epoch}: {crash}")
        self.disk.crash(power=crash.power)
        self.waiting.clear()
        if crash.edited is not None:
            self.variants[crash.edited] += 10
            self.edited.add(crash.edited)
            self.asked[crash.edited].add(self.what(crash.edited, self.variants[crash.edited]))
        self._epoch += 1
        self.later(crash.down, self._restart)

    def _restart(self) -> None:
        crash = self.history.crashes[self._epoch - 1]
        last = self.process
        self.process = self._start()
        self.process.clock_is_steady = not crash.power and last.clock == crash.clock and last.clock_is_steady
        self.tell(f"process {self._epoch} begins")
        self.process.start()

    def _meddle(self, name: str, *, makes: bool) -> None:
        self.tell(f"somebody else {'makes' if makes else 'removes'} a {name}")
        self.server.meddle(name, self.now, makes=makes)
