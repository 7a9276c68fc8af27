"""Everything that the job language has, in one job that is killed: what comes of it is what comes of it undisturbed."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.crash.crash_sizes import size
from tests.e2e.e2e_commands import end_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk

KILLS = 4
CONFIG = {"conversation_config": {"agent": {"prompt": {"prompt": "p", "knowledge_base": ["doc_own"]}}}}
COLLECTED = {"$collect": {"tag": "parts", "field": "agent_id", "merge": "union"}}
ATTACHED = {"conversation_config": {"agent": {"prompt": {"knowledge_base": COLLECTED}}}}
LINES: list[dict[str, Any]] = [
    {
        "$job": {
            "vars": {"town": "Oslo"},
            "defaults": {"agent.create": {"if_exists": "skip"}},
            "templates": {
                "copy": {"op": "agent.clone", "agent_id": "${ref:golden#agent_id}", "tags": ["copies"]}
            },
        }
    },
    {
        "id": "last",
        "op": "agent.create",
        "body": {"name": "last ${var:town}", **CONFIG},
        "needs": ["@copies", "attach"],
    },
    {"id": "golden", "op": "agent.create", "body": {"name": "golden", **CONFIG}},
    {"$each": {"csv": "rows.csv"}, "line": {"use": "copy", "id": "c:${row:id}", "name": "copy ${row:id}"}},
    {
        "$each": {"glob": "*.md"},
        "line": {
            "op": "agent.create",
            "body": {"name": "${row:stem}", "conversation_config": {}},
            "tags": ["parts"],
        },
    },
    {"id": "attach", "op": "agent.update", "agent_id": "${ref:golden#agent_id}", "body": ATTACHED},
    {"use": "copy", "name": "twin", "if_exists": "skip"},
    {"use": "copy", "name": "twin", "if_exists": "skip"},
    {"use": "copy", "id": "many", "name": "m${copy}", "copies": 3, "needs": ["c:0"]},
]


def prepare(folder: Path) -> None:
    """Write the job and what it reads."""
    folder.mkdir()
    (folder / "job.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in LINES))
    (folder / "rows.csv").write_text("id\n" + "".join(f"{n}\n" for n in range(12)))
    for n in range(6):
        (folder / f"doc{n}.md").write_text(f"text {n}")


def world(desk: Desk, key: str) -> tuple[Counter[tuple[str, str]], dict[str, Any]]:
    """Return what was done to the account of a key, and how its agents are, with names for ids."""
    assert desk.server is not None
    found = desk.server.world(key)
    named = {agent.agent_id: agent.name for agent in found.agents.values()}
    agents = {}
    for agent in found.agents.values():
        body = orjson.loads(agent.body)
        prompt = body["conversation_config"].get("agent", {}).get("prompt", {})
        if "knowledge_base" in prompt:
            prompt["knowledge_base"] = sorted(named.get(each, each) for each in prompt["knowledge_base"])
        agents[agent.name] = body
    return Counter((effect.kind, effect.name) for effect in found.effects), agents


@pytest.mark.parametrize("seed", range(size(1, 20)))
def test_a_killed_job_has_the_effects_of_an_undisturbed_one(desk_at: Callable[..., Desk], seed: int) -> None:
    """Killed at random moments and run again until it is done: the same things are there, each once, and alike."""
    desk = desk_at(latency=0.03)
    words = ("run", "job.jsonl", *desk.target, "-j", "4")
    for name in ("calm", "killed"):
        prepare(desk.folder / name)
    keys = {name: {"ELEVENLABS_API_KEY": f"key-{name}"} for name in ("calm", "killed")}
    with desk.start(*words, cwd=desk.folder / "calm", env=keys["calm"]) as process:
        ended = end_of(process)
        assert ended.code == 0, ended.err
    chance = random.Random(seed)
    for _ in range(KILLS):
        with desk.start(*words, cwd=desk.folder / "killed", env=keys["killed"]) as process:
            time.sleep(chance.uniform(0.4, 1.3))
            process.send_signal(signal.SIGKILL)
            process.wait()
    with desk.start(*words, cwd=desk.folder / "killed", env=keys["killed"]) as process:
        ended = end_of(process)
        assert ended.code == 0, ended.err
    (calm, agents), (killed, others) = (world(desk, f"key-{name}") for name in ("calm", "killed"))
    created = {kind for kind, _ in calm} - {"agent.update"}
    assert {each: count for each, count in killed.items() if each[0] in created} == {
        each: count for each, count in calm.items() if each[0] in created
    }
    assert others == agents
