"""Progress on a terminal: bars for the operations, for what is waited for, and for the rate."""

from __future__ import annotations

import os
import time
from collections import Counter
from threading import RLock
from typing import TYPE_CHECKING, TextIO

from tqdm import tqdm

from bulkops.model import State
from bulkops.reporting.progress import Progress
from bulkops.reporting.text import safe_text
from bulkops.reporting.words import duration, per

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.reporting.progress import Moment

EVERY = 0.1
"""Seconds between two looks at the bars; operations in between are only counted."""
_OPERATIONS = "{desc} {percentage:3.0f} % |{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
_TEXT = "{desc}"
_WAITING, _REQUESTS = "waiting   ", "requests  "
_COLUMNS, _ROWS = 80, 24
"""The size of a terminal that does not tell its own, as some in containers do; tqdm would draw nothing."""


class _Bar(tqdm):  # type: ignore[type-arg] # generic only in its stubs
    # No thread that watches over the bars: they are redrawn from here.
    monitor_interval = 0


class Bars(Progress):
    """Progress as three lines that stay at the bottom of the terminal."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._counts: Counter[State] = Counter()
        self._new = 0
        self._drawn = clock()
        self._bars: list[_Bar] = []
        self._sized = _has_size(stream)
        # tqdm's own lock is between processes and imports what that takes.
        _Bar.set_lock(RLock())

    def begin(self, total: int, done_before: int) -> None:
        """See `Progress`."""
        self._bars = [
            self._bar(0, "operations", _OPERATIONS, total=total, initial=done_before, leave=True),
            self._bar(1, _WAITING, _TEXT),
            self._bar(2, _REQUESTS, _TEXT),
        ]

    def ended(self, state: State) -> None:
        """See `Progress`."""
        self._counts[state] += 1
        self._new += 1
        if self._clock() - self._drawn >= EVERY:
            self._draw()

    def taken_back(self, was: State) -> None:
        """See `Progress`."""
        self._counts[was] -= 1
        self._new -= 1

    def stands(self, moment: Moment) -> None:
        """See `Progress`."""
        if not self._bars:
            return
        _, waiting, rate = self._bars
        what = [f"{moment.awaited:,} to settle"] if moment.awaited else []
        what += ["the end of the pause"] if moment.rest else []
        waiting.desc = f"{_WAITING} for {' and '.join(what) or 'nothing'}"
        sent = moment.requests_last_period
        resting = f"; paused, {duration(moment.rest)} left" if moment.rest else ""
        if moment.limit is None:
            rate.bar_format = _TEXT
            rate.desc = f"{_REQUESTS} {sent:,} {per(moment.period)}{resting}"
        else:
            # Beyond its total tqdm draws no bar, and a limit can be cut below what was sent.
            rate.n, rate.total = min(sent, moment.limit), moment.limit
            share = f"{100 * sent / moment.limit:3.0f} %"
            rate.bar_format = (
                f"{{desc}} {share} |{{bar}}| {sent:,}/{moment.limit:,} {per(moment.period)}{resting}"
            )
            rate.desc = _REQUESTS
        if self._clock() - self._drawn >= EVERY:
            self._draw()

    def note(self, text: str) -> None:
        """See `Progress`."""
        # It takes the bars away, prints, and puts them back below.
        _Bar.write(safe_text(text), file=self._stream)

    def finish(self) -> None:
        """See `Progress`."""
        if self._bars:
            self._draw()
        for bar in reversed(self._bars):
            bar.close()
        self._bars = []

    def _bar(
        self,
        position: int,
        about: str,
        form: str,
        *,
        total: int | None = None,
        initial: int = 0,
        leave: bool = False,
    ) -> _Bar:
        return _Bar(
            desc=about,
            total=total,
            initial=initial,
            leave=leave,
            position=position,
            bar_format=form,
            file=self._stream,
            dynamic_ncols=self._sized,
            ncols=None if self._sized else _COLUMNS,
            nrows=None if self._sized else _ROWS,
        )

    def _draw(self) -> None:
        self._drawn = self._clock()
        if not self._bars:
            return
        operations = self._bars[0]
        operations.n += self._new
        self._new = 0
        operations.postfix = ", ".join(
            f"{state.value.replace('_', ' ')} {self._counts[state]:,}"
            for state in (State.FAILED, State.BLOCKED, State.IN_DOUBT)
            if self._counts[state]
        )
        for bar in self._bars:
            bar.refresh()


def _has_size(stream: TextIO) -> bool:
    try:
        return min(os.get_terminal_size(stream.fileno())) > 0
    except (OSError, ValueError):
        return False
