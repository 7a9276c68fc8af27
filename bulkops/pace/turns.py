"""The pace as its users see it: `async with pace.turn(account, request_class) as turn`."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Self

import anyio

from bulkops.pace.dispatcher import Dispatcher, Senses
from bulkops.pace.tiers import Allowance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from anyio.abc import TaskGroup

    from bulkops.api.profile import RateHeaders, Tier
    from bulkops.model import RequestClass
    from bulkops.pace.dispatcher import Standing


class Turn:
    """The leave to send one request now; entering it waits until that is so."""

    __slots__ = ("_class", "_dispatcher", "_granted")

    def __init__(self, dispatcher: Dispatcher, request_class: RequestClass) -> None:
        self._dispatcher = dispatcher
        self._class = request_class
        self._granted = 0.0

    async def __aenter__(self) -> Self:
        self._granted = await self._dispatcher.enter(self._class)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._dispatcher.left()

    def heard(self, status: int, headers: Mapping[str, str]) -> None:
        """Pass on what the server answered (header names in lower case); a turn may end without an answer."""
        self._dispatcher.heard(self._granted, status, headers)


class Pace:
    """Decides when a request may go: one dispatcher per account, each a task that lives as long as the block.

    `told(event, **fields)` hears of pauses (``paused``, ``lengthened``: account, seconds from now, reason)
    and of corrected limits (``limit``: account, limit, period, source). `wall` is the local epoch time, used
    only to read times in answers that carry no Date.
    """

    def __init__(
        self,
        accounts: Mapping[str, Allowance | Tier],
        *,
        headers: RateHeaders,
        chance: Callable[[], float] = random.random,
        told: Callable[..., object] | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._accounts = accounts
        self._senses = Senses(headers, chance, wall, told or _ignore)
        self._dispatchers: dict[str, Dispatcher] = {}
        self._tasks: TaskGroup = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        for name, given in self._accounts.items():
            allowance = given if isinstance(given, Allowance) else Allowance(given)
            self._dispatchers[name] = Dispatcher(name, allowance, self._senses)
            self._tasks.start_soon(self._dispatchers[name].run, name=f"pace of {name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(RuntimeError("the pace has ended"))
        self._tasks.cancel_scope.cancel()
        # What the block raised is not the task group's affair: it would wrap it into a group.
        await self._tasks.__aexit__(None, None, None)

    def turn(self, account: str, request_class: RequestClass) -> Turn:
        """Return a turn to enter; it may be entered once."""
        return Turn(self._dispatchers[account], request_class)

    def close(self, error: Exception) -> None:
        """Let every waiting and every later turn raise `error`; those already granted are not touched."""
        for dispatcher in self._dispatchers.values():
            dispatcher.close(error)

    def standing(self, account: str) -> Standing:
        """Say where an account stands; cheap."""
        return self._dispatchers[account].standing()


def _ignore(_event: str, **_fields: object) -> None:
    """Listen to nothing."""
