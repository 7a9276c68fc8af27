"""How many requests of one key are served at once: the other kind of limit, which counts no time."""

from __future__ import annotations

import asyncio


class Places:
    """`most` places for requests in service; one too many waits up to `patience` seconds for its turn.

    `taken` are in service now, `peak` were at once.
    """

    def __init__(self, most: int, patience: float) -> None:
        self.most = most
        self.taken = 0
        self.peak = 0
        self._free = asyncio.Semaphore(most)
        self._patience = patience

    async def enter(self) -> bool:
        """Take a place, first come, first served; False when none became free in time."""
        if self._free.locked():
            if not self._patience:
                return False
            try:
                async with asyncio.timeout(self._patience):
                    await self._free.acquire()
            except TimeoutError:
                return False
        else:
            await self._free.acquire()
        self.taken += 1
        self.peak = max(self.peak, self.taken)
        return True

    def leave(self) -> None:
        """Give the place to who waits for it."""
        self.taken -= 1
        self._free.release()
