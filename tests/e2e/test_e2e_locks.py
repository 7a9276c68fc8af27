"""One run of a job at a time, as cron and people meet it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.e2e.e2e_commands import agents, end_of, interrupt, run_folder, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk, Started


@pytest.fixture
def slow(desk_at: Callable[..., Desk]) -> Desk:
    """Set up a desk whose server takes its time."""
    return desk_at(latency=0.3)


def under_way(desk: Desk, job: Path, *words: object) -> Started:
    """Start a run, and return once it sends."""
    sent = desk.sent
    process = desk.start("run", job, *desk.target, "-j", 1, *words)
    until(lambda: desk.sent > sent)
    return process


def test_twelve_starts_at_once(slow: Desk) -> None:
    """Of twelve simultaneous starts one does the job, eleven end with 75, and nothing is made twice."""
    job = slow.job(agents(500))
    with ExitStack() as stack:
        started = [stack.enter_context(slow.start("run", job, *slow.target, "-j", 2)) for _ in range(12)]
        until(lambda: sum(process.poll() is not None for process in started) == 11, seconds=120)
        ends = [interrupt(process) if process.poll() is None else end_of(process) for process in started]
    assert sorted(end.code for end in ends) == [75] * 11 + [130]
    assert all(" is already being run by " in end.last for end in ends if end.code == 75)
    assert len(set(slow.made())) == len(slow.made())


def test_a_second_run_hears_of_the_first(slow: Desk) -> None:
    """The second run ends at once with 75 and is told process and command of the first; with -q it says nothing."""
    job = slow.job(agents(50))
    with under_way(slow, job) as first:
        second = slow.run(job, "--lock-wait", 0)
        quiet = slow.run(job, "-q")
        other = slow.run(job, "--run-dir", "other.run")
        interrupt(first)
    assert (second.code, quiet.code, other.code) == (75, 75, 75)
    assert f"by process {first.pid} on " in second.last
    assert f"(bulkops run {job} " in second.last
    assert "`bulkops status` shows where it stands" in second.last
    assert (quiet.out, quiet.err) == ("", "")
    assert "another run folder" in other.last


def test_a_run_that_waits_its_turn(slow: Desk) -> None:
    """With --lock-wait the second run waits, says so, and goes on where the first has ended."""
    job = slow.job(agents(100))
    with under_way(slow, job) as first, slow.start("run", job, *slow.target, "--lock-wait", "1m") as second:
        assert second.stderr is not None
        assert second.stderr.readline().startswith(
            f"waiting: {job} is already being run by process {first.pid} "
        )
        assert interrupt(first).code == 130
        ended = end_of(second)
    assert ended.code == 0, ended.err
    assert "done 100 of 100" in ended.last
    assert len(slow.made()) == 100


def test_a_killed_run_leaves_no_lock_behind(slow: Desk) -> None:
    """Right after kill -9 the next run goes on."""
    job = slow.job(agents(6))
    with under_way(slow, job) as first:
        first.kill()
        first.wait()
    assert (run_folder(job) / "lock").read_text("utf-8") != ""
    later = slow.run(job, "-j", 6)
    assert later.code in {0, 6}, later.err


def test_a_wait_that_is_no_duration(desk: Desk) -> None:
    """What is no duration is refused as the usage error it is."""
    ended = desk.run(desk.job(agents(1)), "--lock-wait", "soon")
    assert (ended.code, desk.sent) == (2, 0)
    assert "--lock-wait takes a duration such as 30s, 5m or 2h, not 'soon'" in ended.err
