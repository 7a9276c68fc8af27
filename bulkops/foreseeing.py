"""How long the rest of a job will take, and how many looks at what is awaited: a run in thought, before the real one.

It plays the requests of a plan in their order, with the pace's rate, the lines that wait for others, and the very
rules by which a run looks at what is awaited. What no plan can know is assumed, and told: how long an answer takes,
and how long things take to settle. The range comes from assumptions that are as good and as bad as they may well be.
Failures, and other people on the key, are not foreseen.
"""

from __future__ import annotations

import heapq
from collections import deque
from math import exp, inf
from random import Random
from statistics import median
from typing import TYPE_CHECKING

from bulkops.engines.looks import APART, USUAL_SHARE, WANTED_SHARE, Agenda
from bulkops.model import value
from bulkops.pace.margins import margins_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.planning import Plan
    from bulkops.planning.course import Stretch
    from bulkops.settings import Account

MOST_TURNS = 2_000
MOST_LOOKS = 1_000
"""Of longer jobs the turns are not played: the rate decides, and what ends after the last request hardly counts."""
PLAYED = 1_500
MOST_PLAYS = 9
"""A job is played often enough to have so many turns, so many times at most: times that things take differ."""
WIDTH = 0.6
"""The sigma of the lognormal times that things take to settle: two in three within a factor of 1.8."""
RECONSIDERED = 1.0
"""Seconds after which the price of a look is asked again, as `Watcher` does."""
LAST_TOGETHER = 25
"""Requests that look at many and are sent after the last of the others (benchmarks/polling.py)."""
MIDDLE_SHARE = (USUAL_SHARE + WANTED_SHARE) / 2
_SETTLED = -1


@value
class Guess:
    """What is assumed. `rate`: the share of the limit that the pace reaches. `latency`: seconds of an answer.

    `settling`: how many times as long as usual things take to settle. `told`: whether answers tell what remains.
    """

    rate: float = 0.99
    latency: float = 0.2
    settling: float = 1.0
    told: bool = True


USUAL = Guess()
GOOD = Guess(rate=1.0, latency=0.05, settling=0.5)
BAD = Guess(rate=0.96, latency=1.0, settling=2.0, told=False)


@value
class Foreseen:
    """Seconds and looks: the likely number, and a range."""

    seconds: float
    least: float
    most: float
    looks: int
    fewest_looks: int
    most_looks: int


def foresee(
    plan: Plan,
    account: Account,
    api: Profile,
    *,
    in_flight: int = 16,
    time_scale: float = 1.0,
    others: Mapping[str, Account] | None = None,
) -> Foreseen | None:
    """Return what is to be expected of the rest of a job; None where no limit is known that it could follow from.

    An account's tier is that of our clock, on which the server's runs `time_scale` times as fast. Several accounts (the
    run's own and `others`) go on at the same time: it takes as long as the slowest of them. Where lines of one wait for
    those of another, one after the other is the longest that it may take.
    """
    accounts = {account.name: account, **(others or {})}
    parts = [_Part(plan, each, api, accounts) for each in accounts.values()]
    found = [_foresee(part, in_flight, time_scale) for part in parts]
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return None
    longest = [each.most for each in known]
    return Foreseen(
        max(each.seconds for each in known),
        max(each.least for each in known),
        sum(longest) if any(part.waits for part in parts) else max(longest),
        sum(each.looks for each in known),
        sum(each.fewest_looks for each in known),
        sum(each.most_looks for each in known),
    )


class _Part:
    """What of a plan goes to one of the accounts, the first of which is the run's own."""

    def __init__(self, plan: Plan, account: Account, api: Profile, accounts: Mapping[str, Account]) -> None:
        own = next(iter(accounts))
        self.plan, self.account, self.api = plan, account, api
        load = plan.load(account.name, own)
        self.requests, self.looks = load.requests, load.looks
        # A job of one account may name it or not.
        alone = len(accounts) == 1
        self.stretches = [each for each in plan.course if alone or (each.account or own) == account.name]
        here = {name for each in self.stretches for name in each.names}
        there = {name for each in plan.course for name in each.names} - here
        self.waits = any(not there.isdisjoint(each.sources) for each in self.stretches)
        """Whether some of it waits for what goes to another one; of a long job, that is not known."""
        self.waits |= not alone and not plan.course.whole and len(plan.groups) > 0


def _foresee(part: _Part, in_flight: int, time_scale: float) -> Foreseen | None:
    """Return what is to be expected of one account."""
    turns = part.requests + part.looks
    if not turns:
        return Foreseen(0.0, 0.0, 0.0, 0, 0, 0)
    if part.account.usable.limit is None:
        return None
    if turns > MOST_TURNS or part.looks > MOST_LOOKS or not part.plan.course.whole:
        return _by_rate(part, time_scale)
    plays = 1 if not part.looks else max(1, min(MOST_PLAYS, PLAYED // turns))

    def played(guess: Guess, times: int) -> list[tuple[float, int]]:
        # Chance that is the same each time: equal plans are told equal times.
        chances = [Random(seed) for seed in range(times)]  # noqa: S311 - nothing is kept secret by it
        return [_Played(part, guess, in_flight, time_scale, chance).play() for chance in chances]

    usual, good, bad = played(USUAL, plays), played(GOOD, min(3, plays)), played(BAD, min(3, plays))
    seconds, looks = (median(each[place] for each in usual) for place in (0, 1))
    everything = [*usual, *good, *bad]
    return Foreseen(
        seconds / time_scale,
        min(each[0] for each in everything) / time_scale,
        max(each[0] for each in everything) / time_scale,
        round(looks),
        min(each[1] for each in everything),
        max(each[1] for each in everything),
    )


def _by_rate(part: _Part, time_scale: float) -> Foreseen:
    """Return what follows from the number of requests alone."""
    plan, account, tier = part.plan, part.account, part.account.usable
    assert tier.limit is not None
    per_second = tier.limit / tier.period
    awaited = plan.awaited if part.looks else ()
    looks, likely, most = part.looks, part.looks, round(1.3 * part.looks)
    if awaited and all(part.api.watches[what].most > 1 for what in awaited):
        # One request every so often, but for those that are full; and those at the end, which find little.
        likely = max(looks, round(part.requests / per_second * time_scale / APART)) + LAST_TOGETHER
        most = round(1.5 * likely)
    elif (account.poll_share or (WANTED_SHARE if len(plan.groups) else USUAL_SHARE)) > MIDDLE_SHARE:
        # benchmarks/polling.py: a thousand documents take 1.0 looks each at the usual share, 1.3 at the larger one.
        likely = most
    last = max((part.api.watches[what].usual for what in awaited), default=0.0) / time_scale
    return Foreseen(
        (part.requests + likely) / per_second / USUAL.rate + last,
        (part.requests + looks) / per_second / GOOD.rate,
        (part.requests + most) / per_second / BAD.rate + 10 * last,
        likely,
        looks,
        most,
    )


class _Played:
    """One run in thought. Times are seconds of the server's clock from the begin."""

    def __init__(self, part: _Part, guess: Guess, in_flight: int, time_scale: float, chance: Random) -> None:
        account, tier = part.account, part.account.usable
        assert tier.limit is not None
        self._limit, self._period = tier.limit, tier.period * time_scale
        self._rate = guess.rate * self._limit / self._period
        self._tail = margins_for(tier.limit, tier.period).tail
        self._cushion = margins_for(tier.limit, tier.period).cushion
        self._exclusive, self._share = account.exclusive and guess.told, account.poll_share
        self._guess, self._latency = guess, guess.latency
        self._in_flight, self._chance, self._api = in_flight, chance, part.api
        self._stretches: list[Stretch] = part.stretches
        self._expected = part.requests + part.looks
        self._now = self._due = 0.0
        self._sent: list[float] = []
        self._held = 0
        """Of what was sent, so many are too long ago to count."""
        self._new: deque[int] = deque()
        """Stretches of which operations can begin."""
        self._going: deque[tuple[int, int]] = deque()
        """Operations that have more to send: their stretch, and how many requests are left."""
        self._answers: list[tuple[float, int, int]] = []
        """When which operation hears its answer."""
        self._agenda: Agenda[tuple[int, float]] = Agenda()
        self._awaited = self._wanted = self._looked = 0
        self._owed = 0.0
        self._begun = [0] * len(self._stretches)
        self._open = [stretch.operations for stretch in self._stretches]
        self._missing = [0] * len(self._stretches)
        self._group: dict[int, int] = {}
        """By what they are waited for as, how many stretches of it have not ended."""
        self._after = self._wire()
        """By the same, the stretches that wait."""

    def play(self) -> tuple[float, int]:
        """Return the seconds until everything has ended, and the number of looks."""
        while self._step():
            pass
        return self._now, self._looked

    def _wire(self) -> dict[int, list[int]]:
        """Find out who waits for what."""
        after: dict[int, list[int]] = {name: [] for each in self._stretches for name in each.sources}
        for stretch in self._stretches:
            for name in stretch.names:
                if name in after:
                    self._group[name] = self._group.get(name, 0) + 1
        for place, stretch in enumerate(self._stretches):
            for name in stretch.sources:
                if name in self._group:
                    self._missing[place] += 1
                    after[name].append(place)
            if not self._missing[place]:
                self._new.append(place)
        return after

    def _is_wanted(self, place: int) -> bool:
        return any(name in self._group for name in self._stretches[place].names)

    def _step(self) -> bool:
        """Send the next request, or let time pass; tell whether there is anything left."""
        self._hear()
        work = bool(self._new or self._going)
        if self._awaited:
            self._agenda.reprice(self._awaited, self._rate, self._now, others_wait=work)
        look = self._agenda.next_due() <= self._now
        if not work and not look:
            soon = self._answers[0][0] if self._answers else inf
            soon = min(soon, self._agenda.next_due(), self._now + RECONSIDERED if self._awaited else inf)
            if soon == inf:
                return False
            self._now = max(soon, self._now)
            return True
        if (at := self._when(work=work)) > self._now:
            # What is due by then may go first.
            self._now = at
            return True
        if look and work:
            self._owed += self._share or (WANTED_SHARE if self._wanted else USUAL_SHARE)
            look = self._owed >= 1
            self._owed -= look
        if not (look and self._look()) and work:
            self._work()
        return True

    def _when(self, *, work: bool) -> float:
        """Return when the pace lets the next one go."""
        now, sent = self._now, self._sent
        if not sent:
            return now
        if len(sent) >= self._in_flight and (free := sent[-self._in_flight] + self._latency) > now:
            return free
        while self._held < len(sent) and sent[self._held] + self._latency + self._period <= now:
            self._held += 1
        held = len(sent) - self._held
        left = max(work + self._looked, self._expected - len(sent))
        if self._guess.told and now >= sent[0] + self._latency and held < self._limit:
            if self._exclusive and held + self._cushion < self._limit:
                return now
            if left + self._tail <= self._limit - held:
                return now
        return max(self._due, sent[self._held] + self._latency + self._period if held >= self._limit else now)

    def _send(self) -> float:
        """Send one; return when its answer is there."""
        self._sent.append(self._now)
        self._due = self._now + 1 / self._rate
        return self._now + self._latency

    def _work(self) -> None:
        if self._going:
            place, left = self._going.popleft()
        else:
            place = self._new[0]
            stretch = self._stretches[place]
            self._begun[place] += 1
            left = stretch.requests + (stretch.first if self._begun[place] == 1 else 0)
            if self._begun[place] == stretch.operations:
                self._new.popleft()
        heapq.heappush(self._answers, (self._send() if left else self._now, place, max(left - 1, 0)))

    def _look(self) -> bool:
        """Look at what is due; tell whether anything was."""
        taken = self._agenda.take(self._now)
        if taken is None:
            return False
        self._looked += 1
        heard = self._send()
        for awaited in taken.awaited:
            place, ready = awaited.item
            settled = ready <= heard
            taken.looks.learn(awaited, heard, settled=settled)
            if not settled:
                taken.looks.put_back(awaited)
                continue
            self._awaited -= 1
            self._wanted -= self._is_wanted(place)
            heapq.heappush(self._answers, (heard, place, _SETTLED))
        return True

    def _hear(self) -> None:
        """Hear the answers that are there by now."""
        while self._answers and self._answers[0][0] <= self._now:
            _, place, left = heapq.heappop(self._answers)
            if left > 0:
                self._going.append((place, left))
            elif left != _SETTLED and self._stretches[place].awaits is not None:
                self._await(place)
            else:
                self._end(place)

    def _await(self, place: int) -> None:
        what = self._stretches[place].awaits
        assert what is not None
        watch = self._api.watches[what]
        takes = watch.usual * self._guess.settling * exp(WIDTH * self._chance.gauss(0.0, 1.0))
        self._awaited += 1
        self._wanted += self._is_wanted(place)
        self._agenda.add(
            (place, self._now + takes),
            what,
            watch.usual,
            size=None,
            began=self._now,
            overdue=inf,
            most=watch.most,
        )

    def _end(self, place: int) -> None:
        self._open[place] -= 1
        if self._open[place]:
            return
        for name in self._stretches[place].names:
            if name not in self._group:
                continue
            self._group[name] -= 1
            for waiting in self._after[name] if not self._group[name] else ():
                self._missing[waiting] -= 1
                if not self._missing[waiting]:
                    self._new.append(waiting)
