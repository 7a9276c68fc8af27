"""How people see that a run goes on: bars on a terminal, lines elsewhere, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO, TypeAlias

if TYPE_CHECKING:
    from bulkops.model import State

Clock: TypeAlias = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a run stands: what it waits for, the requests of the last period (seconds), what a pause still lasts."""

    awaited: int
    requests_last_period: int
    limit: int | None
    period: float
    rest: float = 0.0


class Progress:
    """Hears how the run goes on, and shows nothing of it."""

    def begin(self, total: int, done_before: int) -> None:
        """Begin a run of so many operations, of which so many were over before."""

    def ended(self, state: State) -> None:
        """Count an operation that ended; called for each one, so it costs next to nothing."""

    def taken_back(self, was: State) -> None:
        """Count an operation no more that had ended so."""

    def stands(self, moment: Moment) -> None:
        """Hear, a few times a second, where the run stands."""

    def note(self, text: str) -> None:
        """Say something to people; the text may come from anywhere."""

    def finish(self) -> None:
        """End: what follows may be printed below."""


def choose(stream: TextIO | None, *, quiet: bool = False, clock: Clock = time.monotonic) -> Progress:
    """Return what suits a stream (stderr, as a rule)."""
    if quiet or stream is None:
        return Progress()
    if not stream.isatty():
        from bulkops.reporting.lines import Lines

        return Lines(stream, clock)
    # tqdm takes longer to import than a small run takes, so it is imported for terminals only.
    from bulkops.reporting.bars import Bars

    return Bars(stream, clock)
