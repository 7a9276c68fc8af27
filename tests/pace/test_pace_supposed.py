"""What a server that tells no limit takes is learnt from its refusals, as far as they tell it."""

from __future__ import annotations

import random
from math import inf
from unittest import mock

import anyio
import orjson
import pytest

from bulkops.api import LIVE, Tier
from bulkops.pace import Allowance
from bulkops.pace.governor import Governor, Refusal
from bulkops.pace.headers import Told
from bulkops.pace.state import State
from bulkops.pace.supposed import LEAST, SLOWER, Supposed
from tests.jumping import run_jumping
from tests.pace.pace_doubles import WORK, answered, busy, now, one
from tests.pace.servers import ALGORITHMS, HELD_OUT
from tests.pace.simulation import Service, Words, flow

OPEN = LIVE.tiers["open"]
HOUR = 3600.0
LIMIT = 100
SERVERS = {**ALGORITHMS, **HELD_OUT}


def hour(name: str, seed: int = 1) -> Service:
    """Send as much as may go for an hour, eight at a time, to a server that hides a limit of 100 a minute."""
    service = Service(SERVERS[name](LIMIT, 60.0, 7.3), seed=seed, words=Words(silent=True))

    async def run() -> None:
        async with one(OPEN, in_flight=8, chance=random.Random(seed).random) as pace:
            await flow(service, lambda: pace.turn("a", WORK), HOUR, workers=8)

    run_jumping(run)
    return service


def share(service: Service) -> float:
    """Return how much of the limit was used in the hour."""
    return service.admitted() / (LIMIT * HOUR / 60)


@pytest.mark.parametrize("name", SERVERS)
def test_a_hidden_limit_is_kept_to(name: str) -> None:
    """At most 150 refusals in an hour, 25 of them after the first minute, and at least 80 % of the limit is used."""
    service = hour(name)
    after = sum(status == 429 and time >= 60 for time, status in service.arrivals)
    assert after <= 25
    assert service.refused <= 150
    assert share(service) >= 0.8


@pytest.mark.parametrize(("name", "refused"), [("fixed, by the clock", 700), ("bucket of 10", 25_000)])
def test_without_that_refusals_never_end(name: str, refused: int) -> None:
    """With pauses alone an hour brings hundreds of refusals where windows are counted, and thousands elsewhere."""
    with mock.patch.object(Supposed, "refuse"):
        service = hour(name)
    assert service.refused >= refused


def slower(kind: str | None, tier: Tier = OPEN) -> tuple[int, int]:
    """Return how many went in a minute before a refusal, and in the minute after."""

    async def run() -> tuple[int, int]:
        async with one(tier) as pace:
            times = await busy(lambda: pace.turn("a", WORK), 90)
            await answered(pace, 429, kind=kind)
            await anyio.sleep(3)
            await answered(pace)
            began = now()
            after = await busy(lambda: pace.turn("a", WORK), 55)
            return sum(time >= began - 60 for time in times), len(after)

    return run_jumping(run)


@pytest.mark.parametrize("kind", ["rate_limit_exceeded", "system_busy", None])
def test_after_a_refusal_it_goes_slower(kind: str | None) -> None:
    """Also when the service says that it is busy, the next minute brings less than the last, and not much less."""
    before, after = slower(kind)
    assert 0.7 * before < after < 0.95 * before


def test_too_many_in_flight_leaves_the_rate_alone() -> None:
    """Fewer at once are the cure for that, and no number in a time follows."""

    async def run() -> None:
        async with one(OPEN) as pace:
            await busy(lambda: pace.turn("a", WORK), 90)
            await answered(pace, 429, kind="concurrent_limit_exceeded")
            assert pace.standing("a").limit is None

    run_jumping(run)


def test_what_is_supposed_is_told_as_such() -> None:
    """Where the account stands names the number, and refusals as its source."""

    async def run() -> None:
        heard: list[tuple[str, object]] = []
        async with one(OPEN, told=lambda event, **facts: heard.append((event, facts.get("source")))) as pace:
            await busy(lambda: pace.turn("a", WORK), 90)
            assert pace.standing("a").limit is None
            await answered(pace, 429)
            standing = pace.standing("a")
            assert standing.limit is not None
            assert standing.source == "refusals"
            assert ("limit", "refusals") in heard

    run_jumping(run)


def refuse(governor: Governor, requests: int, seconds: float = 59.0) -> float:
    """Send so many in the second minute, refuse the last, and return when."""
    at = 0.0
    for number in range(requests + 1):
        at = 70.0 + seconds * number / requests if number else 0.0
        flight = governor.grant(at)
        if number == requests:
            governor.refused(flight, Refusal.RATE, Told(), at, 0.5)
        governor.end(flight, at)
    return at


def made() -> Governor:
    """Return one that knows of no limit."""
    return Governor(Allowance(OPEN), State.fresh(60.0))


def pass_on(governor: Governor, at: float, minutes: int) -> float:
    """Hear a good answer in each of so many minutes; return when the last one was."""
    for _ in range(minutes):
        at += 60.0
        flight = governor.grant(at)
        governor.hear(flight, 200, Told(), at)
        governor.end(flight, at)
    return at


def test_a_little_less_than_was_taken_is_supposed() -> None:
    """The number follows from the answers of the last period."""
    governor = made()
    refuse(governor, 200)
    assert governor.margins is not None
    assert governor.margins.limit == pytest.approx(SLOWER * 200, abs=3)


def test_little_work_is_no_sign_of_a_low_limit() -> None:
    """Who sent three in a minute and is refused may still send ten."""
    governor = made()
    refuse(governor, 3)
    assert governor.margins is not None
    assert governor.margins.limit == LEAST


def test_what_is_supposed_grows_ever_faster_and_is_forgotten() -> None:
    """Without another refusal it goes on hardly faster at first, and without any limit after some minutes."""
    governor = made()
    at = refuse(governor, 200)
    rates = [governor.rate]
    while governor.rate < inf:
        at = pass_on(governor, at, 1)
        rates.append(governor.rate)
    assert rates == sorted(rates)
    assert rates[2] < 1.03 * rates[0]
    assert 8 <= len(rates) <= 15
    assert governor.open


def test_a_limit_that_is_told_takes_the_place_of_what_was_supposed() -> None:
    """From the first header on the server's own number holds."""
    governor = made()
    at = refuse(governor, 200)
    flight = governor.grant(at + 10)
    governor.hear(flight, 200, Told(limit=600), at + 10)
    assert governor.margins is not None
    assert (governor.margins.limit, governor.supposed) == (600, False)


def test_a_limit_that_the_user_gave_stays() -> None:
    """A refusal pauses, and changes no number that somebody stands for."""
    governor = Governor(Allowance(Tier("given", 500), fixed=True), State.fresh(60.0))
    refuse(governor, 200)
    assert governor.margins is not None
    assert governor.margins.limit == 500


def test_what_is_supposed_survives_a_restart() -> None:
    """A run that goes on keeps to what the last one was refused for."""
    governor = made()
    refuse(governor, 200)
    again = Governor(Allowance(OPEN), State.load(orjson.loads(orjson.dumps(governor.state.dump()))))
    assert again.margins == governor.margins
    assert again.margins is not None
