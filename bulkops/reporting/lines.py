"""Progress where there is no terminal: a line a minute and at each tenth, fit for a log."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, TextIO

from bulkops.model import State
from bulkops.reporting.progress import Progress
from bulkops.reporting.text import safe_text
from bulkops.reporting.words import duration, number, per

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.reporting.progress import Moment

EVERY = 60.0
_TENTHS = 10


class Lines(Progress):
    """Progress as lines of a log."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._total = 0
        self._before = 0
        self._counts: Counter[State] = Counter()
        self._next_count = 0
        self._began = self._told = clock()
        self._standing = ""

    def begin(self, total: int, done_before: int) -> None:
        """See `Progress`."""
        self._total, self._before = total, done_before
        self._began = self._told = self._clock()
        self._next_count = self._next_tenth(done_before)
        over = f", {done_before:,} of them over" if done_before else ""
        self._print(f"{number(total, 'operation')}{over}")

    def ended(self, state: State) -> None:
        """See `Progress`."""
        self._counts[state] += 1
        if self._over() >= self._next_count:
            self._tell()

    def taken_back(self, was: State) -> None:
        """See `Progress`."""
        self._counts[was] -= 1

    def stands(self, moment: Moment) -> None:
        """See `Progress`."""
        waiting = f", {moment.awaited:,} waiting" if moment.awaited else ""
        resting = f"; paused, {duration(moment.rest)} left" if moment.rest else ""
        sent = number(moment.requests_last_period, "request")
        if moment.limit is not None:
            sent = f"{moment.requests_last_period:,} of {number(moment.limit, 'request')}"
        self._standing = f"{waiting}; {sent} {per(moment.period)}{resting}"
        if self._clock() - self._told >= EVERY:
            self._tell()

    def note(self, text: str) -> None:
        """See `Progress`."""
        self._print(safe_text(text))

    def _over(self) -> int:
        return self._before + self._counts.total()

    def _next_tenth(self, over: int) -> int:
        """Return the count at which the next full tenth is reached."""
        tenth = over * _TENTHS // self._total + 1 if self._total else 1
        return -(-tenth * self._total // _TENTHS)

    def _tell(self) -> None:
        over = self._over()
        self._told = self._clock()
        self._next_count = self._next_tenth(over)
        trouble = "".join(
            f", {state.value.replace('_', ' ')} {self._counts[state]:,}"
            for state in (State.FAILED, State.BLOCKED, State.IN_DOUBT)
            if self._counts[state]
        )
        percent = over * 100 // self._total if self._total else 100
        self._print(f"{percent} %: {over:,} of {self._total:,}{trouble}{self._standing}{self._left(over)}")

    def _left(self, over: int) -> str:
        ended, left = over - self._before, self._total - over
        if not ended or not left:
            return ""
        return f"; about {duration((self._told - self._began) / ended * left)} left"

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)
