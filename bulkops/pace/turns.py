"""The pace as its users see it: `async with pace.turn(account, request_class) as turn`."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Self

from bulkops.pace.dispatcher import Dispatcher, Senses
from bulkops.pace.tiers import Allowance
from bulkops.settings import MOST_IN_FLIGHT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from bulkops.api.profile import RateHeaders, Tier
    from bulkops.model import RequestClass
    from bulkops.pace.credit import Flight
    from bulkops.pace.sharing import Place
    from bulkops.pace.standing import Standing


class Turn:
    """The leave to send one request now; entering it waits until that is so."""

    __slots__ = ("_class", "_dispatcher", "_flight")

    def __init__(self, dispatcher: Dispatcher, request_class: RequestClass) -> None:
        self._dispatcher = dispatcher
        self._class = request_class
        self._flight: Flight | None = None

    async def __aenter__(self) -> Self:
        self._flight = await self._dispatcher.enter(self._class)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._flight is not None:
            self._dispatcher.left(self._flight)

    def heard(self, status: int, headers: Mapping[str, str], *, kind: str | None = None) -> None:
        """Pass on what the server answered (header names in lower case), once; a turn may end without an answer.

        With its answer a request is over, and its place among those in flight is free. `kind` is the code that a
        refusal carried in its body: there are several kinds of 429.
        """
        flight, self._flight = self._flight, None
        assert flight is not None
        self._dispatcher.heard(flight, status, headers, kind)


class Pace:
    """Decides when a request may go: one dispatcher per account, at work for as long as the block lasts.

    `in_flight`: so many requests of an account may be under way at once, at most. `told(event, **fields)` hears of
    pauses (``paused``, ``lengthened``: account, seconds from now, reason) and of corrected limits (``limit``:
    account, limit, period, source). `wall` is the local epoch time, used only to read times in answers that carry
    no Date. `kept` says where the pace of an account is remembered and shared with other processes; where that
    turns out not to be possible, the pace goes on by itself and tells (``unshared``: account, reason).
    """

    def __init__(
        self,
        accounts: Mapping[str, Allowance | Tier],
        *,
        headers: RateHeaders,
        in_flight: int = MOST_IN_FLIGHT,
        chance: Callable[[], float] = random.random,
        told: Callable[..., object] | None = None,
        wall: Callable[[], float] = time.time,
        kept: Mapping[str, Place] | None = None,
    ) -> None:
        self._accounts = accounts
        self._senses = Senses(headers, chance, wall, told or _ignore, in_flight)
        self._kept = kept or {}
        self._dispatchers: dict[str, Dispatcher] = {}

    async def __aenter__(self) -> Self:
        for name, given in self._accounts.items():
            allowance = given if isinstance(given, Allowance) else Allowance(given)
            self._dispatchers[name] = Dispatcher(name, allowance, self._senses, self._kept.get(name))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(RuntimeError("the pace has ended"))
        for dispatcher in self._dispatchers.values():
            dispatcher.leave()

    def turn(self, account: str, request_class: RequestClass) -> Turn:
        """Return a turn to enter; it may be entered once."""
        return Turn(self._dispatchers[account], request_class)

    def close(self, error: Exception) -> None:
        """Let every waiting and every later turn raise `error`; those already granted are not touched."""
        for dispatcher in self._dispatchers.values():
            dispatcher.close(error)

    def expect(self, account: str, requests: int) -> None:
        """Say how many requests are still to come, as far as is known.

        A job that fits into what the server still takes goes at once; one that does not leaves room to others.
        Without a word, those that wait count as all there are.
        """
        self._dispatchers[account].expect(requests)

    def poll_share(self, account: str, share: float) -> None:
        """Give polls such a share (0 to 1) of the turns while other work waits; without such work there is no cap."""
        self._dispatchers[account].share(share)

    def standing(self, account: str) -> Standing:
        """Say where an account stands; cheap."""
        return self._dispatchers[account].standing()


def _ignore(_event: str, **_fields: object) -> None:
    """Listen to nothing."""
