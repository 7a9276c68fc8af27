"""How people see that a run goes on: bars on a terminal, lines elsewhere, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO, TypeAlias

from bulkops.reporting.lines import Lines

if TYPE_CHECKING:
    from bulkops.model import State

Clock: TypeAlias = Callable[[], float]


class Progress(Protocol):
    """Hears how the run goes on."""

    def begin(self, total: int, done_before: int) -> None:
        """Begin a run of so many operations, of which so many were over before."""

    def ended(self, state: State) -> None:
        """Count an operation that ended; called for each one, so it costs next to nothing."""

    def standing(
        self,
        awaited: int,
        requests_last_period: int,
        limit: int | None,
        period: float,
        rest: float = 0.0,
    ) -> None:
        """Tell what is awaited, the requests of the last period (seconds), and how long a pause still lasts.

        Called a few times a second.
        """

    def note(self, text: str) -> None:
        """Say something to people; the text may come from anywhere."""

    def finish(self) -> None:
        """End: what follows may be printed below."""


class Silent:
    """Shows nothing."""

    def begin(self, total: int, done_before: int) -> None:
        """See `Progress`."""

    def ended(self, state: State) -> None:
        """See `Progress`."""

    def standing(
        self,
        awaited: int,
        requests_last_period: int,
        limit: int | None,
        period: float,
        rest: float = 0.0,
    ) -> None:
        """See `Progress`."""

    def note(self, text: str) -> None:
        """See `Progress`."""

    def finish(self) -> None:
        """See `Progress`."""


def choose(stream: TextIO | None, *, quiet: bool = False, clock: Clock = time.monotonic) -> Progress:
    """Return what suits a stream (stderr, as a rule)."""
    if quiet or stream is None:
        return Silent()
    if not stream.isatty():
        return Lines(stream, clock)
    # tqdm takes longer to import than a small run takes, so it is imported for terminals only.
    from bulkops.reporting.bars import Bars

    return Bars(stream, clock)
