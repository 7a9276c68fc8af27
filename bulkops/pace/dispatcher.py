"""One account's dispatcher: whose turn it is, when the governor lets it go, and then a token from the bucket."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from bulkops.errors import UsageError
from bulkops.pace.governor import TOO_MANY, Governor, Refusal
from bulkops.pace.headers import read
from bulkops.pace.members import Member
from bulkops.pace.standing import Standing
from bulkops.pace.state import State
from bulkops.pace.together import Together
from bulkops.pace.tokens import Tokens
from bulkops.pace.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulkops.api.profile import RateHeaders
    from bulkops.model import RequestClass
    from bulkops.pace.credit import Flight
    from bulkops.pace.headers import Told
    from bulkops.pace.sharing import Place as KeptAt
    from bulkops.pace.tiers import Allowance
    from bulkops.pace.waiting import Place

FIRST_REFUSAL = 400

ANOTHER = "429 to another run"
"""The reason of a pause that another process drew, or an earlier one."""

SUPPOSED = "refusals"
"""The source of a limit that nobody told."""

FASTER = 1.05
"""The bucket leaks so much faster than the even pace, which may hurry a little when there is credit."""


@dataclass(frozen=True, slots=True)
class Senses:
    """What a dispatcher perceives and tells besides its requests; the same for all accounts."""

    headers: RateHeaders
    chance: Callable[[], float]
    wall: Callable[[], float]
    told: Callable[..., object]
    most: int
    """So many may be in flight at once, by word of the user."""


class Dispatcher:
    """Decides who goes when, whenever somebody comes, an answer comes, or a timer that it set runs out.

    Each time it does so in a `with self._together`, in which the state that it may share with other processes is ours.
    """

    def __init__(self, account: str, allowance: Allowance, senses: Senses, kept: KeptAt | None) -> None:
        self._account = account
        self._given = allowance
        self._senses = senses
        self._source = allowance.source
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._now = loop.time
        self._governor = Governor(allowance, State.fresh(allowance.tier.period))
        self._mine = Member()
        self._waiting = Waiting()
        self._expected = 0
        self._even: Tokens | None = None
        self._ahead: Tokens | None = None
        self._rate = inf
        self._timer: asyncio.TimerHandle | None = None
        self._wakes = inf
        self._error: Exception | None = None
        self._together = Together(
            self._governor,
            self._mine,
            self._describe,
            changed=self._tell_limit,
            rests=self._tell_rest,
            failed=self._unshared,
        )
        if kept is not None:
            self._together.join(kept)

    async def enter(self, request_class: RequestClass) -> Flight:
        """Return, with what is remembered of the grant, when a request of this class may go."""
        if self._error is not None:
            raise self._error.with_traceback(None)
        flight, first = None, not self._waiting.count
        if first:
            with self._together as now:
                if self._when(now, 1) <= now:
                    flight = self._grant(now)
        if flight is None:
            flight = await self._wait(request_class, first=first)
        bucket = self._bucket(flight)
        if bucket is not None and not bucket.spend():
            try:
                await bucket.take()
            except asyncio.CancelledError:
                self._give_back(flight)
                raise
        return flight

    def left(self, flight: Flight) -> None:
        """Hear that a turn ended without an answer."""
        with self._together as now:
            self._end(flight, now)

    def heard(self, flight: Flight, status: int, headers: Mapping[str, str], kind: str | None) -> None:
        """Learn from the answer to a request, which is over with it; `kind` is the code that a refusal carried."""
        senses, refused = self._senses, status == TOO_MANY
        told = read(senses.headers, headers, refused=refused, wall=senses.wall() if refused else 0.0)
        with self._together as now:
            try:
                governor = self._governor
                unknown = governor.margins is None and not governor.open
                if unknown and told.limit is None and status < FIRST_REFUSAL:
                    words = f"the server does not tell the limit of account {self._account}: give --rate"
                    self.close(UsageError(words))
                if self._governor.hear(flight, status, told, now):
                    self._together.urgent = True
                    self._tell_limit()
                if refused:
                    self._together.urgent = True
                    self._rest(flight, self._cause(kind), told, now)
            finally:
                self._end(flight, now)

    def expect(self, count: int) -> None:
        """Hear how many requests are still to come, as far as is known."""
        self._expected = count

    def share(self, share: float) -> None:
        """Give polls such a share of the turns while work waits."""
        self._waiting.share(share)

    def close(self, error: Exception) -> None:
        """Let everybody who waits and everybody who comes raise `error`; the first one given stays."""
        if self._error is None:
            self._error = error
            self._sleep(inf)
            while (place := self._waiting.take()) is not None:
                place.set_result(None)

    def leave(self) -> None:
        """Share with others no more; what is remembered stays for whoever comes next."""
        self._together.leave()

    def standing(self) -> Standing:
        """Say where the account stands."""
        now, state, governor = self._now(), self._state, self._governor
        return Standing(
            limit=None if governor.margins is None else governor.margins.limit,
            period=state.ledger.period,
            source=SUPPOSED if governor.supposed else self._source,
            granted_last_period=state.ledger.held(now),
            pauses=state.pauses.count,
            paused_seconds=state.pauses.rested(now),
            waiting=self._waiting.count,
            waiting_work=self._waiting.work,
            waiting_polls=self._waiting.polls,
            in_flight=state.ledger.in_flight,
            window=min(state.window.size, self._senses.most),
            per_second=governor.rate,
            others=state.others.count,
            mode="exclusive" if governor.exclusive(now) else "shared",
            processes=1 + len(self._together.others),
            granted=self._mine.granted,
        )

    @property
    def _state(self) -> State:
        return self._governor.state

    async def _wait(self, request_class: RequestClass, *, first: bool) -> Flight:
        place: Place = self._loop.create_future()
        self._waiting.add(place, request_class)
        if first:  # else who came before has seen to the timer
            with self._together as now:
                self._pump(now)
        try:
            flight = await place
        except asyncio.CancelledError:
            if place.cancelled():
                self._waiting.drop(place)
            elif (given := place.result()) is not None:
                self._give_back(given)
            raise
        if flight is None:
            assert self._error is not None
            raise self._error.with_traceback(None)
        return flight

    def _rest(self, flight: Flight, cause: Refusal, told: Told, now: float) -> None:
        governor, before = self._governor, self._governor.margins
        word, wait = governor.refused(flight, cause, told, now, self._senses.chance())
        if governor.supposed and governor.margins is not before:
            self._tell_limit()
        if word is not None:
            self._senses.told(word, account=self._account, seconds=wait, reason=cause.value)

    def _end(self, flight: Flight, now: float) -> None:
        """Count a request as over, and let others go in its place."""
        self._mine.end(flight)
        governor, waiting = self._governor, self._waiting.count
        governor.end(flight, now)
        if waiting and self._wakes == governor.state.due and not self._together.others:
            # Whoever is next goes by the even pace, unless an answer may have changed that: four of sixty µs.
            if governor.evenly(waiting if waiting > self._expected else self._expected):
                return
        elif not waiting and self._timer is None:
            return
        self._pump(now)

    def _pump(self, now: float) -> None:
        """Let go who may go, and set the timer for the next."""
        while waiting := self._waiting.count:
            at = self._when(now, waiting)
            if at > now:
                self._sleep(self._together.next_look(at))
                return
            flight = self._grant(now)
            place = self._waiting.take()
            if place is None:
                self._undo(flight)
                break
            place.set_result(flight)
            if self._goes_evenly(now):
                return
        self._sleep(inf)

    def _goes_evenly(self, now: float) -> bool:
        """Sleep until the even pace lets the next go, where it cannot be earlier; whether it is later is asked then."""
        governor, waiting = self._governor, self._waiting.count
        due = governor.state.due
        if not waiting or due <= now or self._together.others:
            return False
        if not governor.evenly(waiting if waiting > self._expected else self._expected):
            return False
        self._sleep(due)
        return True

    def _when(self, now: float, waiting: int) -> float:
        """Return when one of so many may go: as the governor says, unless it is somebody else's turn."""
        mine, others = self._mine, self._together
        if mine.granted - mine.answered >= self._senses.most:
            return inf
        left = waiting if waiting > self._expected else self._expected
        at = self._governor.when(now, left + others.left)
        return others.polite(at) if others.others and at <= now else at

    def _grant(self, now: float) -> Flight:
        if self._expected:
            self._expected -= 1
        flight = self._governor.grant(now)
        self._mine.serve(flight)
        return flight

    def _undo(self, flight: Flight) -> None:
        self._governor.undo(flight)
        self._mine.undo(flight)

    def _give_back(self, flight: Flight) -> None:
        with self._together as now:
            self._undo(flight)
            self._pump(now)

    def _sleep(self, until: float) -> None:
        if until == self._wakes:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wakes = until
        self._timer = None if until == inf else self._loop.call_at(until, self._wake)

    def _wake(self) -> None:
        self._timer, self._wakes = None, inf
        try:
            with self._together as now:
                self._pump(now)
        except Exception as error:  # noqa: BLE001 - a timer has no caller: those who wait raise what it met
            self.close(error)

    def _describe(self) -> None:
        """Say how things are with us, for the others."""
        waits = self._waiting.count > 0 and self._mine.flying < self._senses.most
        self._mine.left = max(self._waiting.count, self._expected)
        self._mine.wait(self._together.others.values(), self._together.now, waits=waits)

    def _tell_rest(self, seconds: float, longer: bool) -> None:  # noqa: FBT001 - as it is called
        word = "lengthened" if longer else "paused"
        self._senses.told(word, account=self._account, seconds=seconds, reason=ANOTHER)

    def _unshared(self, error: OSError) -> None:
        self._senses.told("unshared", account=self._account, reason=f"{error.filename}: {error.strerror}")

    def _bucket(self, flight: Flight) -> Tokens | None:
        """Return the bucket for a request: of the even pace, or of the whole limit for one that goes ahead of it."""
        if self._governor.rate != self._rate:
            self._renew_buckets()
        return self._ahead if flight.ahead else self._even

    def _renew_buckets(self) -> None:
        margins, rate = self._governor.margins, self._governor.rate
        if margins is None:
            self._even = self._ahead = None
        else:
            room = margins.burst + 1  # as who is late does not put off the next
            self._even = Tokens(room, rate * FASTER, margins.burst)
            self._ahead = Tokens(margins.limit, margins.limit / self._state.ledger.period, margins.burst)
        self._rate = rate

    def _cause(self, kind: str | None) -> Refusal:
        if kind in self._senses.headers.crowded:
            return Refusal.CROWD
        return Refusal.BUSY if kind in self._senses.headers.busy else Refusal.RATE

    def _tell_limit(self) -> None:
        given, governor, period = self._given, self._governor, self._state.ledger.period
        self._source = given.source if governor.limit == given.tier.limit else "header"
        limit, source = governor.limit, self._source
        if governor.supposed and governor.margins is not None:
            limit, source = governor.margins.limit, SUPPOSED
        self._senses.told("limit", account=self._account, limit=limit, period=period, source=source)
