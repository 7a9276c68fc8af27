"""A budget of turns in virtual time, shared by uploads and looks: what a way of looking costs, and how soon it notices.

Each document takes two turns (upload, index); its index begins with the second. Turns come evenly spaced; while
uploads are left, due looks take their share of them, and everything is answered at once. A look takes one turn, at
however many documents it looks.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import partial
from math import exp, inf
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING, Protocol

from bulkops.engines.looks import Agenda

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bulkops.engines.looks import Round


@dataclass(frozen=True, slots=True)
class Scene:
    """Documents with the seconds that their indexes take, and perhaps their sizes; the turns, and the looks' share."""

    seconds: Sequence[float]
    sizes: Sequence[int] | None = None
    per_minute: int = 100
    share: float = 0.1

    @property
    def turn(self) -> float:
        """Seconds from one turn to the next."""
        return 60.0 / self.per_minute


@dataclass(frozen=True, slots=True)
class Course:
    """What came of it: requests for looks per document, seconds from ready to noticed, what uploads keep, the end."""

    looks: float
    mean: float
    late: float
    """Of a hundred documents, ninety-five were noticed sooner."""
    kept: float
    total: float


class Policy(Protocol):
    """Decides which documents are looked at when."""

    def add(self, document: int, now: float) -> None:
        """Begin to await a document."""

    def take(self, now: float, *, uploading: bool) -> Sequence[int]:
        """Return the documents to be looked at now, in one request."""

    def heard(self, now: float, settled: Sequence[bool]) -> None:
        """Hear what the look has found of each."""


class Learned:
    """The policy of bulkops; `most` at once."""

    def __init__(self, scene: Scene, most: int = 1) -> None:
        self._scene = scene
        self._most = most
        self._agenda: Agenda[int] = Agenda()
        self._awaited = 0
        self._taken: Round[int] | None = None

    def add(self, document: int, now: float) -> None:
        """See `Policy`."""
        self._awaited += 1
        sizes = self._scene.sizes
        size = None if sizes is None else sizes[document]
        self._agenda.add(document, "index", 20.0, size=size, began=now, overdue=inf, most=self._most)

    def take(self, now: float, *, uploading: bool) -> Sequence[int]:
        """See `Policy`."""
        self._agenda.reprice(self._awaited, 1 / self._scene.turn, now, others_wait=uploading)
        self._taken = self._agenda.take(now)
        return [] if self._taken is None else [each.item for each in self._taken.awaited]

    def heard(self, now: float, settled: Sequence[bool]) -> None:
        """See `Policy`."""
        assert self._taken is not None
        looks, taken = self._taken
        for awaited, has_settled in zip(taken, settled, strict=True):
            looks.learn(awaited, now, settled=has_settled)
            self._awaited -= has_settled
            if not has_settled:
                looks.put_back(awaited)


class Scheduled:
    """Looks after fixed waits: `wait(looks)` gives the seconds until the next look, after so many."""

    def __init__(self, wait: Callable[[int], float], *, afterwards: bool = False) -> None:
        self._wait = wait
        self._afterwards = afterwards
        self._heap: list[tuple[float, int, int]] = []
        self._taken = (0.0, 0, 0)

    def add(self, document: int, now: float) -> None:
        """See `Policy`."""
        heapq.heappush(self._heap, (now + self._wait(0), document, 0))

    def take(self, now: float, *, uploading: bool) -> Sequence[int]:
        """See `Policy`."""
        if not self._heap or self._heap[0][0] > now or (self._afterwards and uploading):
            return ()
        self._taken = heapq.heappop(self._heap)
        return (self._taken[1],)

    def heard(self, now: float, settled: Sequence[bool]) -> None:
        """See `Policy`."""
        _, document, looks = self._taken
        if not all(settled):
            heapq.heappush(self._heap, (now + self._wait(looks + 1), document, looks + 1))


class Oracle(Scheduled):
    """Knows when each document is ready, and looks then."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(lambda _looks: 0.0)
        self._seconds = scene.seconds

    def add(self, document: int, now: float) -> None:
        """See `Policy`."""
        heapq.heappush(self._heap, (now + self._seconds[document], document, 0))


def growing(first: float, factor: float, longest: float) -> Scheduled:
    """Return the policy whose waits grow up to the longest."""
    return Scheduled(lambda looks: min(longest, first * factor ** min(looks, 50)))


def simulate(scene: Scene, policy: Policy) -> Course:
    """Upload all documents and look until all of them are noticed."""
    number = len(scene.seconds)
    ready: dict[int, float] = {}
    delays: list[float] = []
    uploads, looks, turns, credit, uploaded = 2 * number, 0, 0, 0.0, 0.0
    now = 0.0
    while len(delays) < number:
        now = turns * scene.turn
        turns += 1
        credit = min(1.0, credit) + scene.share if uploads else 1.0
        documents = policy.take(now, uploading=uploads > 0) if credit > 1.0 - 1e-9 else ()
        if documents:
            credit -= 1.0
            looks += 1
            settled = [ready[document] <= now for document in documents]
            delays += [now - ready[document] for document in documents if ready[document] <= now]
            policy.heard(now, settled)
        elif uploads:
            uploads -= 1
            uploaded = now + scene.turn
            if uploads % 2 == 0:
                document = number - 1 - uploads // 2
                ready[document] = now + scene.seconds[document]
                policy.add(document, now)
    delays.sort()
    return Course(
        looks / number, fmean(delays), delays[int(0.95 * number)], 2 * number * scene.turn / uploaded, now
    )


def lognormal(number: int, seed: int, median: float = 20.0, sigma: float = 1.0) -> list[float]:
    """Return so many times."""
    chance = Random(seed)
    return [median * exp(sigma * chance.gauss(0, 1)) for _ in range(number)]


def sized(number: int, seed: int) -> tuple[list[float], list[int]]:
    """Return times that are, but for a spread of 30 %, in proportion to the sizes, and the sizes."""
    sizes = [int(size) for size in lognormal(number, seed, 100_000)]
    return [
        20.0 * size / 100_000 * noise
        for size, noise in zip(sizes, lognormal(number, -seed - 1, 1, 0.3), strict=True)
    ], sizes


def two_peaks(number: int, seed: int) -> list[float]:
    """Return times of which half are about 5 s and half about 200 s."""
    fast, slow = lognormal(number, seed, 5, 0.3), lognormal(number, -seed - 1, 200, 0.3)
    return [(fast if n % 2 else slow)[n] for n in range(number)]


def mean_course(
    make_scene: Callable[[int], Scene], make_policy: Callable[[Scene], Policy], seeds: int
) -> Course:
    """Return the mean over so many seeds."""
    scenes = [make_scene(seed) for seed in range(seeds)]
    courses = [simulate(scene, make_policy(scene)) for scene in scenes]
    mean = partial(_mean, courses)
    return Course(mean("looks"), mean("mean"), mean("late"), mean("kept"), mean("total"))


def _mean(courses: Sequence[Course], field: str) -> float:
    return fmean(getattr(course, field) for course in courses)
