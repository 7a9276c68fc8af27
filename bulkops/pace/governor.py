"""When the next request may go: a state machine without clock, chance or I/O. Times come in as arguments.

Two guards, independent of each other. The *ledger* of our own requests keeps every window of the server within the
limit, whatever the headers say. The *credit* that the header `Remaining` has proved lets requests go ahead of the
even pace. Each rule and the figure that it buys: docs/pace.md.
"""

from __future__ import annotations

from enum import Enum
from math import ceil, inf
from typing import TYPE_CHECKING

from bulkops.pace.credit import NEVER, Flight
from bulkops.pace.margins import margins_for
from bulkops.pace.pauses import backoff, believed_reset, capped_retry_after
from bulkops.pace.supposed import LEARNT
from bulkops.pace.tiers import LATENESS

if TYPE_CHECKING:
    from bulkops.pace.headers import Told
    from bulkops.pace.margins import Margins
    from bulkops.pace.state import State
    from bulkops.pace.tiers import Allowance

EXPECTED = 1.7
"""So many have to be expected to remain before one goes, as a server may give back more slowly than it should;"""

ASTRAY = 0.5
"""and for each request that the ways put before or behind others so many more."""

FIRST_GAP = 1 / 60
"""Periods that the second one waits at most for the answer to the first, which may tell of limits."""

HURRY = 0.96
"""With credit in hand the gaps of the even pace are so much shorter: it makes up for what it leaves unused."""

VERY_LATE = 0.125
"""Seconds that are made up for, a gap at most: two at short notice are enough."""

RESTED = 0.25
"""Seconds. Who comes later than that was not held up: the pace begins anew, and nothing is made up for."""

UNEVEN = 0.02
"""Periods: more is not believed of the ways. It is what the even pace leaves unused."""

THEIRS = 1.15
"""Others are left so many times what they were seen to use, so that they can grow."""

LEAST_OURS = 0.1
"""However much others use, so much of the rate is ours to try."""

SMALL = 0.3
"""A Remaining that never was above such a share of the limit is that of a small bucket: it shows no use."""

SUSPICION = 10.0
"""Periods for which a sign of others is remembered."""

TOO_MANY = 429


class Refusal(Enum):
    """The kinds of a 429."""

    RATE = "429"
    CROWD = "429: too many in flight"
    BUSY = "429: the service is busy"


class Governor:
    """Decides for one account. Ask `when`, then `grant`; then `hear` the answer, if there is one, and `end`.

    All that it learns is in `state`; the rest follows from that and the allowance.
    """

    def __init__(self, allowance: Allowance, state: State) -> None:
        self._allowance = allowance
        self.state = state
        self.limit: int | None = None
        """What holds now, before any reserve; None as long as nobody has said."""
        self.margins: Margins | None = None
        self.rate = inf
        """The even pace at present, in requests per second."""
        self.cap: int | None = None
        """What others of ours were told to keep to."""
        self._spared = 0
        self._set_limit()

    @property
    def open(self) -> bool:
        """Tell whether it may go on without a limit: nobody has told one, and none is known to exist."""
        return self.margins is None and self._allowance.tier.open

    @property
    def supposed(self) -> bool:
        """Tell whether what it keeps to is only supposed, as the server refused more and told no limit."""
        return self.limit is None and self.margins is not None and self.cap is None

    @property
    def own(self) -> int | None:
        """What our own allowance leaves of the limit."""
        limit, period = self.limit, self.state.ledger.period
        return None if limit is None else self._allowance.reserve.spared(limit, period)

    def adopt(self, state: State, cap: int | None) -> bool:
        """Go on from another state, within a cap that others of ours keep to; tell whether the limit changed."""
        before, self.state, self.cap = self.limit, state, cap
        self._set_limit()
        return self.limit != before

    def exclusive(self, now: float) -> bool:
        """Tell whether nobody else is taken to use the key."""
        return self._allowance.exclusive and now >= self.state.suspect

    def when(self, now: float, left: int) -> float:
        """Return when the next may go: now or earlier, later, or endless until an answer comes.

        `left` is how many requests are still to be sent, as far as is known.
        """
        state, margins, ledger = self.state, self.margins, self.state.ledger
        flying = ledger.granted - ledger.answered
        if now < state.pauses.until:
            return state.pauses.until
        if margins is None:
            # Where no limit is known to exist, what is in flight is all that is bounded.
            full = flying >= state.window.size or (state.probing and state.pauses.refusals)
            return inf if (full if self.open else flying) else now
        if flying >= state.window.size or (state.probing and state.pauses.refusals):
            return inf
        held = ledger.held(now)
        if now < state.due and self._ahead(margins, held, left, now):
            at = now
        else:
            at = state.due
            if state.credit.told > NEVER and (enough := self._forecast(margins, now)) > at:
                at = enough
        if held >= margins.limit and (free := ledger.frees(held - margins.limit + 1)) > at:
            at = free
        if held >= margins.unproved and state.credit.stale(now, ledger.period):
            usual = min(state.ways.mean, UNEVEN * ledger.period)
            at = max(at, ledger.frees(held - margins.unproved + 1) - usual)
        return at

    def evenly(self, left: int) -> bool:
        """Tell whether the next goes by the even pace, whatever an answer tells: so many do not fit into the rest."""
        margins, ledger = self.margins, self.state.ledger
        if margins is None or self._allowance.exclusive:
            return False
        return left + margins.tail > margins.limit - ledger.recent - ledger.granted + ledger.answered

    def grant(self, now: float) -> Flight:
        """Let one go."""
        state, ledger, due = self.state, self.state.ledger, self.state.due
        if self.margins is not None:
            gap = self._gap(self.margins, now)
            begins = now
            if 0 <= now - due < RESTED:
                # Who is late has not used what was his: the next makes up for it.
                begins -= LATENESS if gap < LATENESS else VERY_LATE if gap > VERY_LATE else gap
                if begins < due:
                    begins = due
            state.due = begins + gap
        ledger.granted += 1
        full = ledger.granted - ledger.answered >= state.window.size
        probe = state.pauses.refusals > 0
        state.probing += probe
        return Flight(now, ledger.answered, full, now < due, probe, ledger.granted)

    def undo(self, flight: Flight) -> None:
        """Take back a grant that nobody used."""
        self.state.ledger.granted -= 1
        self.state.probing -= flight.probe
        self.state.due -= 1 / self.rate

    def end(self, flight: Flight, now: float) -> None:
        """Hear that a request is over, answered or not."""
        state = self.state
        if not state.ledger.answered:
            state.due = min(state.due, flight.sent + 1 / self.rate)
        state.ledger.answer(now)
        state.probing -= flight.probe

    def hear(self, flight: Flight, status: int, told: Told, now: float) -> bool:
        """Learn from an answer, before its end; tell whether the limit changed."""
        state, ledger = self.state, self.state.ledger
        state.ways.hear(now - flight.sent, ledger.period)
        changed = told.limit is not None and told.limit != state.told and self._correct(told.limit, now)
        if told.most_in_flight is not None:
            others = (told.now_in_flight or 0) - (ledger.granted - flight.answered)
            state.window.tell(told.most_in_flight, max(0, others))
        elif flight.full:
            state.window.grow(flight.sent, now, ledger.period)
        if told.remaining is not None and self.margins is not None:
            unexplained = state.credit.hear(flight, told.remaining, now, ledger)
            self._watch_others(self.margins, unexplained, now)
        if self.limit is None and state.supposed.grow(now, ledger.period):
            self._set_limit()
        if status != TOO_MANY and state.pauses.refusals and state.pauses.knew(flight.sent):
            state.pauses.refusals = 0
        return changed

    def refused(
        self, flight: Flight, kind: Refusal, told: Told, now: float, chance: float
    ) -> tuple[str | None, float]:
        """Learn from a 429; return the word for the pause that it made, if any, and its seconds."""
        pauses, period = self.state.pauses, self.state.ledger.period
        wait = capped_retry_after(told.retry_after, period)
        if kind is not Refusal.CROWD and self.state.supposed.limit is None:
            self.state.supposed.refused += 1
        if kind is Refusal.CROWD:
            news = self.state.window.refuse(flight.sent, now)
            if not news or self.state.window.size > 1:
                # Fewer at once is the cure; the rate is as it was.
                return pauses.rest(now, flight.sent, wait if news else 0.0), wait
        if pauses.knew(flight.sent):
            if kind is Refusal.RATE:
                self._suspect(now)
                self.state.credit.cancel(self.state.ledger)
            self._suppose(now)
            # A busy service, or a refusal while more remains, has nothing to do with when the limit is reset.
            spent = kind is Refusal.RATE and not told.remaining
            reset = believed_reset(told.reset, period) if spent and not wait else 0.0
            wait = max(wait, reset, backoff(pauses.refusals, period, chance))
            pauses.refusals += 1
        return pauses.rest(now, flight.sent, wait), wait

    def _suppose(self, now: float) -> None:
        """Take it, where no limit is known, that the server takes about what it took in the last period."""
        ledger, supposed = self.state.ledger, self.state.supposed
        if self.limit is not None or not self._allowance.tier.open:
            return
        ledger.held(now)
        whole = ledger.answered > ledger.recent
        if whole or ledger.age(now) >= LEARNT * ledger.period:
            supposed.refuse(ledger.recent, now, whole=whole)
            self._set_limit()

    def _gap(self, margins: Margins, now: float) -> float:
        """Return how long after one that goes now the even pace lets the next go."""
        state, ledger, gap = self.state, self.state.ledger, 1 / self.rate
        if state.credit.stale(now, ledger.period):
            gap *= 1 + self._uneven() / ledger.period
        elif now >= state.suspect and state.credit.vouched - ledger.granted > self._spared + margins.cushion:
            gap *= HURRY
        return gap if ledger.granted else max(gap, FIRST_GAP * ledger.period)

    def _uneven(self) -> float:
        """Return the seconds by which requests drift apart on their ways, as far as that is believed."""
        spread, most = self.state.ways.spread, UNEVEN * self.state.ledger.period
        return spread if spread < most else most

    def _ahead(self, margins: Margins, held: int, left: int, now: float) -> bool:
        """Tell whether one may go before the even pace lets it: whoever is alone, or a job that fits."""
        credit, ledger = self.state.credit, self.state.ledger
        if self.exclusive(now):
            return credit.left(now, ledger) - self._spared > margins.cushion
        needed, room = left + margins.tail, margins.limit - held
        if needed > room:
            return False
        return needed + self.state.others.count <= min(room, credit.left(now, ledger) - self._spared)

    def _forecast(self, margins: Margins, now: float) -> float:
        """Return when enough is expected to remain."""
        state = self.state
        if now < state.suspect:
            wanted = 1.0 + min(margins.race, state.credit.largest)
        else:
            wanted = EXPECTED + ASTRAY * self._uneven() * self.rate
        return state.credit.expects(wanted + self._spared, self.rate, state.ledger.granted)

    def _watch_others(self, margins: Margins, unexplained: int, now: float) -> None:
        """Compare what remains with what our own requests explain."""
        state, credit, ledger = self.state, self.state.credit, self.state.ledger
        turned = state.others.turn(ledger.held(now), now, ledger.period)
        seen = unexplained if unexplained >= margins.race else 0
        if state.told is not None and credit.largest >= SMALL * state.told:
            used = state.told - credit.remaining - margins.race
            if used > seen:
                seen = max(seen, used - state.others.ours)
        if seen > 0:
            state.others.note(seen)
            self._suspect(now)
        if turned or seen > 0 or margins.limit != self.limit:
            self._set_rate(margins)

    def _suspect(self, now: float) -> None:
        """Take it that others use the key."""
        self.state.suspect = now + SUSPICION * self.state.ledger.period

    def _correct(self, limit: int, now: float) -> bool:
        """Take over another limit that the server names; tell whether that changes ours."""
        state = self.state
        state.told = limit
        state.credit.forget(state.ledger)
        state.others.forget()
        before = self.limit
        self._set_limit()
        if self.limit == before:
            return False
        state.due = min(state.due, now + 1 / self.rate)
        return True

    def _set_limit(self) -> None:
        """Keep to the lowest of what the server, the user and others of ours say."""
        told, given = self.state.told, self._allowance
        self.limit = given.tier.limit if told is None else told
        if given.fixed and self.limit is not None and given.tier.limit is not None:
            # A rate that the user fixed is only lowered.
            self.limit = min(self.limit, given.tier.limit)
        supposed = self.state.supposed.limit if self.limit is None and given.tier.open else None
        if supposed is not None:
            supposed = given.reserve.spared(int(supposed), self.state.ledger.period)
        limits = [limit for limit in (self.own, self.cap, supposed) if limit is not None]
        if not limits:
            self.margins, self.rate = None, inf
        else:
            if self.margins is None or self.margins.limit != min(limits):
                self.margins = margins_for(min(limits), self.state.ledger.period)
            self._set_rate(self.margins)

    def _set_rate(self, margins: Margins) -> None:
        """Leave others their part."""
        limit, theirs = self.limit or margins.limit, self.state.others.count
        part = (THEIRS * theirs + margins.race) / margins.limit if theirs else 0.0
        self.rate = margins.rate * max(LEAST_OURS, 1 - part)
        if limit > margins.limit:
            # A small bucket has only so much to reserve.
            self._spared = ceil(self.state.credit.largest * (1 - margins.limit / limit))
