"""What the tests of the emulator share: servers that end with the test, and clients that are not ours."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bulkops.emulator import EmulatorSettings, Schedule, serving_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulkops.emulator import Emulator


@pytest.fixture
def emulate() -> Iterator[Callable[..., Emulator]]:
    """Start emulators: `emulate(faults=[...], **settings)`; without a tier limit unless one is asked for."""
    with ExitStack() as stack:

        def start(faults: list[Any] | None = None, **given: Any) -> Emulator:
            settings = EmulatorSettings(**{"tier": None, "faults": Schedule.parse(faults or [])} | given)
            return stack.enter_context(serving_in_thread(settings))

        yield start


@pytest.fixture
def talk() -> Iterator[Callable[..., httpx.Client]]:
    """Open httpx clients: `talk(emulator, key="a-key")`."""
    with ExitStack() as stack:

        def open_client(emulator: Emulator, key: str | None = "a-key") -> httpx.Client:
            headers = {} if key is None else {"xi-api-key": key}
            # A client that trusts nobody is quick to make; there is no TLS on loopback.
            client = httpx.Client(base_url=emulator.base_url, headers=headers, verify=False, trust_env=False)
            return stack.enter_context(client)

        yield open_client


@pytest.fixture
def emulator(emulate: Callable[..., Emulator]) -> Emulator:
    """Start an emulator without limits, whose indexes take no time."""
    return emulate(index_time=0.0, conversations=3)


@pytest.fixture
def api(emulator: Emulator, talk: Callable[..., httpx.Client]) -> httpx.Client:
    """Open a client of that emulator."""
    return talk(emulator)
