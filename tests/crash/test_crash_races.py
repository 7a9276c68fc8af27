"""The body gate, raced: whoever ends an upload first, what is called without effect never was complete."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bulkops.checkpoint import StepState
from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.sending.body import GatedBytes
from bulkops.sending.recorded import Recorded
from tests.crash.crash_sizes import note, size
from tests.sending.sending_doubles import LONGEST, answer, attempt, create, raw_server, upload, wired

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bulkops.model import Request
    from bulkops.sending.wire import Wire
    from tests.sending.sending_doubles import Talk
    from tests.sending.sending_scripts import Script
    from tests.sending.sending_tls import Tls

SIDE_BY_SIDE = 8
LARGEST = 3_000_000
OVERLONG = 12_000_000
"""More bytes than all buffers between client and server hold: what stops before their end leaves some unsent."""


@dataclass
class Race:
    """How one upload is to end, and what came of it."""

    chance: random.Random
    size: int
    reads: int
    """So many bytes of the body the server reads, then it strikes."""
    ending: str
    cancels: float | None
    """After so many seconds the client gives up."""
    deadline: float


@dataclass
class Score:
    """What came of many."""

    said: Counter[str] = field(default_factory=Counter)
    complete: int = 0
    false: list[str] = field(default_factory=list)

    @property
    def races(self) -> int:
        """How many there were."""
        return self.said.total()


ENDINGS = ("close", "reset", "stall", "refuse", "answer", "read on")


def draw(chance: random.Random) -> Race:
    """Draw a race: half of them about the very end of the body, a sixth with more than buffers hold."""
    overlong = chance.random() < 1 / 6
    length = OVERLONG if overlong else round(LARGEST ** chance.random()) + 1
    near = not overlong and chance.random() < 0.6
    reads = length - chance.choice((0, 0, 1, 50, 5_000)) if near else chance.randrange(length)
    return Race(
        chance,
        size=length,
        reads=max(0, reads),
        ending=chance.choice(ENDINGS),
        cancels=chance.uniform(0, 0.03) if chance.random() < 0.5 else None,
        deadline=chance.uniform(0.01, 0.2) if chance.random() < 0.3 else 0.4,
    )


def script_of(race: Race) -> Script:
    """Return what the server does with its one request."""

    async def script(talk: Talk) -> None:
        arrival = await talk.head()
        # A form has more bytes than its file: what was drawn is counted from the end.
        await talk.body(arrival, max(0, arrival.length - race.size + race.reads))
        match race.ending:
            case "close":
                return
            case "reset":
                talk.reset()
            case "refuse":
                await talk.say(answer(b"{}", "503 Busy"))
            case "answer":
                await talk.say(answer())
            case "stall":
                await asyncio.sleep(race.chance.uniform(0, 0.3))
        # What is on its way arrives, also after the client has gone.
        await talk.body(arrival)

    return script


async def send_once(wire: Wire, request: Request, race: Race) -> tuple[bool, str]:
    """Send; return whether what is written down calls it without effect, and how it ended."""
    checkpoint = MemoryCheckpoint()
    one = attempt(request)
    task = asyncio.create_task(Recorded(wire, checkpoint).send(one))
    await asyncio.wait({task}, timeout=race.cancels)
    task.cancel()
    await asyncio.wait({task})
    steps = await checkpoint.steps_of(one.key)
    ended = "cancelled" if task.cancelled() else type(task.result().end).__name__
    return all(step.state is StepState.NO_EFFECT for step in steps), ended


async def race_once(folder: Path, chance: random.Random, kind: str, tls: Tls | None, score: Score) -> None:
    """Race for one upload, and compare what the client wrote down with what the server has."""
    race = draw(chance)
    if kind == "form":
        path = folder / f"{chance.getrandbits(64):x}"
        path.write_bytes(bytes(race.size))
        request = upload(path)
    else:
        request = create(race.size)
    serving, trusting = (tls.serving(), tls.trusting()) if tls is not None else (None, None)
    async with raw_server(script_of(race), tls=serving, buffer=chance.choice((0, 4096))) as server:
        async with wired(server.base_url, verify=trusting, attempt_deadline=race.deadline) as wire:
            claimed, ended = await send_once(wire, request, race)
        async with asyncio.timeout(LONGEST):
            await server.rest()
        complete = any(arrival.complete for arrival in server.arrivals)
    score.said[f"{ended}, {'no effect' if claimed else 'perhaps'}"] += 1
    score.complete += complete
    if claimed and complete:
        score.false.append(f"{race}: {ended}")


def race_often(folder: Path, races: int, kind: str, tls: Tls | None) -> Score:
    """Race so often, some side by side."""
    score = Score()
    chance = random.Random(f"{kind} {tls is not None}")

    async def main() -> None:
        # A server complains of clients that break TLS off.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        for _ in range(0, races, SIDE_BY_SIDE):
            async with asyncio.TaskGroup() as group:
                for _ in range(SIDE_BY_SIDE):
                    group.create_task(race_once(folder, random.Random(chance.random()), kind, tls, score))

    asyncio.run(main())
    return score


# aiofiles drops a file whose opening is cancelled; the collector closes it at once.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("kind", ["json", "form"])
def test_what_is_called_without_effect_never_arrived_whole(
    tmp_path: Path, tls: Tls, kind: str, scheme: str
) -> None:
    """Whoever closes, resets, stalls, cancels or runs out of time first: no false "no effect" is written down."""
    score = race_often(tmp_path, size(76, 1_250), kind, tls if scheme == "https" else None)
    note(
        f"raced uploads, {kind} over {scheme}",
        races=score.races,
        arrived_whole=score.complete,
        false_no_effect=len(score.false),
        **dict(sorted(score.said.items())),
    )
    assert not score.false
    assert score.complete > score.races / 5
    assert sum(count for said, count in score.said.items() if "no effect" in said) > score.races / 40


def test_a_client_that_trusts_exceptions_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same races find false claims where a broken connection is taken for proof, as without the gate."""

    async def ungated(body: GatedBytes) -> AsyncIterator[bytes]:
        yield body._content

    monkeypatch.setattr(GatedBytes, "__aiter__", ungated)
    assert race_often(tmp_path, 80, "json", None).false
