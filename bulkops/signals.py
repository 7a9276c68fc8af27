"""What signals ask of a run: to end, to end at once, or to say where it stands."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from bulkops.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulkops.engines.local import Engine
    from bulkops.reporting.progress import Progress


async def obey_signals(engine: Engine, progress: Progress, drain: float) -> None:
    """Stop the engine at the first SIGINT, SIGTERM or SIGHUP, and abort what is in flight at the second.

    A run that was started to outlive its terminal (`nohup`) ignores SIGHUP, and goes on doing so.
    """
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    asked = False
    with anyio.open_signal_receiver(*numbers) as received:
        async for number in received:
            if asked:
                progress.note("aborting")
                engine.abort()
            else:
                asked = True
                progress.note(f"finishing the requests in flight, {drain:.0f} s at most; again to abort them")
                # A terminal that is gone ends a run like somebody who asks it to end.
                code = signal.SIGTERM if number == signal.SIGHUP else number
                engine.stop(Interrupted(f"interrupted by {number.name}", code))


@dataclass(slots=True)
class Question:
    """Whether somebody has asked, since the last answer, where the run stands."""

    asked: bool = False

    def answered(self) -> bool:
        """Return whether an answer is due, and count it as given."""
        asked, self.asked = self.asked, False
        return asked


@contextmanager
def asked_by_signal() -> Iterator[Question]:
    """Let SIGUSR1, which would end the process, ask where the run stands. For the main thread.

    The handler only takes a note: it may come while somebody else prints.
    """
    question = Question()

    def ask(*_: object) -> None:
        question.asked = True

    before = signal.signal(signal.SIGUSR1, ask)
    try:
        yield question
    finally:
        # A question that comes too late ends nothing either.
        signal.signal(signal.SIGUSR1, signal.SIG_IGN if before is signal.SIG_DFL else before)
