"""Stopped by signals: every attempt ends classified and written down, and the work does not depend on its audience.

The first signal, and the deadline of the drain, are tested with the run itself (`tests/e2e/test_e2e_running.py`).
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.e2e_commands import agents, check_ending, heeding, interrupt, run_folder, states, table, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk, Started


def said(process: Started, words: str) -> str:
    """Wait until the command has said these words; return its line."""
    assert process.stderr is not None
    while words not in (line := process.stderr.readline()):
        assert line, f"it ended without saying {words!r}"
    return line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_second_signal_leaves_every_attempt_classified(
    desk_at: Callable[..., Desk], number: signal.Signals
) -> None:
    """Aborted with four requests without an answer: each is written down as in doubt, none is merely open."""
    desk = desk_at(faults=[{"times": [5, 8], "fault": "silent"}])
    job = desk.job(agents(12))
    with desk.start("run", job, *desk.target, "-j", 4, preexec_fn=heeding(number)) as process:
        until(lambda: desk.sent >= 8)
        process.send_signal(number)
        said(process, "again to abort")
        ended = interrupt(process, number)
    assert ended.code == 143, ended.err
    counts = check_ending(job, ended)["operations"]
    assert (counts["done"], counts["in_doubt"], counts["not_started"]) == (4, 4, 4)
    held = table(run_folder(job) / "in_doubt.jsonl")
    assert all("aborted" in one["reason"] for one in held)


def test_a_run_under_nohup_outlives_its_terminal(desk_at: Callable[..., Desk]) -> None:
    """Where SIGHUP is ignored from the start it stays ignored: the run goes on to its end."""
    desk = desk_at(latency=0.03)
    job = desk.job(agents(20))

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with desk.start("run", job, *desk.target, "-j", 2, preexec_fn=ignore) as process:
        until(lambda: len(desk.effects()) >= 4)
        ended = interrupt(process, signal.SIGHUP)
    assert ended.code == 0, ended.err
    assert len(desk.effects()) == 20


def test_a_signal_asks_where_the_run_stands(desk_at: Callable[..., Desk]) -> None:
    """SIGUSR1 prints one line with the counts of that moment; the work goes on and ends with 0."""
    desk = desk_at(latency=0.1)
    job = desk.job(agents(40))
    with desk.start("run", job, *desk.target, "-j", 2) as process:
        until(lambda: len(desk.effects()) >= 4)
        process.send_signal(signal.SIGUSR1)
        line = said(process, "not started")
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert line.startswith("done ")
    assert " of 40, not started " in line
    assert "requests in the last" in line
    assert len(desk.effects()) == 40


def test_a_question_at_any_time_ends_nothing(desk_at: Callable[..., Desk]) -> None:
    """SIGUSR1, whose default is to end a process, comes all the time, from the lock to the results: exit 0."""
    desk = desk_at()
    job = desk.job(agents(30))
    # Into a file: a pipe that nobody reads while the signals come would fill up.
    with (
        (desk.folder / "said").open("w") as said,
        desk.start("run", job, *desk.target, stderr=said) as process,
    ):
        until((run_folder(job) / "events.jsonl").exists)

        def asked_to_the_end() -> bool:
            process.send_signal(signal.SIGUSR1)
            return process.poll() is not None or (run_folder(job) / "summary.json").exists()

        until(asked_to_the_end)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(desk.effects()) == 30


@pytest.mark.parametrize("signalled", [False, True])
def test_an_audience_that_leaves_does_not_stop_the_work(
    desk_at: Callable[..., Desk], *, signalled: bool
) -> None:
    """A stdout and stderr that nobody reads any more, and SIGPIPE itself, change nothing: all is done, exit 0."""
    desk = desk_at(latency=0.02)
    job = desk.job(agents(20))
    reading, writing = os.pipe()
    with desk.start("run", job, *desk.target, "--json", stdout=writing, stderr=writing) as process:
        os.close(writing)
        until(lambda: len(desk.effects()) >= 4)
        os.close(reading)
        if signalled:
            process.send_signal(signal.SIGPIPE)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert set(states(job).values()) == {"done"}
    assert len(desk.effects()) == 20
