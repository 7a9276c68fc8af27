"""Four real processes with one key, at a real server whose own counts are the judge: 100 requests in 6 seconds."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from bulkops.emulator import Algorithm
from tests.e2e.e2e_commands import agents, end_of, files_below, interrupt, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk, Started

LIMIT, PERIOD = 100, 6.0
SECONDS = 20.0
BUSY = 0.85
"""The least of the rate on a machine that has other work; benchmarks/pacing.py measures what it is on an idle one."""
UNEVEN = 0.5
"""The least that a process may get of what would be its part."""


def started(desk: Desk, name: str) -> Started:
    """Start a run of a long job of its own."""
    assert desk.server is not None
    job = desk.job(agents(2000), f"{name}.jsonl")
    return desk.start("run", job, "--base-url", desk.server.base_url, "--rate", f"{LIMIT}/{PERIOD:g}s", "-q")


def limited(desk_at: Callable[..., Desk], **more: Any) -> Desk:
    """Set up a desk with a server that keeps the limit by a log: no window holds more."""
    return desk_at(
        limit=LIMIT, period=PERIOD, limit_algorithm=Algorithm.SLIDING_LOG, latency=(0.01, 0.05), **more
    )


@pytest.mark.parametrize("headers", [True, False])
def test_four_processes_share_a_key(desk_at: Callable[..., Desk], *, headers: bool) -> None:
    """No 429, nearly all of the limit in sum, and each its part, with and without headers."""
    desk = limited(desk_at, rate_headers=headers)
    assert desk.server is not None
    with ExitStack() as running:
        processes = [running.enter_context(started(desk, f"job{number}")) for number in range(4)]
        until(lambda: desk.sent)
        time.sleep(SECONDS)
        seen = desk.server.statistics
        ended = [interrupt(process) for process in processes]
    assert [it.code for it in ended] == [130] * 4
    assert seen.refused == {}
    assert seen.most_in_a_window <= LIMIT
    assert seen.requests >= BUSY * LIMIT * seen.seconds / PERIOD
    done = [int(it.last.split()[1].replace(",", "")) for it in ended]
    assert min(done) >= UNEVEN * sum(done) / 4


def test_one_of_four_is_killed(desk_at: Callable[..., Desk]) -> None:
    """What a killed one had under way holds the others up for no more than seconds; they use what it leaves."""
    desk = limited(desk_at)
    assert desk.server is not None
    with ExitStack() as running:
        processes = [running.enter_context(started(desk, f"job{number}")) for number in range(4)]
        until(lambda: desk.sent > 50)
        processes[0].kill()
        end_of(processes[0])
        before, since = desk.sent, time.monotonic()
        time.sleep(2 * PERIOD)
        sent, seconds = desk.sent - before, time.monotonic() - since
        for process in processes[1:]:
            interrupt(process)
    assert desk.server.statistics.refused == {}
    assert sent >= 0.9 * LIMIT * seconds / PERIOD


@pytest.mark.parametrize("headers", [True, False])
def test_killed_and_started_again_after_three_seconds(desk_at: Callable[..., Desk], *, headers: bool) -> None:
    """A restart knows what was sent before the crash: no 429, with and without headers."""
    desk = limited(desk_at, rate_headers=headers)
    assert desk.server is not None
    with started(desk, "job") as process:
        until(lambda: desk.sent > 60)
        process.kill()
        end_of(process)
    time.sleep(3)
    with started(desk, "job") as process:
        time.sleep(PERIOD + 2)
        interrupt(process)
    assert desk.server.statistics.refused == {}
    assert desk.server.statistics.most_in_a_window <= LIMIT


def test_what_is_kept_of_a_run(desk: Desk) -> None:
    """A salt and the pace of the key, in the user's state folder; nothing of a rehearsal, nor at a scaled clock."""
    job, home = desk.job(agents(3)), desk.folder / "home"
    desk.bulkops("run", job, "--emulate", env={"BULKOPS_LATENCY": "0"})
    desk.run(job, "--time-scale", 2, "--run-dir", desk.folder / "scaled")
    assert list(files_below(home)) == []
    assert desk.run(job).code == 0
    assert sorted(path.suffix for path in files_below(home / ".local" / "state" / "bulkops")) == ["", ".pace"]


@pytest.mark.parametrize("folder", ["/dev/null/state", "/proc/state"])
def test_a_state_folder_that_cannot_be_used_is_no_obstacle(desk: Desk, folder: str) -> None:
    """One line says why, and the run goes on."""
    ended = desk.run(desk.job(agents(3)), env={"XDG_STATE_HOME": folder})
    assert ended.code == 0
    assert ended.err.count("the pace is not remembered, and not shared with other runs") == 1
    assert folder in ended.err


def test_without_a_home_nothing_is_kept(desk: Desk) -> None:
    """As cron may start it: no word of it, and the run goes on."""
    del desk.env["HOME"]
    ended = desk.run(desk.job(agents(3)))
    assert ended.code == 0
    assert "remembered" not in ended.err
