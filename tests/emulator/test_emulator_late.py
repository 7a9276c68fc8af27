"""Effects that come after the client has gone, and agents that somebody else makes: real sockets."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bulkops.emulator import EmulatorSettings, Schedule, serving
from bulkops.emulator.faults import MAY_BE_LATE, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.emulator import Emulator

CONFIG = {"agent": {"language": "en"}}
LATE = 0.5


def create(emulator: Emulator, name: str = "Ada", timeout: float = 0.1, **body: Any) -> int | None:
    """Create an agent with the client of the standard library; the status, None without a whole answer."""
    asked = {"name": name, "conversation_config": CONFIG} | body
    with closing(http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=timeout)) as connection:
        with suppress(OSError, http.client.HTTPException):
            connection.request("POST", "/v1/convai/agents/create", json.dumps(asked), {"xi-api-key": "k"})
            reply = connection.getresponse()
            reply.read()
            return reply.status
        return None


def names(emulator: Emulator) -> list[str]:
    """Ask for the names that a listing shows."""
    reply = httpx.get(f"{emulator.base_url}/agents", headers={"xi-api-key": "k"}, verify=False)
    return [agent["name"] for agent in reply.json()["agents"]]


@pytest.fixture
def faulty(emulate: Callable[..., Emulator]) -> Callable[..., Emulator]:
    """Start an emulator whose first agent.create goes wrong: `faulty("cut", late=1)`."""
    return lambda kind, **given: emulate([{"endpoint": "agent.create", "nth": 1, "fault": kind} | given])


@pytest.mark.parametrize("kind", MAY_BE_LATE)
def test_an_effect_may_come_after_its_request_is_over(faulty: Any, kind: FaultKind) -> None:
    """The client has been told nothing or the wrong thing, a listing shows nothing, and later the agent is there."""
    emulator = faulty(kind, late=LATE)
    status = create(emulator)
    gone = time.time()
    assert status == {FaultKind.ERROR_AFTER: 500, FaultKind.NOT_JSON: 200}.get(kind)
    assert names(emulator) == []
    while not emulator.effects:
        time.sleep(0.01)
    assert names(emulator) == ["Ada"]
    (effect,) = emulator.effects
    assert (effect.kind, effect.request) == ("agent.create", 1)
    # The server may have seen the end a moment before the client did, or after it.
    assert 0.8 * LATE < effect.at - gone < LATE + 1


def test_a_late_effect_of_a_bad_request_does_not_come(faulty: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What would be refused has no effect later either, and nothing is logged as a mistake."""
    emulator = faulty("error_after", late=0.01)
    assert create(emulator, name="") == 500
    time.sleep(0.1)
    assert (names(emulator), caplog.records) == ([], [])


def test_a_late_effect_ends_with_its_server() -> None:
    """A server that has stopped has no more effects, although its event loop runs on."""

    async def main() -> None:
        faults = Schedule.parse([{"nth": 1, "fault": "reset_after", "late": 0.2}])
        async with serving(EmulatorSettings(faults=faults)) as emulator:
            assert await asyncio.to_thread(create, emulator) is None
        await asyncio.sleep(0.3)
        assert emulator.effects == []

    asyncio.run(main())


def test_somebody_else_may_create_agents(faulty: Any) -> None:
    """A stranger's agents are there before ours, with the same configuration; our request goes as usual."""
    emulator = faulty("stranger", names=["Ada", "Bob"])
    assert create(emulator, timeout=5.0) == 200
    assert names(emulator) == ["Ada", "Bob", "Ada"]
    assert [effect.request for effect in emulator.effects] == [0, 0, 1]
    bodies = [json.loads(agent.body) for agent in emulator.world("k").agents.values()]
    assert [body["conversation_config"] for body in bodies] == [CONFIG] * 3
    assert [body["name"] for body in bodies] == ["Ada", "Bob", "Ada"]


def test_somebody_else_may_create_agents_at_any_request(emulate: Any) -> None:
    """At a request that asks for no agent, a stranger's agent has an empty configuration, and is in the answer."""
    emulator = emulate([{"endpoint": "agent.list", "nth": 2, "fault": "stranger", "names": ["Eve"]}])
    assert (names(emulator), names(emulator)) == ([], ["Eve"])
