"""What holds for the whole suite: it ends with its figures, and the key of its commands stands nowhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.canary import sightings
from tests.crash.crash_figures import lines, table

if TYPE_CHECKING:
    from collections.abc import Iterator

# A test that takes long on a busy machine is not wrong. The suite is to say the same of the same code each time; what
# nobody has tried yet is looked for in the soak.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("soak", deadline=None, max_examples=2_000)
settings.load_profile("soak" if os.environ.get("SOAK") else "same")

FIGURES_BEFORE = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Remember which figures were counted before."""
    config.stash[FIGURES_BEFORE] = len(lines())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what the harnesses counted."""
    counted = lines()[config.stash[FIGURES_BEFORE] :]
    if counted:
        terminalreporter.section("figures")
        terminalreporter.write_line(table(counted))


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let nothing that the tests start remember anything in the home of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Search everything that the tests leave behind, tracebacks in logs and databases included, for the key."""
    yield
    found = [str(path) for path in sightings(tmp_path_factory.getbasetemp())]
    assert not found, f"the key was let out into {found}"
