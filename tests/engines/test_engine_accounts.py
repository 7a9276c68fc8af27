"""Several accounts in one run, in virtual time: each goes at its own limit, looks included, and waits for no other."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from bulkops.api import REFERENCE, Tier
from bulkops.pace.turns import Pace
from bulkops.settings import Account, Secret
from tests.engines.engine_bench import AGENT, Job, Server
from tests.jumping import run_jumping
from tests.pace.pace_doubles import worst_window

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.sending import Attempt, Heard

LIMITS = {"default": 100, "eu": 10}


class Noting(Server):
    """A server that notes when each account sent something."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, list[float]] = defaultdict(list)

    async def send(self, attempt: Attempt) -> Heard:
        """See `Server.send`."""
        self.sent[attempt.account].append(anyio.current_time())
        return await super().send(attempt)


def done(folder: Path, lines: list[dict[str, Any]]) -> Noting:
    """Do a job to its end; return the server."""
    server = Noting()

    async def work() -> None:
        others = {"eu": Account("eu", "http://127.0.0.1", Secret("e"), Tier("none", 10))}
        tiers = {name: Tier("t", limit) for name, limit in LIMITS.items()}
        job = Job(folder, lines, others=others)
        async with Pace(tiers, headers=REFERENCE.rate_headers, chance=lambda: 1.0) as pace:
            await job.run(server, pace=pace)
        assert set(job.states()) == {"done"}

    run_jumping(work)
    return server


@pytest.mark.parametrize("order", [1, -1])
def test_each_account_goes_at_its_own_limit(tmp_path: Path, order: int) -> None:
    """However the lines stand in the file, no period has more than an account's limit, and none holds up another."""
    (tmp_path / "a.md").write_text("a")
    upload = {"op": "document.upload", "file": "a.md", "index": {"model": "m"}}
    lines = [
        *({"op": "agent.create", "account": "eu", "body": AGENT, "id": f"e{n}"} for n in range(50)),
        *({**upload, "account": "eu", "id": f"ue{n}"} for n in range(4)),
        *({"op": "agent.create", "body": AGENT, "id": f"o{n}"} for n in range(300)),
        *({**upload, "id": f"uo{n}"} for n in range(10)),
    ]
    server = done(tmp_path, lines[::order])
    for name, limit in LIMITS.items():
        assert worst_window(server.sent[name], 60.0) <= limit
    assert len(server.sent["default"]) >= 320
    assert len(server.sent["eu"]) >= 58
    # At 100 a minute what is the run's own takes three and a half, whatever the other account is at.
    assert max(server.sent["default"]) < 4.5 * 60
    assert max(server.sent["eu"]) < (len(server.sent["eu"]) / 10 + 1) * 60
