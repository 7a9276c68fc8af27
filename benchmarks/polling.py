"""When to look at documents whose index is awaited: bulkops against the schedules that people write, and an oracle.

In virtual time, on a budget of 100 requests a minute that uploads (two requests a document) and looks share. The
times of the indexes are lognormal with a median of 20 s and a sigma of 1; each round has other times, the same for
all. The oracle knows when each document is ready, looks then, and is held to the same share. The other schedules look
when they like, before the uploads. Where the API tells of a hundred documents in one answer, a request for them counts
as one look. `tests/engines/looks_simulated.py` is the simulation.

What a look costs us is CPU time with 10,000 documents awaited, all of the deciding and learning, and the memory of
one that is awaited without the operation itself.
"""

from __future__ import annotations

import time
import tracemalloc
from functools import partial
from math import inf
from statistics import fmean
from typing import TYPE_CHECKING

from harness import Figure, main, print_rows

from bulkops.engines.looks import Looks, price
from tests.engines.looks_simulated import Learned, Oracle, Scene, Scheduled, growing, lognormal, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness import Options

    from tests.engines.looks_simulated import Course, Policy

ROUNDS = 4
"""So many times the rounds of the other figures: chance is all that differs."""
DOCUMENTS = 1000
RATE = 100 / 60
Policies = dict[str, tuple[float, "Callable[[Scene], Policy]"]]
"""By name: the share of the turns that looks may take while uploads are left, and the schedule."""

OTHERS: Policies = {
    "every 2 s": (1.0, lambda _scene: Scheduled(lambda _looks: 2.0)),
    "every 10 s": (1.0, lambda _scene: Scheduled(lambda _looks: 10.0)),
    "backoff, 1 s doubled up to 60 s": (1.0, lambda _scene: growing(1.0, 2.0, 60.0)),
    "backoff, 5 s by half up to 60 s": (1.0, lambda _scene: growing(5.0, 1.5, 60.0)),
    "after all uploads, every 10 s": (1.0, lambda _scene: Scheduled(lambda _looks: 10.0, afterwards=True)),
}
OURS: Policies = {
    "bulkops, `--poll-share 10%`": (0.1, Learned),
    "oracle, the same share": (0.1, Oracle),
    "bulkops, `--poll-share 40%`": (0.4, Learned),
    "oracle, the same share of 40 %": (0.4, Oracle),
}
TOGETHER: Policies = {"bulkops, `--api live`: a hundred at once": (0.1, partial(Learned, most=100))}


def measure(options: Options) -> list[Figure]:
    """Simulate all schedules on the same documents."""
    seeds = range(1 if options.quick else ROUNDS * options.repeats)
    everything = {**OTHERS, **OURS, **TOGETHER}
    many = {name: _courses(DOCUMENTS, policy, seeds) for name, policy in everything.items()}
    few = {name: _courses(10, policy, seeds) for name, policy in everything.items()}
    _print_comparison(many, few)
    tenth, oracle, wanted, _ = (many[name] for name in OURS)
    (together,) = (many[name] for name in TOGETHER)
    alone = few[next(iter(OURS))]
    microseconds, bytes_each = _costs(1000 if options.quick else 10_000)
    return [
        Figure("looks per document, share of 10 %", [course.looks for course in tenth], most=1.3),
        Figure(
            "uploads' speed lost, share of 10 %", [100 - 100 * course.kept for course in tenth], " %", most=15
        ),
        Figure(
            "time in all / an oracle's, share of 10 %",
            [ours.total / its.total for ours, its in zip(tenth, oracle, strict=True)],
            most=1.1,
        ),
        Figure("looks per document, share of 40 %", [course.looks for course in wanted], most=1.6),
        Figure("requests per document, a hundred at once", [course.looks for course in together], most=0.1),
        Figure("ready to noticed, a hundred at once", [course.mean for course in together], " s", most=15),
        Figure("ready to noticed, share of 40 %", [course.mean for course in wanted], " s", most=60),
        # Ten delays are few: what is promised is their mean.
        Figure("ready to noticed, 10 documents", [fmean(course.mean for course in alone)], " s", most=4),
        Figure("CPU of a look, 10,000 awaited", [microseconds], " us"),
        Figure("memory of one that is awaited", [bytes_each], " bytes"),
    ]


def _courses(
    number: int, policy: tuple[float, Callable[[Scene], Policy]], seeds: Sequence[int]
) -> list[Course]:
    share, make = policy
    scenes = [Scene(lognormal(number, seed), share=share) for seed in seeds]
    return [simulate(scene, make(scene)) for scene in scenes]


def _print_comparison(many: Mapping[str, list[Course]], few: Mapping[str, list[Course]]) -> None:
    head = (
        "looks",
        "looks per document",
        "ready to noticed",
        "uploads keep",
        "in all",
        "10 documents: looks; noticed",
    )
    rows = [head]
    for name, courses in many.items():
        looks, mean = (fmean(getattr(course, what) for course in few[name]) for what in ("looks", "mean"))
        rows.append(
            (
                name,
                f"{fmean(course.looks for course in courses):.2f}",
                f"{fmean(course.mean for course in courses):.0f} s",
                f"{100 * fmean(course.kept for course in courses):.0f} %",
                f"{fmean(course.total for course in courses):,.0f} s",
                f"{looks:.1f}; {mean:.1f} s",
            )
        )
    print_rows(rows)
    print()


def _costs(number: int) -> tuple[float, float]:
    """Return microseconds of CPU per look and bytes per thing awaited."""
    tracemalloc.start()
    looks = _awaiting(number)
    size = tracemalloc.get_traced_memory()[0] / number
    tracemalloc.stop()
    seconds = lognormal(number, 0)
    taken, noticed, now = 0, 0, 0.0
    began = time.process_time()
    while noticed < number:
        now += 1 / RATE / 10
        looks.reprice(price(number - noticed, 10 * RATE, others_wait=noticed < number / 2), now)
        if (awaited := looks.take(now)) is None:
            continue
        taken += 1
        settled = seconds[awaited.item] <= now
        noticed += settled
        looks.learn(awaited, now, settled=settled)
        if not settled:
            looks.put_back(awaited)
    return (time.process_time() - began) / taken * 1e6, size


def _awaiting(number: int) -> Looks[int]:
    looks: Looks[int] = Looks()
    for item in range(number):
        looks.add(item, "index", 20.0, size=None, began=0.0, overdue=inf)
    return looks


if __name__ == "__main__":
    main(measure)
