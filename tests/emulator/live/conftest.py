"""What the tests of the emulator's live API share: the vendor's own SDK, and a look at every answer it gets."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from elevenlabs import ElevenLabs
from pydantic import TypeAdapter

from bulkops.emulator import EmulatorSettings, Schedule, serving_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulkops.emulator import Emulator


class Witness:
    """The vendor's SDK as a client of an emulator; `raw` speaks HTTP alone."""

    def __init__(self, emulator: Emulator, key: str) -> None:
        self.emulator = emulator
        self.heard: list[httpx.Response] = []
        # A client that trusts nobody is quick to make; there is no TLS on loopback.
        self.http = httpx.Client(verify=False, trust_env=False, event_hooks={"response": [self._hear]})
        sdk = ElevenLabs(api_key=key, base_url=emulator.origin, httpx_client=self.http)
        self.api: Any = sdk.conversational_ai
        self.raw = httpx.Client(
            base_url=emulator.base_url, headers={"xi-api-key": key}, verify=False, trust_env=False
        )

    def whole(self, parsed: Any) -> Any:
        """Return what the SDK made of the last answer, which it has to have understood without loss."""
        body = self.heard[-1].json()
        adapter = TypeAdapter(type(parsed))
        again = adapter.validate_python(body)
        assert json.loads(adapter.dump_json(again, exclude_unset=True, by_alias=True)) == body
        return parsed

    def _hear(self, response: httpx.Response) -> None:
        response.read()
        self.heard.append(response)


@pytest.fixture
def witness() -> Iterator[Callable[..., Witness]]:
    """Start emulators of the live API with their witness: `witness(faults=[...], key=..., **settings)`."""
    with ExitStack() as stack:

        def start(faults: list[Any] | None = None, key: str = "a-key", **given: Any) -> Witness:
            chosen: dict[str, Any] = {"index_time": 0.0, "conversations": 3, **given}
            settings = EmulatorSettings(api="live", faults=Schedule.parse(faults or []), **chosen)
            made = Witness(stack.enter_context(serving_in_thread(settings)), key)
            stack.enter_context(made.http)
            stack.enter_context(made.raw)
            return made

        yield start


@pytest.fixture
def live(witness: Callable[..., Witness]) -> Witness:
    """Start an emulator without limits, whose indexes take no time."""
    return witness()
