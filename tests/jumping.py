"""An event loop whose clock jumps to the next timer when nobody is ready: an hour of pacing in a blink.

Threads and sockets are not seen by the clock: what waits for them lives in real time.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

TICK = 1e-6
"""Each turn of the loop takes a microsecond, or aiolimiter spins where rounding leaves it a hair short."""

STUCK = 5.0
"""Real seconds without anybody ready or any timer after which a test is called stuck."""


class JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for a timer it moves the clock there."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; with nothing ready, jump."""
        self.now += TICK
        events = super().select(STUCK if timeout is None else 0)
        if not events and timeout is None:
            raise RuntimeError("stuck: nobody is ready and no timer runs")
        if not events and timeout:
            self.now += timeout
        return events


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop on the clock of its selector."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual time, which starts at nought."""
        return self._jumping.now


def run_jumping(work: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run an async function to its end in virtual time."""

    async def main() -> T:
        return await work(*args)

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main())
