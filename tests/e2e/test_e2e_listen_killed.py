"""A receiver that is killed under load, again and again: what it has acknowledged is in the spool."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import signal
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from bulkops.webhook.spool import files, read
from tests.crash.crash_sizes import note, size
from tests.e2e.e2e_commands import end_of, interrupt
from tests.e2e.test_e2e_listen import listen, url_of
from tests.webhook.webhook_doubles import connected, event, request, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk

KILLS = 4
AT_ONCE = 32
EVENTS = 600
LARGE = 30
"""So many events are large enough to take several writes."""


@dataclass(slots=True)
class Sender:
    """Delivers events, each until it is acknowledged, as the service does that retries."""

    left: deque[bytes]
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    sent: int = 0

    async def deliver(self, host: str, port: int) -> None:
        """Deliver on one connection until nothing is left or the other side is gone."""
        async with connected(host, port) as client:
            while self.left:
                body = self.left.popleft()
                self.sent += 1
                try:
                    status, _ = await client.ask(request(body))
                except (OSError, EOFError):
                    self.left.append(body)
                    return
                assert status == 200
                self.acknowledged[hashlib.sha256(body).hexdigest()] = body

    async def deliver_at_once(self, host: str, port: int) -> None:
        """Deliver on many connections; those that cannot be had are left out."""
        await asyncio.gather(*(self.deliver(host, port) for _ in range(AT_ONCE)), return_exceptions=True)


def check(spool: Path, sender: Sender, *, once: bool) -> None:
    """Check that everything that was acknowledged is there as it was sent."""
    lines = [(line, file.path) for file in files(spool) for line in read(file.path)]
    there = {line.sha256: (line, path) for line, path in lines}
    assert there.keys() >= sender.acknowledged.keys()
    if once:
        assert len(lines) == len(there) == EVENTS
    for sha256, body in sender.acknowledged.items():
        line, path = there[sha256]
        assert line.event == json.loads(body)
        with path.open("rb") as file:
            file.seek(line.offset)
            assert body in file.read(line.length)


@pytest.mark.parametrize("seed", range(size(1, 40)))
def test_what_was_acknowledged_survives(lone_desk: Desk, seed: int) -> None:
    """Killed at random moments, it loses no acknowledged event; delivered until acknowledged, each is there once."""
    chance = random.Random(seed)
    bodies = [event(n, more=chance.randbytes(chance.randrange(1, 3000)).hex()) for n in range(EVENTS - LARGE)]
    bodies += [event(f"large_{n}", more="x" * chance.randrange(10**5, 2 * 10**6)) for n in range(LARGE)]
    chance.shuffle(bodies)
    sender = Sender(deque(bodies))
    spool = lone_desk.folder / "spool"

    async def main() -> None:
        for _ in range(KILLS):
            with listen(lone_desk, "--rotate", "1MiB") as process:
                address = urlsplit(url_of(process))
                assert address.hostname
                assert address.port
                before, more = len(sender.acknowledged), chance.randrange(1, EVENTS // KILLS)
                delivering = asyncio.create_task(sender.deliver_at_once(address.hostname, address.port))
                while len(sender.acknowledged) < before + more and not delivering.done():  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0)
                process.send_signal(signal.SIGKILL)
                await delivering
                assert end_of(process).code == -signal.SIGKILL
                check(spool, sender, once=False)
        with listen(lone_desk) as process:
            address = urlsplit(url_of(process))
            assert address.hostname
            assert address.port
            await sender.deliver_at_once(address.hostname, address.port)
            assert interrupt(process).code == 0

    run(main, seconds=250.0)
    assert len(sender.acknowledged) == EVENTS
    check(spool, sender, once=True)
    note("the receiver, killed under load", kills=KILLS, deliveries=sender.sent, acknowledged=EVENTS, lost=0)
