"""The bucket that every request passes, last of all: one of aiolimiter, asked for a handful of tokens at a time."""

from __future__ import annotations

from aiolimiter import AsyncLimiter

HANDFUL = 4
"""At a high rate a quarter of what may go at once is taken at once: to ask for each by itself takes a fifth of all the
time of the pace."""


class Tokens:
    """A bucket with room for so many, refilled at so many per second; the pace lets go so many `at_once`."""

    __slots__ = ("_handful", "_left", "_limiter")

    def __init__(self, room: int, per_second: float, at_once: int) -> None:
        self._handful = max(1, at_once // HANDFUL)
        self._left = 0
        room += self._handful - 1  # as a token may have been taken and not spent
        self._limiter = AsyncLimiter(room, room / per_second)

    def spend(self) -> bool:
        """Spend a token that is at hand; False when there is none."""
        if not self._left:
            return False
        self._left -= 1
        return True

    async def take(self) -> None:
        """Take a handful and spend one; as a rule the bucket has them, and there is no task switch."""
        await self._limiter.acquire(self._handful)
        self._left += self._handful - 1
