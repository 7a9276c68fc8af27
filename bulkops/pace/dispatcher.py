"""One account's dispatcher: whose turn it is, then a token from the bucket, then the grant."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio
from aiolimiter import AsyncLimiter

from bulkops.errors import UsageError
from bulkops.pace.grants import Grants
from bulkops.pace.headers import seconds_to_reset, seconds_to_retry, told_limit, told_remaining
from bulkops.pace.pauses import Pauses, backoff, capped_reset, capped_retry_after
from bulkops.pace.tiers import bucket_for
from bulkops.pace.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulkops.api.profile import RateHeaders
    from bulkops.model import RequestClass
    from bulkops.pace.tiers import Allowance
    from bulkops.pace.waiting import Place

TOO_MANY = 429
FIRST_REFUSAL = 400


@dataclass(frozen=True, slots=True)
class Senses:
    """What a dispatcher perceives and tells besides its requests; the same for all accounts."""

    headers: RateHeaders
    chance: Callable[[], float]
    wall: Callable[[], float]
    told: Callable[..., object]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an account stands: its limit and who said so, how much of it is used, who waits, who rested."""

    limit: int | None
    period: float
    source: str
    granted_last_period: int
    pauses: int
    paused_seconds: float
    waiting: int


class Dispatcher:
    """Decides who goes when; `run` is its one task.

    A token is taken and granted in one breath. One that cannot be granted (its waiter vanished, or a pause
    began meanwhile) is *spare*: the next one gets it. What has leaked from the bucket since a spare token was
    taken is taken again when it is used, so keeping it never adds to the burst.
    """

    def __init__(self, account: str, allowance: Allowance, senses: Senses) -> None:
        self._account = account
        self._given = allowance
        self._senses = senses
        self._tier = allowance.tier
        self._source = allowance.source
        self._now = asyncio.get_running_loop().time
        self._waiting = Waiting()
        self._pauses = Pauses()
        self._grants = Grants(allowance.tier.period)
        self._limiter = None if self._tier.limit is None else _limiter(self._tier.limit, self._tier.period)
        self._spare: list[float] = []
        self._alone = False
        """While the limit is unknown: one is under way and nobody else may go."""
        self._error: Exception | None = None
        self._bell = asyncio.Event()
        self._scope = anyio.CancelScope()

    async def run(self) -> None:
        """Serve those who wait until cancelled; `_restart` makes it look at everything anew."""
        while True:
            with anyio.CancelScope() as self._scope:
                while True:
                    await self._serve()

    async def enter(self, request_class: RequestClass) -> float:
        """Return, with the time of the grant, when a request of this class may go."""
        if self._error is not None:
            raise self._error.with_traceback(None)
        now = self._now()
        limiter = self._limiter
        if limiter is not None and now >= self._pauses.until and not self._waiting and limiter.has_capacity():
            await limiter.acquire()  # has room: returns without a task switch
        else:
            now = await self._wait(request_class)
        self._grants.add(now)
        return now

    def left(self) -> None:
        """Hear that a turn ended, with or without an answer."""
        if self._alone:
            self._alone = False
            self._bell.set()

    def heard(self, granted: float, status: int, headers: Mapping[str, str]) -> None:
        """Learn from the answer to a request that was granted then."""
        limit = told_limit(self._senses.headers, headers)
        if limit is not None:
            self._correct(limit)
        elif self._tier.limit is None and status < FIRST_REFUSAL:
            self.close(
                UsageError(f"the server does not tell the limit of account {self._account}: give --rate")
            )
        if status == TOO_MANY:
            self._refused(granted, headers)
        elif status < FIRST_REFUSAL and self._pauses.refusals and self._pauses.knew(granted):
            self._pauses.refusals = 0
        if told_remaining(self._senses.headers, headers) == 0:
            self._pause(granted, self._reset(headers), "nothing remaining")

    def close(self, error: Exception) -> None:
        """Let everybody who waits and everybody who comes raise `error`; the first one given stays."""
        if self._error is None:
            self._error = error
            while (place := self._waiting.take()) is not None:
                place.set_result(None)

    def standing(self) -> Standing:
        """Say where the account stands."""
        now = self._now()
        return Standing(
            limit=self._tier.limit,
            period=self._tier.period,
            source=self._source,
            granted_last_period=self._grants.last_period(now),
            pauses=self._pauses.count,
            paused_seconds=self._pauses.rested(now),
            waiting=len(self._waiting),
        )

    async def _serve(self) -> None:
        await self._renew()
        if self._alone or not self._waiting:
            self._bell.clear()
            await self._bell.wait()
        elif (rest := self._pauses.until - self._now()) > 0:
            await anyio.sleep(rest)
        else:
            await self._take()
            self._pass_on(self._now())

    async def _take(self) -> None:
        if self._limiter is None:
            return
        if not self._spare:
            await self._limiter.acquire()
            return
        leaked = (self._now() - self._spare[-1]) * self._limiter.max_rate / self._limiter.time_period
        await self._limiter.acquire(min(1.0, leaked))
        del self._spare[-1:]  # none is left if the limit was corrected in this very turn of the loop

    def _pass_on(self, now: float) -> None:
        place = self._waiting.take() if now >= self._pauses.until else None
        if place is not None:
            self._alone = self._tier.limit is None
            place.set_result(now)
        elif self._tier.limit is not None:
            self._spare.append(now)

    async def _wait(self, request_class: RequestClass) -> float:
        place: Place = asyncio.get_running_loop().create_future()
        self._waiting.add(place, request_class)
        self._bell.set()
        try:
            granted = await place
        except asyncio.CancelledError:
            self._vanished(place)
            raise
        if granted is None:
            assert self._error is not None
            raise self._error.with_traceback(None)
        return granted

    def _vanished(self, place: Place) -> None:
        if place.cancelled():
            self._waiting.drop(place)
        elif (granted := place.result()) is not None:
            if self._tier.limit is not None:
                self._spare.append(granted)
            self._alone = False
            self._restart()

    def _restart(self) -> None:
        self._bell.set()
        self._scope.cancel()

    async def _renew(self) -> None:
        """Set up the bucket of a limit just learnt, without credit: its burst may have been spent already."""
        if self._limiter is None and self._tier.limit is not None:
            limiter = _limiter(self._tier.limit, self._tier.period)
            await limiter.acquire(limiter.max_rate)
            self._limiter = limiter

    def _correct(self, limit: int) -> None:
        ours = self._given.tier.limit
        if self._given.fixed and ours is not None:
            limit = min(limit, ours)
        if limit == self._tier.limit:
            return
        self._tier = replace(self._tier, limit=limit)
        self._source = self._given.source if limit == ours else "header"
        self._limiter = None
        self._spare.clear()
        self._alone = False
        self._restart()
        self._senses.told(
            "limit", account=self._account, limit=limit, period=self._tier.period, source=self._source
        )

    def _refused(self, granted: float, headers: Mapping[str, str]) -> None:
        period = self._tier.period
        asked = seconds_to_retry(self._senses.headers, headers, self._senses.wall())
        wait = capped_retry_after(asked, period)
        if self._pauses.knew(granted):
            own = backoff(self._pauses.refusals, period, self._senses.chance())
            wait = max(wait, self._reset(headers), own)
            self._pauses.refusals += 1
        self._pause(granted, wait, "429")

    def _reset(self, headers: Mapping[str, str]) -> float:
        told = seconds_to_reset(self._senses.headers, headers, self._senses.wall())
        return capped_reset(told, self._tier.period)

    def _pause(self, granted: float, wait: float, reason: str) -> None:
        word = self._pauses.rest(self._now(), granted, wait)
        if word is not None:
            self._senses.told(word, account=self._account, seconds=wait, reason=reason)


def _limiter(limit: int, period: float) -> AsyncLimiter:
    bucket = bucket_for(limit, period)
    return AsyncLimiter(bucket.burst, bucket.burst / bucket.per_second)
