"""The live API from the command line: what is chosen, and what is refused before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.e2e_commands import results, states, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk

GET = {"op": "agent.get", "agent_id": "agent_1"}


def test_a_plan_tells_what_the_live_api_cannot_be_told(desk: Desk) -> None:
    """The same job is good for the reference and refused for the live API, with the nearest that can be said."""
    job = desk.job(
        [{"op": "conversation.create", "body": {"agent_id": "a", "dynamic_variables": {"name": "Ada"}}}]
    )
    assert desk.bulkops("plan", job).code == 0
    refused = desk.bulkops("plan", job, "--api", "live")
    assert refused.code == 2
    assert "line 1: `body` has `dynamic_variables`" in refused.err
    assert "conversation_initiation_client_data" in refused.err


def test_a_plan_for_the_live_api_tells_no_time(desk: Desk) -> None:
    """No limit per time is assumed, so no time follows from one; with a rate it does."""
    job = desk.job([GET] * 300)
    assert "min" not in desk.bulkops("plan", job, "--api", "live").out
    assert "min" in desk.bulkops("plan", job, "--api", "live", "--rate", "100/min").out


def test_what_is_not_there_is_refused(desk: Desk) -> None:
    """A residency needs the live API and no other address."""
    job = desk.job([GET])
    for words, why in (
        (("plan", job, "--residency", "eu"), "--api live"),
        (("plan", job, "--api", "live", "--residency", "mars"), "global, us, eu, in, sg"),
        (
            ("plan", job, "--api", "live", "--residency", "eu", "--base-url", "http://localhost:1"),
            "give one of them",
        ),
    ):
        refused = desk.bulkops(*words)
        assert (refused.code, why in refused.err) == (2, True), refused.err


PARAMETERS = {"type": "object", "properties": {"city": {"type": "string", "description": "c"}}}
TOOL = {
    "name": "t",
    "description": "d",
    "url": "https://x.example/w",
    "method": "GET",
    "parameters": PARAMETERS,
}
PROMPT = {"prompt": "p", "tool_ids": ["${ref:tool#tool_id}"]}
AGENT = "${ref:agent#agent_id}"
EVERYTHING = [
    {"op": "tool.create", "id": "tool", "body": TOOL},
    {"op": "document.upload", "id": "doc", "file": "doc.txt", "index": {"model": "e5_mistral_7b_instruct"}},
    {"op": "agent.create", "id": "agent", "body": {"name": "A", "conversation_config": {"agent": {"prompt": PROMPT}}}},
    {"op": "agent.clone", "id": "copies", "agent_id": AGENT, "name": "A ${copy}", "copies": 3},
    {"op": "agent.update", "id": "named", "agent_id": AGENT, "body": {"name": "B"}},
    {"op": "agent.get", "id": "got", "agent_id": AGENT, "needs": ["named"]},
    {"op": "agent.list", "id": "all", "needs": ["got", "copies"]},
    {"op": "conversation.export", "id": "call", "conversation_id": "conv_seed_0001", "text": True},
    {"op": "conversation.create", "id": "url", "body": {"agent_id": AGENT}},
]  # fmt: skip


def test_a_job_speaks_with_a_live_server(desk_at: Callable[..., Desk]) -> None:
    """Kinds do at the live API what they do at the reference, under the same names; and again, nothing is sent."""
    desk = desk_at(api="live", conversations=2, index_time=0.5)
    (desk.folder / "doc.txt").write_text("What a document says. " * 100)
    job = desk.job(EVERYTHING)
    ended = desk.run(job, "--api", "live", "--yes")
    assert ended.code == 0, ended.err
    assert set(states(job).values()) == {"done"}
    rows = {row["id"]: row["result"] for row in results(job)}
    assert rows["got"]["name"] == "B"
    assert rows["doc"]["document_id"]
    assert rows["doc"]["status"]
    assert rows["url"]["signed_url"].startswith("wss://")
    assert (desk.folder / "job.run" / "transcripts" / "conv_seed_0001.txt").read_text()
    before = desk.sent
    assert desk.run(job, "--api", "live", "--yes").code == 0
    assert desk.sent == before


def test_a_rehearsal_of_the_live_api(lone_desk: Desk) -> None:
    """`--emulate --api live` starts a server that speaks it."""
    job = lone_desk.job([{"op": "agent.create", "body": {"name": "A", "conversation_config": {}}}] * 5)
    ended = lone_desk.bulkops("run", job, "--emulate", "--api", "live")
    assert ended.code == 0, ended.err
    assert "done 5 of 5" in ended.last


def test_an_export_of_live_conversations(desk_at: Callable[..., Desk]) -> None:
    """The data set has the same columns from the live API: turns as text, moments of its metadata."""
    desk = desk_at(api="live", conversations=6)
    (desk.folder / "ids.txt").write_text("".join(f"conv_seed_{n:04d}\n" for n in range(1, 7)))
    ended = desk.bulkops(
        "export", "conversations", "--ids-from", "ids.txt", "--api", "live", "--out", "ex", *desk.target, "--wait", "0s"
    )  # fmt: skip
    assert ended.code == 0, ended.err
    parts = sorted((desk.folder / "ex").rglob("part-*.jsonl"))
    rows = [row for part in parts for row in table(part)]
    assert len(rows) == 6
    for row in rows:
        assert row["turns"] > 0
        assert row["created_at"] is not None
        assert row["duration_seconds"] is not None
        assert row["transcript"]
