"""What a plan says is what a server sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulkops.model import State
from tests.engines.engine_bench import AGENT, Job, Server
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from pathlib import Path

CLONE = {"op": "agent.clone", "id": "k", "agent_id": "agent_abc123", "copies": 20}


def made(line_id: str) -> dict[str, Any]:
    """Return a line that makes an agent."""
    return {"op": "agent.create", "id": line_id, "body": AGENT}


OF_EACH_SHAPE: dict[str, list[dict[str, Any]]] = {
    "upload": [{"op": "document.upload", "file": "a.md"}] * 3,
    "upload and index": [{"op": "document.upload", "file": "a.md", "index": {"model": "m"}}] * 3,
    "index": [
        {"op": "document.upload", "id": "d", "file": "a.md"},
        {"op": "document.index", "document_id": "${ref:d#document_id}", "model": "m"},
    ],
    "clone": [made("a"), {**CLONE, "agent_id": "${ref:a#agent_id}"}],
    "clones": [made("a"), *[{**CLONE, "id": f"k{n}", "agent_id": "${ref:a#agent_id}"} for n in range(2)]],
    "list": [made("a"), {"op": "agent.list", "needs": ["a"]}],
    "export": [{"op": "conversation.export", "conversation_id": "conv_seed_0001"}],
    "get conversation": [{"op": "conversation.get", "conversation_id": "conv_seed_0001"}],
    "update": [made("a"), {"op": "agent.update", "agent_id": "${ref:a#agent_id}", "body": {}}],
    "delete": [made("a"), {"op": "agent.delete", "agent_id": "${ref:a#agent_id}"}],
    "changed": [made("a"), *[{**made(n), "needs": ["a"], "if_exists": "update"} for n in "bc"]],
    "get": [made("a"), {"op": "agent.get", "agent_id": "${ref:a#agent_id}"}],
    "conversation": [
        made("a"),
        {"op": "conversation.create", "body": {"agent_id": "${ref:a#agent_id}"}},
    ],
    "tool": [{"op": "tool.create", "body": {"name": "n", "url": "https://x.org", "method": "GET"}}],
    "simulate": [
        made("a"),
        {
            "op": "agent.simulate", "repeat": 4, "agent_id": "${ref:a#agent_id}",
            "body": {"scenario": "s", "user_messages": ["u"], "success_criteria": ["c"]},
        },
    ],
}  # fmt: skip


@pytest.mark.parametrize("lines", OF_EACH_SHAPE.values(), ids=OF_EACH_SHAPE)
def test_requests_and_looks_are_what_a_server_sees(lines: list[dict[str, Any]], tmp_path: Path) -> None:
    """Without faults a run sends what its plan says, to the request; looks are counted, and only where planned."""
    (tmp_path / "a.md").write_text("x")
    server = Server(conversations=3)
    run = run_jumping(lambda: Job(tmp_path, lines).run(server))
    assert run.report.count(State.DONE) == run.plan.total
    assert run.plan.requests == server.heard.total() - server.polls
    assert run.engine.looks == server.polls
    assert bool(run.plan.looks) == bool(server.polls)
