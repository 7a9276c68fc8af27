"""The real command as a process of its own, against an emulator in this one, killed and interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulkops.checkpoint import open_reader
from bulkops.emulator import EmulatorSettings, serving_in_thread
from bulkops.model import State
from tests.forked import COMMAND, INTERPRETER, OF_THE_START, Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bulkops.emulator import Emulator

WORKERS = 64


class Job:
    """`bulkops run` on a job of a hundred agents."""

    def __init__(self, folder: Path, server: Emulator) -> None:
        self.job = folder / "job.jsonl"
        self.server = server
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OF_THE_START)}
        own = {"ELEVENLABS_API_KEY": "a-key", "XDG_CONFIG_HOME": str(folder)}
        self.environ = {**kept, **INTERPRETER, **own}
        body: dict[str, Any] = {"conversation_config": {}}
        lines = [{"op": "agent.create", "id": f"a{n}", "body": {**body, "name": f"a{n}"}} for n in range(100)]
        self.job.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))

    def start(self, rate: str, **environ: str) -> Command:
        """Start it."""
        options = ["--base-url", self.server.base_url, "--rate", rate, "-j", str(WORKERS), "-q"]
        return Command(
            [*COMMAND, "run", str(self.job), *options],
            env=self.environ | environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def counts(self) -> dict[State, int]:
        """Return what the checkpoint says has ended."""
        reader = open_reader(self.job.with_name("job.run") / "checkpoint.db")
        if reader is None:
            return {}
        with reader:
            return reader.counts()

    def open_steps(self) -> int:
        """Return how many steps of operations that have not ended are remembered."""
        reader = open_reader(self.job.with_name("job.run") / "checkpoint.db")
        assert reader is not None
        with reader:
            return len(list(reader.open_steps()))

    def made(self) -> list[str]:
        """Return the names of the agents that were made."""
        return [effect.name for effect in self.server.effects]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Start an emulator without a limit, whose answers take their time."""
    with serving_in_thread(EmulatorSettings(tier=None, latency=0.3)) as server:
        yield server


def wait_until(holds: Callable[[], bool], process: Command) -> None:
    """Look until something holds; fail when the process ends before."""
    deadline = time.monotonic() + 60
    while not holds():
        assert process.poll() is None, "the run ended early"
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def test_killed_while_sixty_four_wait_for_the_pace_none_is_in_doubt(
    tmp_path: Path, emulator: Emulator
) -> None:
    """Killed with kill -9 while 64 operations wait for their turn, a run leaves none of them in doubt."""
    command = Job(tmp_path, emulator)
    # One request at once and then one in ten seconds: after the first answer, every worker waits for the pace.
    process = command.start("6/min")
    try:
        wait_until(lambda: command.counts() == {State.DONE: 1}, process)
    finally:
        process.kill()
        process.wait()
    assert emulator.requests.total == 1
    assert command.open_steps() == 0

    # What the first one remembers of its pace would hold up the second.
    assert command.start("60000/min", XDG_STATE_HOME=str(tmp_path)).wait(timeout=60) == 0
    assert command.counts() == {State.DONE: 100}
    assert sorted(command.made()) == sorted(f"a{n}" for n in range(100))


def test_interrupted_once_the_requests_in_flight_end_well(tmp_path: Path, emulator: Emulator) -> None:
    """SIGINT with requests in flight: they end done, nothing is in doubt, and the next run does the rest."""
    command = Job(tmp_path, emulator)
    process = command.start("60000/min")
    try:
        wait_until(lambda: emulator.requests.total >= WORKERS, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    finally:
        process.kill()
        process.wait()
    assert command.counts() == {State.DONE: len(command.made())}
    assert WORKERS <= len(command.made()) < 100
    assert command.open_steps() == 0

    assert command.start("60000/min").wait(timeout=60) == 0
    assert sorted(command.made()) == sorted(f"a{n}" for n in range(100))
