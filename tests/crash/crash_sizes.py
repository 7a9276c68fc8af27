"""How much of everything is done, what it takes to do it, and where the figures go."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "build" / "figures.jsonl"
"""One JSON line for each harness that ran: its name, its size and what it counted."""

RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID")
"""What the processes of one run of the tests have in common; None where there is one process only."""


def share() -> float:
    """Return which share of the long sizes is asked for; 0 means the sizes of `make test`."""
    return float(os.environ.get("SOAK") or 0)


def size(test: int, soak: int) -> int:
    """Return how many: as in `make test`, or the share of the long size that `make soak` asks for."""
    return max(test, round(soak * share()))


def need(*tools: str) -> None:
    """Skip what this machine lacks the tools for, with the reason; in `make soak`, fail."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        lacking(f"needs {' and '.join(missing)}, which .ci/run installs where it can")


def lacking(reason: str) -> NoReturn:
    """Skip for this reason; in `make soak`, fail."""
    if share():
        pytest.fail(reason)
    pytest.skip(reason)


def note(name: str, **figures: Any) -> None:
    """Write down what a harness counted."""
    FIGURES.parent.mkdir(exist_ok=True)
    with FIGURES.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"name": name, "soak": share(), "run": RUN, **figures}) + "\n")
