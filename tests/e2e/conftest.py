"""What the tests of the command share: a server for all that need nothing special, and a desk for each test."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from bulkops.emulator import EmulatorSettings, Schedule, serving_in_thread
from tests.e2e.e2e_commands import Desk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def desk_at(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Set up a desk with a server of its own: `desk_at(faults=[...], **settings)`; without limits unless asked."""
    with ExitStack() as stack:

        def start(faults: list[Any] | None = None, **given: Any) -> Desk:
            settings = EmulatorSettings(
                **{"tier": None, "index_time": 0.0, "faults": Schedule.parse(faults or [])} | given
            )
            return Desk(tmp_path, stack.enter_context(serving_in_thread(settings)))

        yield start


@pytest.fixture
def desk(desk_at: Callable[..., Desk]) -> Desk:
    """Set up a desk with a server that works, without a limit, whose indexes take no time."""
    return desk_at(conversations=3)


@pytest.fixture
def lone_desk(tmp_path: Path) -> Desk:
    """Set up a desk without a server."""
    return Desk(tmp_path)
