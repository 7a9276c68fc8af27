"""The walls of the house: the import contracts hold, and each one fails when it is broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BROKEN = [
    ("planning/plan.py", "from bulkops.engines import local as _local", "one way through the house"),
    ("pace/tiers.py", "from bulkops.jobfile import graph as _graph", "one way through the house"),
    ("attic.py", '"""A module that nobody gave a place."""', "one way through the house"),
    (
        "operations/agent_get.py",
        "import time as _time",
        "what to ask is worked out without touching the world",
    ),
    ("lifecycle.py", "import random as _random", "what to ask is worked out without touching the world"),
    (
        "operations/agent_get.py",
        "from bulkops.operations import agent_list as _list",
        "kinds know nothing of each other",
    ),
    (
        "emulator/world.py",
        "from bulkops.api import REFERENCE as _R",
        "the emulator follows the contract, not our client",
    ),
]


def contracts(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the import contracts of the checkout in a folder."""
    lint_imports = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [lint_imports, "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the package to break."""
    shutil.copytree(ROOT / "bulkops", tmp_path / "bulkops", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold() -> None:
    """Every import goes the way that the contracts allow."""
    checked = contracts(ROOT)

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(("file", "line", "contract"), BROKEN)
def test_a_broken_contract_is_found(checkout: Path, file: str, line: str, contract: str) -> None:
    """An import that a contract forbids breaks that contract."""
    with (checkout / "bulkops" / file).open("a") as module:
        module.write(f"\n{line}\n")
    checked = contracts(checkout)

    assert checked.returncode != 0
    assert f"{contract} BROKEN" in checked.stdout
