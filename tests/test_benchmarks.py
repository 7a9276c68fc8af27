"""The benchmarks reach into the package, so they can break unseen: nobody runs them with every change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.e2e_commands import Desk, agents, states

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize("script", sorted(path.stem for path in BENCHMARKS.glob("*.py")))
def test_each_benchmark_can_be_loaded(script: str) -> None:
    """What it imports is there."""
    code = f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r}); import {script}"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=BENCHMARKS.parent).returncode == 0


def test_a_run_without_http_does_the_whole_job(tmp_path: Path) -> None:
    """All but HTTP is what it is in a run: every operation ends as done, and is in the checkpoint."""
    desk = Desk(tmp_path)
    job = desk.job(agents(5))
    words = ("run", str(job), "--base-url", "http://127.0.0.1:1/v1/convai", "--rate", "1000000/min", "-q")
    ended = subprocess.run(
        [sys.executable, str(BENCHMARKS / "without_wire.py"), *words],
        env=desk.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert list(states(job).values()) == ["done"] * 5
