"""What the pace reaches at servers that count in different ways. More seeds: `make soak`."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import pytest

from bulkops.api import Tier
from bulkops.pace import Allowance
from bulkops.pace.governor import Governor
from bulkops.settings import Reserve
from tests.jumping import run_jumping
from tests.pace.pace_doubles import TEN_MINUTES, WORK, one
from tests.pace.servers import ALGORITHMS, HELD_OUT, WINDOWS
from tests.pace.simulation import Crowd, Service, Words, flow, job

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.pace.turns import Pace
    from tests.pace.servers import Verdict

SEEDS = range(int(os.environ.get("BULKOPS_PACE_SEEDS", "1")))
SILENT = Words(silent=True)
FULL_AT_FIRST = (*WINDOWS, "bucket, full")
LONG = 1_000_000
"""So many requests are a long job."""

seeds = pytest.mark.parametrize("seed", SEEDS)
algorithms = pytest.mark.parametrize("name", ALGORITHMS)
limits = pytest.mark.parametrize("limit", [100, 500])


def service_of(name: str, limit: int, seed: int, **more: Any) -> Service:
    """Return a service that counts in this way; where the clock's windows begin is up to the seed."""
    epoch = -random.Random(seed).uniform(0, 60)
    return Service({**ALGORITHMS, **HELD_OUT}[name](limit, 60.0, epoch), seed, **more)


def send(
    service: Service,
    *,
    seconds: float = TEN_MINUTES,
    strangers: float = 0.0,
    expect: int = LONG,
    beside: Callable[[Pace], Any] | None = None,
    **allowance: Any,
) -> Service:
    """Send for so many seconds at the service's own limit."""

    async def run() -> Service:
        async with (
            one(Allowance(Tier("t", service.server.limit), **allowance)) as pace,
            anyio.create_task_group() as tasks,
        ):
            pace.expect("a", expect)
            if beside is not None:
                tasks.start_soon(beside, pace)
            await flow(service, lambda: pace.turn("a", WORK), seconds, strangers=strangers)
            tasks.cancel_scope.cancel()
        return service

    return run_jumping(run)


def share(service: Service, limit: int, end: float = TEN_MINUTES) -> float:
    """Return what was admitted until then over what the rate allows."""
    return service.admitted(0, end) / (limit * end / 60)


@seeds
@limits
@algorithms
def test_alone_with_headers(name: str, limit: int, seed: int) -> None:
    """Ten minutes of a long job: no 429, 97 % of the rate, and 95 % from the first minute on."""
    service = send(service_of(name, limit, seed))
    assert service.refused == 0
    assert share(service, limit) >= 0.97
    assert 0.95 <= share(service, limit, 60) <= 1.0


@seeds
@limits
@algorithms
def test_alone_without_headers(name: str, limit: int, seed: int) -> None:
    """The same where the server tells nothing: no 429, 96 % of the rate, 95 % from the first minute on."""
    service = send(service_of(name, limit, seed, words=SILENT))
    assert service.refused == 0
    assert share(service, limit) >= 0.96
    assert 0.95 <= share(service, limit, 60) <= 1.0


@pytest.mark.parametrize("size", [10, 60, 83, 130])
@pytest.mark.parametrize("name", [*ALGORITHMS, *HELD_OUT])
def test_an_answer_that_is_not_looked_at_would_have_let_nobody_go(name: str, size: int) -> None:
    """A job takes as long as if every answer were asked whether somebody may go earlier for it."""

    def took() -> float:
        service = service_of(name, 100, 3)

        async def run() -> float:
            async with one(Tier("t", 100)) as pace:
                pace.expect("a", size)
                return await job(service, lambda: pace.turn("a", WORK), size, workers=32)

        return run_jumping(run)

    with mock.patch.object(Governor, "evenly", return_value=False):
        asked = took()
    assert took() == asked


@seeds
@pytest.mark.parametrize(("words", "least"), [(Words(), 0.97), (SILENT, 0.96)])
@pytest.mark.parametrize("name", [*ALGORITHMS, *HELD_OUT])
def test_a_short_period(name: str, words: Words, least: float, seed: int) -> None:
    """At 100 in 6 s, of which a way takes up to a thirtieth: as little is lost as of a minute, and no 429 drawn."""
    epoch = -random.Random(seed).uniform(0, 6)
    service = Service({**ALGORITHMS, **HELD_OUT}[name](100, 6.0, epoch), seed, words, ways=(0.02, 0.2))

    async def run() -> None:
        async with one(Tier("t", 100, 6.0)) as pace:
            pace.expect("a", 1000)
            await job(service, lambda: pace.turn("a", WORK), 1000, workers=32)

    run_jumping(run)
    first, last = service.arrivals[0][0], service.arrivals[-1][0]
    assert service.refused == 0
    assert 1000 / (100 * (last - first) / 6 + 1) >= least


@seeds
@pytest.mark.parametrize("exclusive", [True, False])
@algorithms
def test_a_job_of_unknown_length(name: str, seed: int, *, exclusive: bool) -> None:
    """Whatever went ahead at first, no 429 follows; alone by word of the user as well."""
    service = send(service_of(name, 100, seed), expect=0, exclusive=exclusive)
    assert service.refused == 0
    assert share(service, 100) >= 0.97


@seeds
@pytest.mark.parametrize("words", [Words(), SILENT])
@pytest.mark.parametrize("name", HELD_OUT)
def test_servers_the_pace_was_not_tuned_to(name: str, words: Words, seed: int) -> None:
    """Two policies at once and other buckets: no 429, and 96 % of the rate."""
    service = send(service_of(name, 100, seed, words=words))
    assert service.refused == 0
    assert share(service, 100) >= 0.96


@seeds
@pytest.mark.parametrize("words", [Words(), SILENT])
@algorithms
def test_requests_that_are_held_up_on_their_way(name: str, words: Words, seed: int) -> None:
    """One in a hundred arrives up to 3 s late: still no 429."""
    service = send(service_of(name, 100, seed, words=words, tail=0.01))
    assert service.refused == 0
    assert share(service, 100) >= 0.96


@seeds
@pytest.mark.parametrize(
    "words",
    [
        Words(skew=30),
        Words(skew=-30),
        Words(skew=30, date=True),
        Words(delta=True),
        Words(up=True),
        Words(retry_after=False),
    ],
)
@pytest.mark.parametrize("name", ["fixed, by the clock", "log", "bucket of 10"])
def test_headers_that_are_worded_otherwise(name: str, words: Words, seed: int) -> None:
    """A clock that is wrong, another form of Reset, no Retry-After: as without."""
    service = send(service_of(name, 100, seed, words=words), seconds=180)
    assert service.refused == 0
    assert share(service, 100, 180) >= 0.97


@seeds
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("operations", [80, 85])
@pytest.mark.parametrize("name", FULL_AT_FIRST)
def test_a_short_job_goes_at_once(name: str, operations: int, seed: int, *, told: bool) -> None:
    """Up to the 85 operations of which a plan says so take 3 s at most, be their number known or not."""
    service = service_of(name, 100, seed)

    async def run() -> float:
        async with one(Tier("t", 100)) as pace:
            pace.expect("a", operations if told else 0)
            return await job(service, lambda: pace.turn("a", WORK), operations)

    assert run_jumping(run) <= 3
    assert service.refused == 0


@seeds
@pytest.mark.parametrize("name", ["bucket of 10", "GCRA of 5"])
def test_a_short_job_at_a_small_bucket_is_paced(name: str, seed: int) -> None:
    """Where Remaining is small from the start, 80 operations take their time and draw no 429."""
    service = service_of(name, 100, seed)

    async def run() -> float:
        async with one(Tier("t", 100)) as pace:
            return await job(service, lambda: pace.turn("a", WORK), 80, workers=80)

    assert run_jumping(run) <= 50
    assert service.refused == 0


@seeds
def test_without_headers_nothing_goes_ahead(seed: int) -> None:
    """80 operations take 80 gaps of the even pace where the server proves nothing."""
    service = service_of("log", 100, seed, words=SILENT)

    async def run() -> float:
        async with one(Tier("t", 100)) as pace:
            return await job(service, lambda: pace.turn("a", WORK), 80, workers=80)

    assert 46 <= run_jumping(run) <= 50


@seeds
@pytest.mark.parametrize(("limit", "name"), [*((100, name) for name in ALGORITHMS), (500, "log")])
def test_others_on_the_key_are_left_their_part(name: str, limit: int, seed: int) -> None:
    """With others who use 30 % steadily we draw at most 10 429s in ten minutes, and deny them a fifth at most."""
    service = send(service_of(name, limit, seed), strangers=0.3 * limit / 60)
    assert service.refused <= 10
    assert service.denied <= 0.2
    assert share(service, limit) >= 0.45


@seeds
@pytest.mark.parametrize(("before", "after"), [(100, 50), (100, 500)])
@algorithms
def test_a_changed_limit_holds_at_once(name: str, before: int, after: int, seed: int) -> None:
    """A cut draws at most three 429s beyond those in flight; a raise is used within one window."""
    service = service_of(name, before, seed)

    async def change(_pace: Pace) -> None:
        await anyio.sleep(120)
        service.server.limit = after

    send(service, seconds=300, beside=change)
    late = [time for time, status in service.arrivals if status == 429 and time > 120.6]
    assert len(late) <= 3
    assert service.admitted(240, 300) >= (0.94 if after > before else 0.8) * after


@seeds
@pytest.mark.parametrize(
    ("told", "most", "refused"), [(True, 2, 0), (True, 5, 0), (False, 5, 5), (False, 15, 5)]
)
def test_a_limit_of_requests_in_flight(told: bool, most: int, refused: int, seed: int) -> None:  # noqa: FBT001
    """90 operations keep to what the headers tell; a limit that is hidden is found with few 429s."""
    service = service_of("log", 500, seed, crowd=Crowd(most, told=told))

    async def run() -> float:
        async with one(Tier("t", 500)) as pace:
            pace.expect("a", 90)
            return await job(service, lambda: pace.turn("a", WORK), 90)

    assert run_jumping(run) <= 9 * 15 / most
    assert service.refused <= refused


@seeds
def test_slow_answers_fill_all_places_soon(seed: int) -> None:
    """With answers of seven seconds, 32 workers are all under way from the second minute on."""
    service = send(service_of("log", 500, seed, crowd=Crowd(1_000, service=7.0)), seconds=180)
    possible = 32 / 7.5 * 60
    assert service.refused == 0
    assert min(service.admitted(60, 120), service.admitted(120, 180)) >= 0.95 * possible


@seeds
def test_exclusive_ends_at_the_first_sign_of_others(seed: int) -> None:
    """Said to be alone and not alone: few 429s, and the standing says that the key is shared."""
    service = service_of("log", 100, seed)
    modes: list[str] = []

    async def watch(pace: Pace) -> None:
        await anyio.sleep(TEN_MINUTES - 1)
        modes.append(pace.standing("a").mode)

    send(service, strangers=0.5, exclusive=True, beside=watch)
    assert modes == ["shared"]
    assert service.refused <= 10
    assert service.denied <= 0.3


@seeds
def test_a_reserve_is_never_used(seed: int) -> None:
    """With a reserve of a fifth no window holds more than four fifths, and they are used."""
    for name in ("log", "fixed, by the clock", "bucket of 10"):
        service = send(service_of(name, 100, seed), seconds=300, reserve=Reserve(0.2))
        assert service.refused == 0
        assert 0.95 * 400 <= service.admitted() <= 400


@seeds
@pytest.mark.parametrize("operations", [5, 9])
def test_a_reserve_holds_of_a_small_bucket(operations: int, seed: int) -> None:
    """A short job takes its part of what a bucket has and no more: with a reserve of four fifths, 2 of 10."""
    service = service_of("bucket of 10", 100, seed)
    admit, remained = service.server.admit, list[int]()

    def watched(time: float) -> Verdict:
        verdict = admit(time)
        remained.append(verdict.remaining)
        return verdict

    async def run() -> None:
        async with one(Allowance(Tier("t", 100), reserve=Reserve(0.8))) as pace:
            pace.expect("a", operations)
            with mock.patch.object(service.server, "admit", watched):
                await job(service, lambda: pace.turn("a", WORK), operations)

    run_jumping(run)
    assert min(remained) >= 8
