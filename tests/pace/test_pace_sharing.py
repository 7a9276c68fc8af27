"""Several processes with one key keep one pace, and the pace outlives each of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from bulkops.api import Tier
from bulkops.pace import Allowance
from bulkops.pace.dispatcher import ANOTHER
from bulkops.pace.sharing import Place
from tests.jumping import run_jumping
from tests.pace.pace_doubles import STANDARD, WORK, answered, now, one
from tests.pace.servers import ALGORITHMS, SlidingLog
from tests.pace.simulation import WALL, Crowd, Service, Words, flow, job
from tests.pace.test_pace_figures import SEEDS, SILENT, seeds, service_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from bulkops.pace.turns import Pace

TOLD = pytest.mark.parametrize("words", [Words(), SILENT], ids=["headers", "silent"])
algorithms = pytest.mark.parametrize("name", ALGORITHMS)

MINUTES = 5 if len(SEEDS) > 1 else 3
"""Of virtual time for four processes, which are dear; more where more seeds are asked for."""
NOTICED = 0.1
"""Seconds in which a process that was alone has noticed another one."""


def place(folder: Path, boot: str = "a boot", ahead: float = 0.0) -> Place:
    """Return where the pace is kept; `ahead` is by how much the wall clock of virtual time has gone on."""
    return Place(folder / "pace", boot, lambda: WALL + asyncio.get_running_loop().time() + ahead)


def sharing(kept: Place, given: Tier | Allowance = STANDARD, **more: Any) -> Pace:
    """Return the pace of one more process."""
    return one(given, kept={"a": kept}, **more)


def run_four(process: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    """Run four processes at once, each with its number, in virtual time."""

    async def run() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(process, number)

    run_jumping(run)


def kill(pace: Pace) -> None:
    """Let the process of a pace be no more, without a word."""
    pace._dispatchers["a"]._together.kill()


@seeds
@TOLD
@algorithms
def test_four_processes_keep_one_limit(tmp_path: Path, name: str, words: Words, seed: int) -> None:
    """Four that come one after the other: no 429, 95 % of the rate in sum, and nobody gets less than four fifths."""
    service = service_of(name, 100, seed, words=words)
    served: list[int] = []

    async def process(number: int) -> None:
        await anyio.sleep(number * 0.7)
        times: list[float] = []
        async with sharing(place(tmp_path)) as pace:
            pace.expect("a", 10**6)

            def turn() -> Any:
                times.append(now())
                return pace.turn("a", WORK)

            await flow(service, turn, MINUTES * 60 - now(), workers=16)
        served.append(len(times) - 16)

    run_four(process)
    assert service.refused == 0
    assert service.admitted(0, MINUTES * 60) >= 0.95 * MINUTES * 100
    assert min(served) >= 0.8 * sum(served) / 4


@seeds
@TOLD
@algorithms
def test_a_crash_and_a_restart_after_three_seconds(
    tmp_path: Path, name: str, words: Words, seed: int
) -> None:
    """Killed in the midst and started again, it draws no 429, and goes on at 95 % of the rate."""
    service = service_of(name, 100, seed, words=words)

    async def run() -> None:
        async with sharing(place(tmp_path)) as pace:
            pace.expect("a", 10**6)
            await flow(service, lambda: pace.turn("a", WORK), 20)
            kill(pace)
        await anyio.sleep(3)
        async with sharing(place(tmp_path)) as pace:
            pace.expect("a", 10**6)
            await flow(service, lambda: pace.turn("a", WORK), 280)

    run_jumping(run)
    assert service.refused == 0
    assert service.admitted(60, 300) >= 0.95 * 400


@pytest.mark.parametrize("seconds", [0.001, 2.9])
def test_no_request_is_forgotten(tmp_path: Path, seconds: float) -> None:
    """Whatever was granted before a kill at any moment is known to whoever comes, also to one that is there by then."""

    async def run() -> None:
        async with sharing(place(tmp_path), Tier("t", 600)) as pace:
            await answered(pace)
            for _ in range(3):
                await pace.turn("a", WORK).__aenter__()
            with anyio.move_on_after(seconds):
                while True:
                    await answered(pace)
            sent = pace._dispatchers["a"]._mine.granted
            kill(pace)
        for _ in range(2):
            async with sharing(place(tmp_path), Tier("t", 600)) as pace:
                assert pace.standing("a").granted_last_period == sent

    run_jumping(run)


def test_at_a_high_rate_a_little_more_is_remembered(tmp_path: Path) -> None:
    """What goes within 20 ms is noted at once: after a kill as much as that counts as sent, and never less than was."""
    fast = Tier("t", 600_000)

    async def run() -> None:
        async with sharing(place(tmp_path), fast) as pace:
            for _ in range(50):
                await answered(pace)
            sent = pace._dispatchers["a"]._mine.granted
            kill(pace)
        async with sharing(place(tmp_path), fast) as pace:
            assert sent < pace.standing("a").granted_last_period <= sent + 200

    run_jumping(run)


def test_a_burst_is_remembered(tmp_path: Path) -> None:
    """What went at once before a crash, and what was under way in it, is not sent again for a period."""
    service = Service(SlidingLog(100, 60.0))

    async def run() -> None:
        async with sharing(place(tmp_path)) as pace:
            with anyio.move_on_after(1.2):
                await job(service, lambda: pace.turn("a", WORK), 90)
            kill(pace)
        sent = len(service.arrivals)
        await anyio.sleep(3)
        async with sharing(place(tmp_path)) as pace:
            assert sent > 40
            # What was granted and cancelled on its way counts as well.
            assert pace.standing("a").granted_last_period >= sent
            await job(service, lambda: pace.turn("a", WORK), 90)

    run_jumping(run)
    assert service.refused == 0


@TOLD
def test_one_of_four_is_killed(tmp_path: Path, words: Words) -> None:
    """What it had under way frees its places within seconds; the others share what it leaves, without a 429."""
    service = service_of("log", 100, 0, words=words)

    async def process(number: int) -> None:
        async with sharing(place(tmp_path)) as pace:
            pace.expect("a", 10**6)
            await flow(service, lambda: pace.turn("a", WORK), 30 if number == 0 else 240)
            if number == 0:
                kill(pace)
            else:
                assert pace.standing("a").processes <= 3

    run_four(process)
    assert service.refused == 0
    assert service.admitted(60, 240) >= 0.95 * 300


def test_the_dead_hold_no_place(tmp_path: Path) -> None:
    """Requests under way of a killed process, and its lone probe after a refusal, hold others up for a second."""

    async def run() -> None:
        kept = place(tmp_path)
        async with sharing(kept, Tier("t", 1000)) as first, sharing(kept, Tier("t", 1000)) as second:
            await anyio.sleep(NOTICED)
            for _ in range(5):
                await first.turn("a", WORK).__aenter__()
            kill(first)
            begin = now()
            await answered(second)
            assert now() - begin < 2

    run_jumping(run)


def test_the_stopped_hold_no_place_for_long(tmp_path: Path) -> None:
    """A process that lives but does nothing (SIGSTOP) frees its places after ten seconds, and counts again later."""

    async def run() -> None:
        kept = place(tmp_path)
        async with sharing(kept, Tier("t", 1000)) as first, sharing(kept, Tier("t", 1000)) as second:
            await anyio.sleep(NOTICED)
            turns = [first.turn("a", WORK) for _ in range(5)]
            for turn in turns:
                await turn.__aenter__()
            first._dispatchers["a"]._together.stop()
            begin = now()
            await answered(second)
            assert 9 < now() - begin < 12
            for turn in turns:
                await turn.__aexit__(None, None, None)
            await answered(second)
            assert second.standing("a").in_flight == 0
            assert second.standing("a").granted_last_period >= 7

    run_jumping(run)


def test_a_long_request_is_under_way_all_the_time(tmp_path: Path) -> None:
    """One whose only request takes a minute is not taken to be stopped."""

    async def run() -> None:
        kept = place(tmp_path)
        async with sharing(kept) as first, sharing(kept) as second, first.turn("a", WORK):
            await anyio.sleep(60)
            await answered(second)
            assert second.standing("a").in_flight == 1

    run_jumping(run)


def test_a_429_of_one_rests_all(tmp_path: Path) -> None:
    """While one has to pause nobody else sends, and nobody else is refused for it."""

    async def run() -> None:
        kept = place(tmp_path)
        async with sharing(kept) as first, sharing(kept) as second:
            await anyio.sleep(NOTICED)
            await answered(first, 429, retry_after="20")
            assert await answered(second) >= 20

    run_jumping(run)


def test_a_pause_that_another_one_drew_is_told(tmp_path: Path) -> None:
    """Who rests for another one's 429, or an earlier run's, says so, for how long, and why."""
    told: list[tuple[str, int, str]] = []

    def hear(event: str, **facts: Any) -> None:
        if event in {"paused", "lengthened"}:
            told.append((event, round(facts["seconds"]), facts["reason"]))

    async def run() -> None:
        kept = place(tmp_path)
        async with sharing(kept) as first, sharing(kept, told=hear) as second:
            await anyio.sleep(NOTICED)
            await answered(first, 429, retry_after="20")
            await answered(second)
            assert told == [("paused", 20, ANOTHER)]
            await answered(first, 429, retry_after="20")
        await anyio.sleep(5)
        async with sharing(kept, told=hear):
            assert told[1:] == [("paused", 15, ANOTHER)]

    run_jumping(run)


def test_the_limit_told_to_one_holds_for_all(tmp_path: Path) -> None:
    """What the server told one process stands with the others, with its source."""
    heard: list[str] = []

    async def run() -> None:
        kept = place(tmp_path)
        async with (
            sharing(kept) as first,
            sharing(kept, told=lambda event, **_: heard.append(event)) as second,
        ):
            await anyio.sleep(NOTICED)
            await answered(first, x_ratelimit_limit="500", x_ratelimit_remaining="499")
            await answered(second)
            assert (second.standing("a").limit, second.standing("a").source) == (500, "header")

    run_jumping(run)
    assert heard == ["limit"]


def test_the_lowest_limit_holds_for_all(tmp_path: Path) -> None:
    """Told to keep to different rates, all keep to the lowest as long as the one with it is there."""

    async def run() -> None:
        kept = place(tmp_path)
        async with sharing(kept, Tier("t", 500)) as first:
            async with sharing(kept, Allowance(Tier("t", 50), fixed=True)) as second:
                await anyio.sleep(NOTICED)
                await answered(second)
                await answered(first)
                assert first.standing("a").limit == 50
            await anyio.sleep(NOTICED)
            await answered(first)
            assert first.standing("a").limit == 500

    run_jumping(run)


def test_another_process_is_nobody_else(tmp_path: Path) -> None:
    """Two processes of ours that say that nobody else uses the key do not take each other for strangers."""
    service = Service(SlidingLog(100, 60.0))
    modes: list[str] = []

    async def process() -> None:
        async with sharing(place(tmp_path), Allowance(STANDARD, exclusive=True)) as pace:
            await flow(service, lambda: pace.turn("a", WORK), 120)
            modes.append(pace.standing("a").mode)

    async def run() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(process)
            tasks.start_soon(process)

    run_jumping(run)
    assert modes == ["exclusive", "exclusive"]
    assert service.refused == 0


def test_one_request_at_a_time_does_not_starve(tmp_path: Path) -> None:
    """Beside a process with many workers, one with a single worker waits for two turns at most after each answer."""
    counts = {1: 0, 32: 0}
    service = Service(SlidingLog(500, 60.0))

    async def process(workers: int) -> None:
        async with sharing(place(tmp_path), Tier("t", 500)) as pace:
            pace.expect("a", 10**6)

            def turn() -> Any:
                counts[workers] += 1
                return pace.turn("a", WORK)

            await flow(service, turn, 120, workers=workers)

    async def run() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(process, 32)
            tasks.start_soon(process, 1)

    run_jumping(run)
    assert counts[1] >= 0.25 * sum(counts.values())
    assert service.refused == 0


def test_places_in_flight_are_shared(tmp_path: Path) -> None:
    """A limit of requests in flight that the headers tell is that of the key: two processes keep to it together."""
    service = Service(SlidingLog(500, 60.0), crowd=Crowd(3, told=True))

    async def process() -> None:
        async with sharing(place(tmp_path), Tier("t", 500)) as pace:
            await job(service, lambda: pace.turn("a", WORK), 60)

    async def run() -> float:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(process)
            tasks.start_soon(process)
        return now()

    assert run_jumping(run) <= 25
    assert service.refused <= 2


@pytest.mark.parametrize("since", [5.0, -500.0])
def test_another_boot_remembers_roughly(tmp_path: Path, since: float) -> None:
    """After a new boot, or with a wall clock that went back, all that was held counts for a period more."""

    async def before() -> None:
        await anyio.sleep(50)
        async with sharing(place(tmp_path)) as pace:
            for _ in range(7):
                await answered(pace, x_ratelimit_limit="100", x_ratelimit_remaining="90")

    async def after() -> None:
        async with sharing(place(tmp_path, "another", since + 60)) as pace:
            assert pace.standing("a").granted_last_period == 7
            await anyio.sleep(61)
            assert pace.standing("a").granted_last_period == 0

    run_jumping(before)
    run_jumping(after)


@pytest.mark.parametrize("boot", ["a boot", "another"])
def test_what_is_old_is_nothing(tmp_path: Path, boot: str) -> None:
    """After ten periods of silence, or one and another boot, nothing is remembered."""

    async def before() -> None:
        async with sharing(place(tmp_path)) as pace:
            await answered(pace, x_ratelimit_limit="500", x_ratelimit_remaining="90")

    async def after() -> None:
        await anyio.sleep(601)
        async with sharing(place(tmp_path, boot)) as pace:
            assert (pace.standing("a").granted_last_period, pace.standing("a").limit) == (0, 100)

    run_jumping(before)
    run_jumping(after)


@pytest.mark.parametrize("damage", [b"", b"\0" * 200_000, b"bulkops\n" + b"\xff" * 9000, b"x" * 30])
def test_a_file_that_cannot_be_read_is_begun_anew(tmp_path: Path, damage: bytes) -> None:
    """Whatever stands there, the pace works and remembers from then on."""

    async def run() -> None:
        (tmp_path / "pace").write_bytes(damage)
        for count in (1, 2):
            async with sharing(place(tmp_path)) as pace:
                await answered(pace)
                assert pace.standing("a").granted_last_period == count

    run_jumping(run)


def test_a_file_begun_anew_beside_us_does_not_rule(tmp_path: Path) -> None:
    """One that takes part goes on with what it knows when the file is emptied and begun by somebody else."""

    async def run() -> None:
        kept = place(tmp_path)
        async with sharing(kept) as first:
            for _ in range(5):
                await answered(first)
            (tmp_path / "pace").write_bytes(b"")
            async with sharing(kept) as second:
                await answered(second)
                await answered(first)
                await answered(second)
                assert second.standing("a").granted_last_period == 8

    run_jumping(run)


def test_nothing_stays_but_the_file(tmp_path: Path) -> None:
    """Who leaves leaves no sign of life behind, and a file that only its owner can read."""

    def files() -> list[Path]:
        return list(tmp_path.iterdir())

    async def run() -> None:
        async with sharing(place(tmp_path)) as pace:
            await answered(pace)
            assert len(files()) == 2

    run_jumping(run)
    (left,) = files()
    assert left.name == "pace"
    assert left.stat().st_mode & 0o777 == 0o600
    assert left.stat().st_size < 2_000_000


def test_without_a_place_the_pace_goes_on_by_itself(tmp_path: Path) -> None:
    """A file that cannot be made is told of, once, and the requests go."""
    heard: list[str] = []

    async def run() -> None:
        kept = Place(tmp_path / "no folder" / "pace")
        async with sharing(
            kept, told=lambda event, **facts: heard.append(f"{event} {facts['reason']}")
        ) as pace:
            for _ in range(3):
                await answered(pace)

    run_jumping(run)
    assert len(heard) == 1
    assert "No such file" in heard[0]
