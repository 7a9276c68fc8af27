"""What the pace remembers can be written down and read again."""

from __future__ import annotations

import random

import orjson

from bulkops.api import Tier
from bulkops.pace import Allowance
from bulkops.pace.governor import Governor
from bulkops.pace.headers import Told
from bulkops.pace.state import State

ALLOWANCE = Allowance(Tier("standard", 100))


def decisions(*, written: bool) -> list[tuple[float, float]]:
    """Return when each of some hundred requests went; `written`: the state is saved and loaded at each decision."""
    chance = random.Random(1)
    governor = Governor(ALLOWANCE, State.fresh(60.0))
    now, found = 0.0, []
    for number in range(300):
        if written:
            governor = Governor(ALLOWANCE, State.load(orjson.loads(orjson.dumps(governor.state.dump()))))
        now = max(now, governor.when(now, left=300 - number))
        flight = governor.grant(now)
        now += chance.uniform(0.05, 0.4)
        governor.hear(flight, 200, Told(limit=100, remaining=max(0, 99 - number % 100)), now)
        governor.end(flight, now)
        found.append((flight.sent, governor.rate))
    return found


def test_load_decide_save_decides_alike() -> None:
    """A governor that reads its state before each decision decides as one that keeps it."""
    assert decisions(written=True) == decisions(written=False)


def test_the_state_stays_small() -> None:
    """An hour at 500 a minute leaves no more than some kilobytes behind."""
    governor = Governor(Allowance(Tier("pro", 500)), State.fresh(60.0))
    now = 0.0
    while now < 3600:
        now = max(now, governor.when(now, left=1))
        flight = governor.grant(now)
        now += 0.01
        governor.end(flight, now)
    assert len(orjson.dumps(governor.state.dump())) < 10_000
