"""How long things take to settle, learned from looks at them. Pure: ages come in, in seconds.

A life table, as actuaries keep it: for each span of age, how many of those that lived to see it settled in it. A look
tells only that something has settled since the look before, or that it has not; what has settled counts in every span
in between, by the chance that the table gives each (the expectation step of EM for data that are censored in
intervals). So a table takes any shape, also one of two peaks, and a look costs a few additions.
"""

from __future__ import annotations

from itertools import pairwise
from math import exp, log, log1p, log2

SHORTEST = 0.5
"""Seconds; younger things are told apart by nothing."""
SPANS_TO_DOUBLE = 3
SPANS = 48
"""Up to nine hours; the last one goes on for ever."""

STEEPNESS = 1.7
"""Of the log-logistic times that are expected before anything is known: about as wide as a lognormal, sigma 1."""
EXPECTATION = 3.0
"""What is expected weighs as much as so many things that went through every span."""

FOLLOWING_SIZE = (0.0, 0.5, 1.0)
"""How the time may grow with the size: not at all, with its root, in proportion to it."""
HEAD_START = 3.0
"""So much better than without the size (in logarithms of likelihood) the others have to foretell."""
EVEN = 0.5
SUREST = 1e-6
"""Nothing is foretold with more confidence."""
NEGLIGIBLE = 0.01
"""Looks of less weight are not counted, which saves the time."""


class LifeTable:
    """For each span of age the rate at which things settle; `score` tells how well it has foretold so far.

    Ages come as places on a logarithmic scale on which each span is one long.
    """

    __slots__ = ("_lived", "_rates", "_settled", "score")

    def __init__(self, median: float) -> None:
        ends = [0.0, *(SHORTEST * 2 ** (number / SPANS_TO_DOUBLE) for number in range(1, SPANS + 1))]
        self._rates = [
            log1p((b / median) ** STEEPNESS) - log1p((a / median) ** STEEPNESS) for a, b in pairwise(ends)
        ]
        self._settled = [EXPECTATION * rate for rate in self._rates]
        self._lived = [EXPECTATION] * SPANS
        self.score = 0.0

    def chance(self, after: float, until: float) -> float:
        """Return how likely something that had not settled at one place has at a later one."""
        first, last = min(int(after), SPANS - 1), min(int(until), SPANS - 1)
        whole = sum(self._rates[first:last]) - self._rates[first] * (after - first)
        return 1.0 - exp(-whole - self._rates[last] * (until - last))

    def when(self, after: float, chance: float) -> float:
        """Return the place by which something that had not settled at another has, with that chance."""
        left = -log(1.0 - chance)
        span = min(int(after), SPANS - 1)
        while (step := self._rates[span] * (span + 1 - after)) < left and span < SPANS - 1:
            left -= step
            span += 1
            after = span
        return after + left / self._rates[span]

    def learn(self, after: float, until: float, *, settled: bool) -> None:
        """Hear that something which had not settled at one place has at a later one, or has not."""
        chance = min(max(self.chance(after, until), SUREST), 1.0 - SUREST)
        self.score += log(chance if settled else 1.0 - chance)
        # A look at what has almost surely settled must not confirm what is only believed about when it did.
        weight = 1.0 if chance <= EVEN else 4.0 * chance * (1.0 - chance)
        if weight < NEGLIGIBLE:
            return
        alive = 1.0
        for span, part in _parts(after, until):
            lived = 1.0
            if settled:
                still = alive * exp(-self._rates[span] * part)
                self._settled[span] += weight * (alive - still) / chance
                lived = ((alive + still) / 2 - (1.0 - chance)) / chance
                alive = still
            self._lived[span] += weight * part * lived
            self._rates[span] = self._settled[span] / self._lived[span]


def _parts(after: float, until: float) -> list[tuple[int, float]]:
    """Return the spans between two places, each with how much of it lies between them."""
    first, last = min(int(after), SPANS - 1), min(int(until), SPANS - 1)
    if first == last:
        return [(first, until - after)]
    return [
        (first, first + 1 - after),
        *((span, 1.0) for span in range(first + 1, last)),
        (last, until - last),
    ]


class Readiness:
    """When something will have settled, by its age and its size. `median` is what is expected at first, in seconds.

    Whether the time follows the size is learned as well: the table that has foretold best is asked.
    """

    __slots__ = ("_tables", "_usual", "looks")

    def __init__(self, median: float) -> None:
        self._tables = [LifeTable(median) for _ in FOLLOWING_SIZE]
        self._tables[0].score = HEAD_START
        self._usual = 0
        """The size that the others are measured by: the first."""
        self.looks = 0
        """How many have been learned from."""

    def doublings(self, size: int | None) -> float:
        """Return how often a size has to be doubled to get this one; nought where it is not known."""
        if not size:
            return 0.0
        self._usual = self._usual or size
        return log2(size / self._usual)

    def when(self, after: float, chance: float, doublings: float) -> float:
        """Return the age at which something not settled at another age has, with that chance."""
        best = max(range(len(FOLLOWING_SIZE)), key=lambda number: self._tables[number].score)
        shift = FOLLOWING_SIZE[best] * doublings
        return _age(self._tables[best].when(_place(after, shift), chance), shift)

    def learn(self, after: float, until: float, doublings: float, *, settled: bool) -> None:
        """Hear that something not settled at one age has settled at another, or has not."""
        self.looks += 1
        for table, following in zip(self._tables, FOLLOWING_SIZE, strict=True):
            shift = following * doublings
            table.learn(_place(after, shift), _place(until, shift), settled=settled)


def _place(age: float, shift: float) -> float:
    return max(0.0, SPANS_TO_DOUBLE * (log2(age / SHORTEST) - shift)) if age > 0 else 0.0


def _age(place: float, shift: float) -> float:
    return SHORTEST * 2 ** (place / SPANS_TO_DOUBLE + shift)
