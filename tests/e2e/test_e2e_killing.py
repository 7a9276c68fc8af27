"""Killed without a warning, at any moment, on a bad network: nothing twice, nothing lost."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.e2e.e2e_commands import agents, check_ending, end_of, results, run_folder, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk

BAD_NETWORK = [
    {
        "rate": 0.08,
        "seed": 5,
        "faults": [
            "error_after",
            "reset_after",
            "reset_before",
            "cut",
            {"fault": "429", "retry_after": 0},
            "error_before",
            "no_id",
        ],
    }
]
KILLS = 5


def sent_more_than(desk: Desk, count: int) -> bool:
    """Tell whether more requests have reached the server."""
    return desk.sent > count


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_done_twice_or_lost(desk_at: Callable[..., Desk], seed: int) -> None:
    """After kills at random moments, with faults, each create happened once and is done with its own id."""
    chance = random.Random(seed)
    desk = desk_at(faults=BAD_NETWORK, latency=(0.0, 0.03))
    job = desk.job(
        [
            *agents(150),
            *(
                {"op": "conversation.create", "body": {"agent_id": f"${{ref:a{n}#agent_id}}"}}
                for n in range(10)
            ),
        ]
    )
    for _ in range(KILLS):
        before = desk.sent
        with desk.start("run", job, *desk.target, "-j", 8, "--time-scale", 20) as process:
            until(partial(sent_more_than, desk, before))
            time.sleep(chance.random() * 0.25)
            process.send_signal(signal.SIGKILL)
            assert end_of(process).code == -signal.SIGKILL
    ended = desk.run(job, "--time-scale", 20)
    assert ended.code in {0, 3, 6}, ended.err
    check_ending(job, ended)
    made = Counter(desk.made())
    assert max(made.values()) == 1
    rows = {row["id"]: row for row in results(job) if row["op"] == "agent.create"}
    assert len(rows) == 150
    for number in range(150):
        # The API was asked about every one that was in doubt.
        status = rows[f"a{number}"]["status"]
        assert status in {"done", "in_doubt"}
        assert made[f"Agent {number}"] == 1 or status == "in_doubt"
    ids = {effect.name: effect.id for effect in desk.effects("agent.create")}
    done = {row["result"]["name"]: row["result"]["agent_id"] for row in rows.values() if row["result"]}
    assert done.items() <= ids.items()
    assert len(done) > 140


def test_lines_that_wait_for_the_pace_are_not_in_doubt(desk_at: Callable[..., Desk]) -> None:
    """Of 64 operations that wait for their turn when the run is killed, none is in doubt."""
    desk = desk_at()
    job = desk.job(agents(70))
    assert desk.server is not None
    with desk.start("run", job, "--base-url", desk.server.base_url, "--rate", "60/min", "-j", 64) as process:
        until(lambda: desk.sent >= 2)
        process.kill()
        end_of(process)
    done = len(desk.effects())
    assert done < 20
    ended = desk.run(job)
    assert ended.code in {0, 6}, ended.err
    assert check_ending(job, ended)["operations"]["in_doubt"] <= 1
    assert sorted(desk.made()) == sorted(f"Agent {n}" for n in range(70)) or ended.code == 6


def test_what_a_kill_leaves_half_written_is_swept(desk_at: Callable[..., Desk]) -> None:
    """A temporary file of a run that was killed while it wrote its results goes, also when nothing is left to do."""
    desk = desk_at()
    job = desk.job(agents(1))
    desk.run(job)
    half = run_folder(job) / ".bulkops-0123456789abcdef-results.jsonl"
    half.write_bytes(b'{"id": "a')
    assert desk.run(job).code == 0
    assert not half.exists()
