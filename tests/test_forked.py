"""Forked commands against started ones: what they leave behind is the same."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import desk, desk_at, lone_desk
from tests.e2e.e2e_commands import agents, end_of, interrupt, results, until
from tests.forked import COMMAND, Command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk

__all__ = ["desk", "desk_at", "lone_desk"]


def both(desk: Desk, *words: object, **more: Any) -> list[tuple[int, str, str]]:
    """Run a command both ways, for real first; return code, output and what was said."""
    given = ([*COMMAND, *map(str, words)], desk.env | more.pop("env", {}))
    real = subprocess.run(
        given[0], env=given[1], cwd=desk.folder, capture_output=True, text=True, check=False
    )
    forked = end_of(desk.start(*words, env=more.get("env"), **more))
    return [(real.returncode, real.stdout, real.stderr), (forked.code, forked.out, forked.err)]


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["--help"],
        ["run"],
        ["rn"],
        ["plan", "job.jsonl"],
        ["plan", "missing.jsonl"],
        ["run", "job.jsonl", "--jobs", "none"],
        ["status", "job.jsonl"],
        ["results", "job.jsonl", "--format", "csv"],
        ["kinds"],
        ["schema"],
        ["undo", "job.jsonl"],
        ["report", "job.jsonl"],
        ["completion", "zsh"],
        ["new", "upload", "nowhere"],
    ],
)
def test_a_fork_says_what_a_start_says(desk: Desk, words: list[str]) -> None:
    """Exit code, output and messages are the same, of what works and of what does not."""
    desk.job([*agents(2), {"op": "agent.get", "id": "née", "agent_id": "${ref:a0#agent_id}"}])
    real, forked = both(desk, *words)
    assert forked == real


def test_a_fork_does_what_a_start_does(desk: Desk) -> None:
    """A run leaves the same results, whichever way it came to be."""
    left = []
    for start in ("real", "forked"):
        job = desk.job(agents(3), f"{start}.jsonl")
        words = ["run", str(job), *desk.target]
        if start == "real":
            done = subprocess.run([*COMMAND, *words], env=desk.env, cwd=desk.folder, check=False).returncode
        else:
            done = desk.bulkops(*words).code
        left.append((done, [(row["id"], row["status"], sorted(row)) for row in results(job)]))
    assert left[0] == left[1]


def test_a_fork_is_a_process_of_ours(desk_at: Any) -> None:
    """It has an id of its own, hears signals, and tells by which one it was killed."""
    desk = desk_at(latency=0.3)
    with desk.start("run", desk.job(agents(50)), *desk.target, "-j", 1) as first:
        until(lambda: desk.sent)
        assert first.pid != os.getpid()
        assert os.getsid(first.pid) == os.getsid(0)
        assert interrupt(first).code == 130
    with desk.start("run", desk.job(agents(50), "other.jsonl"), *desk.target, "-j", 1) as second:
        until(lambda: desk.made().count("Agent 1"))
        second.kill()
        assert second.wait() == -signal.SIGKILL


def test_what_is_no_plain_command_is_started(tmp_path: Path, lone_desk: Desk) -> None:
    """Another environment of the interpreter, another program, or a limit set before it is a real start."""
    plain: dict[str, Any] = {"env": lone_desk.env, "cwd": tmp_path}
    for words, more in (
        ([*COMMAND, "--version"], {"env": lone_desk.env | {"PYTHONPATH": os.environ["PATH"]}}),
        ([*COMMAND, "--version"], {"env": lone_desk.env | {"LC_ALL": "C"}}),
        ([*COMMAND, "--version"], {"preexec_fn": lambda: None}),
        (["env", *COMMAND, "--version"], {}),
    ):
        with Command(
            words, **{**plain, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **more}
        ) as it:
            assert it._asked is None
