"""One history, as data: what a client is given to do, and everything that goes wrong meanwhile."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from enum import Enum

SETTLE = 60.0
TAIL = 45.0
"""So long after it was sent a request may take effect; with the lag of the listing it is less than `SETTLE`."""
LAG = 10.0
LIMIT = 100.0
"""So long an attempt may last."""
NAMES = ("Anna", "Bert", "Cleo")


class End(Enum):
    """How an attempt ends as the client hears it."""

    ANSWER = "the answer"
    REFUSED = "400"
    POSTPONED = "429"
    ERROR = "500"
    RESET = "a reset"
    TIMEOUT = "nothing, until the time was up"
    CUT = "half an answer"
    NO_ID = "an answer without id"
    UNREACHABLE = "no connection"
    STUCK = "a reset before the body had left"
    LAST = "the answer to an earlier request"
    NEXT = "the answer to a request that is still waiting for it"


EFFECTLESS = (End.REFUSED, End.POSTPONED, End.UNREACHABLE, End.STUCK)
SURE = (End.ANSWER, End.CUT, End.NO_ID, End.LAST, End.NEXT)


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one attempt: whether and when it takes effect, what is heard and when (seconds after sending)."""

    end: End = End.ANSWER
    effect: float | None = 0.05
    heard: float = 0.1

    def __str__(self) -> str:
        """Say it in a line."""
        took = "no effect" if self.effect is None else f"takes effect after {self.effect:.2f} s"
        return f"{took}, {self.end.value} is heard after {self.heard:.2f} s"


@dataclass(frozen=True, slots=True)
class Crash:
    """The process ends so many seconds after it began; the next begins later, its wall clock off by `clock`."""

    after: float
    power: bool
    down: float
    clock: float
    edited: int | None = None
    """The operation whose line is edited meanwhile."""

    def __str__(self) -> str:
        """Say it in a line."""
        edit = "" if self.edited is None else f", operation {self.edited} is edited"
        what = "the power fails" if self.power else "it is killed"
        after = f"down for {self.down:.1f} s, then the clock is off by {self.clock:.0f} s"
        return f"{what} after {self.after:.3f} s, {after}{edit}"


@dataclass(frozen=True, slots=True)
class Foreign:
    """Somebody else makes something at a moment, or removes what somebody else made."""

    at: float
    name: str
    makes: bool = True

    def __str__(self) -> str:
        """Say it in a line."""
        return f"at {self.at:.1f} s somebody else {'makes a' if self.makes else 'removes a'} {self.name}"


@dataclass(frozen=True, slots=True)
class Order:
    """One operation: the name and the variant of what it makes, and whether the API lists such things."""

    name: str
    variant: int
    listed: bool = True
    takes: float = 0.0
    """Seconds from its answer to its end, as where something has to settle."""

    def __str__(self) -> str:
        """Say it in a line."""
        takes = f", ends {self.takes:.1f} s after its answer" if self.takes else ""
        return f"{self.name}, variant {self.variant}{'' if self.listed else ', not listed'}{takes}"


@dataclass(frozen=True, slots=True)
class History:
    """Everything that happens. Fates are by the number of the attempt, all others end well."""

    seed: int
    orders: tuple[Order, ...]
    fates: tuple[tuple[int, Fate], ...] = ()
    crashes: tuple[Crash, ...] = ()
    foreign: tuple[Foreign, ...] = ()
    lost_pages: tuple[int, ...] = ()
    """The reads, by number, that are answered 500."""
    before: tuple[str, ...] = ()
    """The names of what is there already, oldest first."""
    workers: int = 2
    lag: float = 0.0
    newest_first: bool = False
    ages: bool = True
    """Rows tell when their thing was made."""
    page: int = 5
    clock: float = 0.0
    """How many seconds the client's clock is ahead of the server's."""
    stamps: bool = False

    def __str__(self) -> str:
        """Lay it out for people."""
        listing = (
            f"{'newest' if self.newest_first else 'oldest'} first, {self.page} a page, {self.lag:.1f} s late"
        )
        stamps = ", stamps" if self.stamps else ""
        lines = [
            f"seed {self.seed}: {self.workers} workers, clock off by {self.clock:.0f} s{stamps}",
            f"  listing: {listing}{'' if self.ages else ', no ages'}; there before: {', '.join(self.before) or '-'}",
            *(f"  operation {number}: {order}" for number, order in enumerate(self.orders)),
            *(f"  attempt {number}: {fate}" for number, fate in self.fates),
            *(f"  read {number} is answered 500" for number in self.lost_pages),
            *(f"  process {number}: {crash}" for number, crash in enumerate(self.crashes)),
            *(f"  {act}" for act in self.foreign),
        ]
        return "\n".join(lines)


def history_of(seed: int) -> History:
    """Return the history of a seed."""
    chance = random.Random(seed)
    pick, under = chance.random, chance.uniform
    stamps = pick() < 0.15
    ages = pick() < 0.85
    names = NAMES[: chance.randint(1, 3)]
    orders = tuple(
        Order(chance.choice(names), int(pick() < 0.25), pick() < 0.85) for _ in range(chance.randint(1, 6))
    )
    trouble = under(0.1, 0.9)
    fates = tuple((number, _fate(chance)) for number in range(14) if pick() < trouble)
    crashes = tuple(
        Crash(
            after=10 ** under(-2.5, 2.2),
            power=pick() < 0.5,
            down=10 ** under(-1, 3),
            clock=_clock(chance),
            edited=chance.randrange(len(orders)) if pick() < 0.15 else None,
        )
        for _ in range(chance.choice((0, 1, 1, 2, 3)))
    )
    # Without a stamp nobody can tell a thing of ours from one that somebody else makes under the same name.
    others = NAMES if stamps else ("Otto",)
    foreign = tuple(
        Foreign(10 ** under(-1, 2.3), chance.choice(others), not ages or pick() < 0.6)
        for _ in range(chance.choice((0, 0, 1, 2, 4)))
    )
    return History(
        seed=seed,
        fates=fates,
        crashes=crashes,
        foreign=foreign,
        lost_pages=tuple(number for number in range(12) if pick() < 0.1),
        before=tuple(chance.choice((*NAMES, "Otto")) for _ in range(chance.choice((0, 1, 3, 8, 14)))),
        workers=chance.randint(1, 4),
        lag=chance.choice((0.0, 0.0, under(0.0, LAG))),
        newest_first=pick() < 0.5,
        ages=ages,
        page=chance.choice((2, 3, 5, 50)),
        clock=_clock(chance),
        stamps=stamps,
        # The last to be chosen: what a seed was before stays as it was.
        orders=tuple(replace(order, takes=under(1, 100)) if pick() < 0.5 else order for order in orders),
    )


def _clock(chance: random.Random) -> float:
    return chance.choice((0.0, 0.0, chance.uniform(-3, 3), chance.uniform(-4000, 4000)))


def _fate(chance: random.Random) -> Fate:
    end = chance.choice(tuple(End))
    heard = LIMIT if end is End.TIMEOUT else 10 ** chance.uniform(-2, 0.5)
    if end in EFFECTLESS:
        return Fate(end, None, heard)
    if end in SURE:
        return Fate(end, heard * chance.random(), heard)
    if chance.random() < 0.4:
        return Fate(end, None, heard)
    return Fate(end, chance.uniform(0, chance.choice((min(heard, TAIL), TAIL))), heard)
