"""Who waits for what is being made waits for no more than that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from bulkops.api import REFERENCE
from bulkops.engines.making import Making
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from bulkops.model import Request


def request(endpoint: str) -> Request:
    """Return a request that makes something."""
    return REFERENCE.endpoints()[endpoint].request(body={"name": "a"})


def test_only_what_was_under_way_is_waited_for() -> None:
    """Neither the next request in a place, nor what began later, nor what makes something else."""
    making, heard_at = Making(), list[float]()

    async def heard() -> None:
        making.begin(1, request("agent.create"))
        making.begin(2, request("agent.create"))
        making.begin(3, request("tool.create"))
        async with anyio.create_task_group() as beside:
            beside.start_soon(go_on)
            await making.heard("agent")
            heard_at.append(anyio.current_time())

    async def go_on() -> None:
        await anyio.sleep(1.0)
        making.end(1)
        making.begin(1, request("agent.create"))
        making.begin(4, request("agent.create"))
        await anyio.sleep(2.0)
        making.end(2)
        await anyio.sleep(4.0)
        for place in (1, 3, 4):
            making.end(place)

    run_jumping(heard)
    assert round(heard_at[0]) == 3
    assert not making.requests()
