"""From a request to a reply: `Retrying(Metered(Recorded(Measured(Wire))))`, once per attempt from top to bottom."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from bulkops.sending.apart import ByAccount
from bulkops.sending.attempt import Attempt, Gate, Heard, Sender
from bulkops.sending.clock import ServerClock
from bulkops.sending.measured import Measured
from bulkops.sending.metered import Metered
from bulkops.sending.named import Named
from bulkops.sending.recorded import Recorded
from bulkops.sending.retrying import Retrying
from bulkops.told import silent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from bulkops.checkpoint import Checkpoint
    from bulkops.pace.turns import Pace
    from bulkops.sending.measured import Meter
    from bulkops.settings import Account, Settings
    from bulkops.told import Told


@asynccontextmanager
async def open_sender(
    settings: Settings,
    accounts: Mapping[str, Account],
    checkpoint: Checkpoint,
    pace: Pace,
    *,
    clock: ServerClock | None = None,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    told: Told = silent,
    meter: Meter | None = None,
    named: Named | None = None,
) -> AsyncIterator[Retrying]:
    """Open the stack: a turn from the pace, then the intent on disk, then the first byte."""
    # HTTP and TLS take half a second to load: a run that has nothing left to send does without.
    from bulkops.sending.transport import AiohttpTransport
    from bulkops.sending.wire import Wire

    async with AsyncExitStack() as opened:
        # Connections of its own for each: an answer that comes on the wrong one is to another request of the account.
        wires: dict[str, Sender] = {}
        for name, account in accounts.items():
            transport = await opened.enter_async_context(AiohttpTransport())
            wires[name] = Wire(settings, {name: account}, transport, named)
        wire = wires[next(iter(wires))] if len(wires) == 1 else ByAccount(wires)
        measured = wire if meter is None else Measured(wire, meter)
        yield Retrying(
            Metered(
                Recorded(measured, checkpoint, clock=clock or ServerClock()), pace, settings.max_requests
            ),
            give_up_after=settings.give_up_after,
            time_scale=settings.time_scale,
            sleep=sleep,
            told=told,
            several=len(accounts) > 1,
        )


__all__ = ["Attempt", "Gate", "Heard", "Named", "Retrying", "Sender", "ServerClock", "open_sender"]
