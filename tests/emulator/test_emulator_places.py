"""The limit of what is in service at once: pure in virtual time, and over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.emulator import EmulatorSettings, Schedule, serving
from bulkops.emulator.places import Places
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from bulkops.emulator import Emulator, Statistics

# No patience ends at the very moment at which a place becomes free: those are tenths of a second.
PATIENCE = (0.0, 0.35, 5.05)
CALL = st.tuples(st.integers(0, 40), st.integers(1, 20))


@given(st.lists(CALL, max_size=30), st.integers(1, 4), st.sampled_from(PATIENCE))
def test_never_more_than_its_places(calls: list[tuple[int, int]], most: int, patience: float) -> None:
    """Whatever comes when: never more are in service, nobody waits longer than the patience, no place gets lost."""

    async def main() -> None:
        places = Places(most, patience)
        inside = 0

        async def visit(begins: float, lasts: float) -> None:
            nonlocal inside
            await asyncio.sleep(begins)
            came = asyncio.get_running_loop().time()
            entered = await places.enter()
            waited = asyncio.get_running_loop().time() - came
            assert waited <= patience + 0.001
            if not entered:
                assert waited >= patience
                assert inside == most
                return
            inside += 1
            assert inside == places.taken <= most
            await asyncio.sleep(lasts)
            inside -= 1
            places.leave()

        await asyncio.gather(*[visit(begins / 10, lasts / 10) for begins, lasts in calls])
        assert places.taken == 0
        assert all([await places.enter() for _ in range(most)])

    run_jumping(main)


def test_places_are_given_in_the_order_of_coming() -> None:
    """Who waits longest is next, and somebody new does not slip in between."""

    async def main() -> list[int]:
        places, served = Places(1, 60.0), []

        async def visit(number: int) -> None:
            await asyncio.sleep(number / 10)
            assert await places.enter()
            served.append(number)
            await asyncio.sleep(1)
            places.leave()

        await asyncio.gather(*map(visit, range(5)))
        return served

    assert run_jumping(main) == [0, 1, 2, 3, 4]


async def ask(emulator: Emulator, requests: int) -> list[httpx.Response]:
    """Ask for so many listings at once."""
    headers = {"xi-api-key": "k"}
    async with httpx.AsyncClient(base_url=emulator.base_url, headers=headers, verify=False) as client:
        return await asyncio.gather(*[client.get("/agents") for _ in range(requests)])


def asked(requests: int, **given: Any) -> tuple[list[httpx.Response], Statistics]:
    """Ask a new server for so many at once; the answers, and what it says of itself."""

    async def main() -> tuple[list[httpx.Response], Statistics]:
        async with serving(EmulatorSettings(**{"tier": None, "latency": 0.2} | given)) as emulator:
            replies = await ask(emulator, requests)
            assert {reply.status_code for reply in await ask(emulator, 1)} == {200}
            return replies, emulator.statistics

    return asyncio.run(main())


def test_one_too_many_at_once_is_refused() -> None:
    """Two of five are served; the others hear why, without Retry-After, and all hear the numbers."""
    replies, told = asked(5, concurrency=2)
    assert sorted(reply.status_code for reply in replies) == [200, 200, 429, 429, 429]
    assert {reply.headers["maximum-concurrent-requests"] for reply in replies} == {"2"}
    assert sorted(reply.headers["current-concurrent-requests"] for reply in replies) == ["1", *"2222"]
    (last,) = [reply for reply in replies if reply.status_code == 429][-1:]
    assert last.json()["detail"]["status"] == "too_many_concurrent_requests"
    assert "2 of this key" in last.json()["detail"]["message"]
    assert "retry-after" not in last.headers
    assert (told.refused, told.most_at_once) == ({"concurrency": 3}, 2)


def test_one_too_many_may_wait_for_its_turn() -> None:
    """With a queue that is long enough all are served, one after the other."""
    replies, told = asked(3, concurrency=1, concurrency_queue=5.0, latency=0.05)
    assert [reply.status_code for reply in replies] == [200] * 3
    assert (told.refused, told.most_at_once) == ({}, 1)


def test_the_numbers_may_be_hidden() -> None:
    """A server may refuse without telling how many it serves."""
    replies, _ = asked(2, concurrency=1, concurrency_headers=False)
    assert sorted(reply.status_code for reply in replies) == [200, 429]
    assert not [name for reply in replies for name in reply.headers if "concurrent" in name]


@pytest.mark.parametrize("kind", ["reset_early", "reset_after", "error_before", "cut"])
def test_a_fault_gives_its_place_back(kind: str) -> None:
    """However a request ends, the next one finds its place free."""

    async def main() -> None:
        faults = Schedule.parse([{"nth": 1, "fault": kind}])
        async with serving(EmulatorSettings(tier=None, concurrency=1, faults=faults)) as emulator:
            await asyncio.gather(ask(emulator, 1), return_exceptions=True)
            assert [reply.status_code for reply in await ask(emulator, 1)] == [200]

    asyncio.run(main())
