"""The live API from the command line: what is chosen, and what is refused before anything is sent."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.e2e_commands import KEY, results, states, table

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
EVERYTHING: list[dict[str, Any]] = [
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


TEXT = {"text": "Refunds. " * 90, "name": "T"}
GOOD, BAD = ({"tests": [{"test_id": f"${{ref:{name}#test_id}}"}]} for name in ("good", "bad"))
DOC, WEB, FOLDER = "${ref:text#document_id}", "${ref:web#document_id}", "${ref:folder#document_id}"
INDEX = "${ref:index#index_id}"
ONE_BY_ONE: list[dict[str, Any]] = [
    {"op": "folder.create", "id": "folder", "body": {"name": "Handbook"}},
    {"op": "document.create_text", "id": "text", "body": {**TEXT, "parent_folder_id": FOLDER}},
    {"op": "document.create_url", "id": "web", "body": {"url": "https://example.com", "name": "W"}},
    {"op": "document.upload", "id": "file", "file": "doc.txt"},
    {"op": "document.index", "id": "index", "document_id": DOC, "model": "e5_mistral_7b"},
    {"op": "document.index_quota", "id": "quota", "needs": ["index"]},
    {"op": "document.index_delete", "id": "unindexed", "document_id": DOC, "index_id": INDEX, "needs": ["quota"]},
    {"op": "document.update_file", "id": "refiled", "document_id": "${ref:file#document_id}", "file": "new.txt"},
    {"op": "document.get", "id": "read", "document_id": "${ref:file#document_id}", "needs": ["refiled"]},
    {"op": "document.list", "id": "urls", "query": {"types": ["url"]}, "needs": ["web"]},
    {"op": "document.delete", "id": "unwebbed", "document_id": WEB, "needs": ["urls"]},
    {"op": "document.delete", "id": "again", "document_id": WEB, "needs": ["unwebbed"]},
    {"op": "document.delete", "id": "emptied", "document_id": FOLDER, "query": {"force": True}, "needs": ["unindexed"]},
    {"op": "tool.create", "id": "tool", "body": TOOL},
    {"op": "tool.update", "id": "retooled", "tool_id": "${ref:tool#tool_id}", "body": {**TOOL, "name": "u"}},
    {"op": "tool.get", "id": "gotten", "tool_id": "${ref:tool#tool_id}", "needs": ["retooled"]},
    {"op": "tool.list", "id": "tools", "needs": ["retooled"]},
    {"op": "tool.delete", "id": "untooled", "tool_id": "${ref:tool#tool_id}", "needs": ["gotten", "tools"]},
    {"op": "conversation.list", "id": "calls"},
    {"op": "conversation.audio", "id": "audio", "conversation_id": "conv_seed_0001"},
    {"op": "conversation.delete", "id": "hushed", "conversation_id": "conv_seed_0002", "needs": ["calls"]},
    {"op": "agent.duplicate", "id": "twin", "agent_id": "agent_seed_0001", "name": "Twin"},
    {"op": "test.create", "id": "good", "body": {"type": "simulation", "name": "g", "success_conditions": ["Greets"]}},
    {"op": "test.create", "id": "bad", "body": {"type": "simulation", "name": "b", "success_conditions": ["Fail"]}},
    {"op": "test.run", "id": "passes", "agent_id": "agent_seed_0001", "body": GOOD},
    {"op": "test.run", "id": "fails", "agent_id": "agent_seed_0001", "body": BAD},
    {"op": "test.get", "id": "test", "test_id": "${ref:good#test_id}"},
    {"op": "test.list", "id": "tests", "needs": ["good", "bad"]},
    {"op": "test.delete", "id": "untested", "test_id": "${ref:bad#test_id}", "needs": ["fails", "tests"]},
]  # fmt: skip


def test_everything_one_by_one(desk_at: Callable[..., Desk]) -> None:
    """Every kind that only the live API has does its work at a live server, and a test that is failed is told."""
    desk = desk_at(api="live", conversations=3, index_time=0.5, time_scale=20)
    (desk.folder / "doc.txt").write_text("What a document says. " * 100)
    (desk.folder / "new.txt").write_text("What it says now. " * 100)
    job = desk.job(ONE_BY_ONE)
    ended = desk.run(job, "--api", "live", "--yes")
    assert ended.code == 8, ended.err
    assert set(states(job).values()) == {"done"}
    rows = {row["id"]: row["result"] for row in results(job)}
    assert rows["quota"]["total_used_bytes"] > 0
    assert (rows["read"]["filename"], "extracted_inner_html" in rows["read"]) == ("new.txt", False)
    assert (rows["urls"]["count"], rows["again"]["gone"]) == (1, True)
    assert rows["gotten"]["name"] == "u"
    assert (rows["tools"]["count"], rows["tests"]["count"]) == (1, 2)
    assert (rows["passes"]["status"], rows["fails"]["status"]) == ("passed", "failed")
    audio = desk.folder / "job.run" / "audio" / "conv_seed_0001.mp3"
    assert audio.stat().st_size == rows["audio"]["bytes"] > 0
    assert audio.stat().st_mode & 0o777 == 0o600


def made_in(desk: Desk) -> dict[str, int]:
    """Return how many things of each kind there are that a job may have made."""
    assert desk.server is not None
    world = desk.server.world(KEY)
    made = Counter(each.type for each in world.documents.values())
    return {**made, "agents": len(world.agents), "tools": len(world.tools), "tests": len(world.tests)}


def test_what_a_run_made_is_deleted_by_its_undo(desk_at: Callable[..., Desk]) -> None:
    """Documents, folders, tools, tests and agents go, agents first; what the run changed itself as well."""
    desk = desk_at(api="live", conversations=1)
    for name in ("doc.txt", "new.txt"):
        (desk.folder / name).write_text("What a document says. " * 100)
    before = made_in(desk)
    names = ("folder", "text", "web", "file", "refiled", "tool", "retooled", "twin", "good", "bad")
    job = desk.job([*(line for line in ONE_BY_ONE if line["id"] in names), EVERYTHING[2]])
    ended = desk.run(job, "--api", "live")
    assert ended.code == 0, ended.err
    told = desk.bulkops("undo", job, "--out", "undo.jsonl")
    assert "agents: 2 to delete; documents: 4 to delete; tests: 2 to delete; tools: 1 to delete." in told.err
    assert "not taken back" not in told.err
    ended = desk.run("undo.jsonl", "--api", "live", "--yes", "-j", 4)
    assert ended.code == 0, ended.err
    assert made_in(desk) == before


def test_what_was_changed_since_is_not_deleted(desk_at: Callable[..., Desk]) -> None:
    """An agent, a document and a tool that somebody else changed are left alone; --even-if-changed deletes them."""
    desk = desk_at(api="live")
    made = [
        {"op": "document.create_text", "id": "text", "body": TEXT},
        {"op": "tool.create", "id": "tool", "body": TOOL},
        {"op": "agent.create", "id": "agent", "body": {"name": "A", "conversation_config": {}}},
    ]
    job = desk.job(made)
    assert desk.run(job, "--api", "live").code == 0
    ids = {row["id"]: row["created"][0]["id"] for row in results(job)}
    assert desk.server is not None
    world = desk.server.world(KEY)
    agent_body = world.agents[ids["agent"]].body
    later = time.time() - world._epoch + 60
    world.update_agent(ids["agent"], "A", agent_body, now=later)
    world.change_document(ids["text"], "content", now=later)
    theirs = [{"op": "tool.update", "tool_id": ids["tool"], "body": {**TOOL, "name": "u"}}]
    assert desk.run(desk.job(theirs, "theirs.jsonl"), "--api", "live").code == 0
    assert desk.bulkops("undo", job, "--out", "undo.jsonl").code == 0
    assert desk.run("undo.jsonl", "--api", "live", "--yes").code == 3
    told = {row["id"]: row["error"]["code"] for row in results(desk.folder / "undo.jsonl")}
    assert told == {f"undo:{name}": "changed_since" for name in ids.values()}
    assert desk.bulkops("undo", job, "--out", "force.jsonl", "--even-if-changed").code == 0
    assert desk.run("force.jsonl", "--api", "live", "--yes", "--max-delete", 2).code == 2
    assert desk.run("force.jsonl", "--api", "live", "--yes").code == 0
    assert not set(ids.values()) & (world.agents.keys() | world.documents.keys() | world.tools.keys())


def user(name: str, **prompt: Any) -> dict[str, Any]:
    """Return a line that makes an agent which uses tools or documents."""
    body = {"name": name, "conversation_config": {"agent": {"prompt": {"prompt": "p", **prompt}}}}
    return {"op": "agent.create", "id": name, "body": body}


def test_what_is_used_is_deleted_after_its_users_and_not_without_them(desk_at: Callable[..., Desk]) -> None:
    """A tool waits for all agents that use it, a document for those that collect it; where one stays, it stays."""
    desk = desk_at(api="live")
    tools = [{"op": "tool.create", "id": name, "body": {**TOOL, "name": name}} for name in ("shared", "own")]
    docs = [
        {"op": "document.create_text", "id": f"d{n}", "body": {**TEXT, "name": f"d{n}"}, "tags": ["handbook"]}
        for n in range(3)
    ]
    collected = [{"type": "text", "name": "d", "usage_mode": "auto", "id": "${ref:d0#document_id}"}]
    lines = [
        *tools,
        *docs,
        user("kept", tool_ids=["${ref:shared#tool_id}"]),
        user("gone", tool_ids=["${ref:shared#tool_id}", "${ref:own#tool_id}"]),
        user("reader", knowledge_base=collected),
        {
            "op": "agent.clone",
            "id": "copies",
            "agent_id": "${ref:reader#agent_id}",
            "name": "Copy ${copy}",
            "copies": 2,
            "set": {"tags": {"$collect": {"tag": "handbook", "field": "name"}}},
        },
    ]
    job = desk.job(lines)
    ended = desk.run(job, "--api", "live")
    assert ended.code == 0, ended.err
    assert next(row for row in results(job) if row["id"] == "copies[2]")["refers_to"] == [
        "@handbook",
        "reader",
    ]
    assert desk.bulkops("undo", job, "--out", "undo.jsonl").code == 0
    written = {line["meta"]["undoes"][0]: line for line in table(desk.folder / "undo.jsonl")[1:]}
    assert written["gone"]["tags"] == ["uses:own", "uses:shared"]
    assert written["own"]["needs"] == ["@uses:own"]
    assert written["reader"]["needs"] == ["@uses:reader"]
    assert written["d0"]["needs"] == ["@uses:@handbook", "@uses:d0"]
    assert written["d1"]["needs"] == ["@uses:@handbook"]
    assert "tags" not in written["d1"]

    assert desk.server is not None
    world = desk.server.world(KEY)
    kept = written["kept"]["agent_id"]
    world.update_agent(kept, "kept", world.agents[kept].body, now=time.time() - world._epoch + 60)
    assert desk.run("undo.jsonl", "--api", "live", "--yes", "-j", 8).code == 3
    ends = states(desk.folder / "undo.jsonl")
    assert {name for name, line in written.items() if ends[line["id"]] != "done"} == {"kept", "shared"}
    assert ends[written["shared"]["id"]] == "blocked"
    assert (list(world.agents), len(world.tools), len(world.documents)) == ([kept], 1, 0)


def test_what_is_used_by_what_is_left_is_left(desk_at: Callable[..., Desk]) -> None:
    """Nobody knows whether an agent in doubt is there, so the tool that it would use is not deleted."""
    desk = desk_at(api="live", faults=[{"endpoint": "agent.create", "nth": 1, "fault": "reset_after"}])
    job = desk.job(
        [{"op": "tool.create", "id": "tool", "body": TOOL}, user("a", tool_ids=["${ref:tool#tool_id}"])]
    )
    assert desk.run(job, "--api", "live", "--in-doubt", "skip").code == 0
    assert "nothing that could be taken back" in desk.bulkops("undo", job).err
    left = {row["custom_id"]: row["why"] for row in table(desk.folder / "job.run" / "undo_left.jsonl")}
    assert left["tool"] == "what uses it is left as it is"


def test_what_is_not_taken_back_is_told(desk_at: Callable[..., Desk]) -> None:
    """What was there before a run, and it deleted or changed unread, is listed with the reason."""
    desk = desk_at(api="live")
    made = [
        {"op": "document.create_text", "id": "text", "body": TEXT},
        {"op": "tool.create", "id": "t", "body": TOOL},
    ]
    first = desk.job(made, "first.jsonl")
    assert desk.run(first, "--api", "live").code == 0
    doc, tool = (row["created"][0]["id"] for row in results(first))
    job = desk.job(
        [
            {"op": "tool.update", "id": "new", "tool_id": tool, "body": {**TOOL, "name": "u"}},
            {"op": "document.delete", "id": "gone", "document_id": doc},
        ]
    )
    assert desk.run(job, "--api", "live", "--yes").code == 0
    assert "nothing that could be taken back" in desk.bulkops("undo", job).err
    left = {
        (row["custom_id"], row["kind"], row["id"]): row["why"]
        for row in table(desk.folder / "job.run" / "undo_left.jsonl")
    }
    assert left == {
        ("new", "tool", tool): "it was changed, and not read before",
        ("gone", "document", doc): "it was deleted, and cannot be made again",
    }


SOON = ("--settle", "2s")


@pytest.mark.parametrize("fault", ["error_after", "reset_after", "cut", "not_json"])
def test_lost_answers_are_looked_for(desk_at: Callable[..., Desk], fault: str) -> None:
    """An upload, a text and a tool whose answers were lost are found under their ids, and nothing is made twice."""
    makers = ("document.upload", "document.create_text", "tool.create")
    desk = desk_at(api="live", faults=[{"endpoint": op, "nth": 1, "fault": fault} for op in makers])
    (desk.folder / "doc.txt").write_text("What a document says. " * 100)
    lines = [
        {"op": "document.upload", "id": "file", "file": "doc.txt"},
        {"op": "document.create_text", "id": "text", "body": TEXT},
        {"op": "tool.create", "id": "tool", "body": TOOL},
        {"op": "document.get", "id": "read", "document_id": "${ref:file#document_id}"},
    ]
    job = desk.job(lines)
    ended = desk.run(job, "--api", "live", *SOON)
    assert ended.code == 0, ended.err
    rows = {row["id"]: row for row in results(job)}
    assert [rows[name]["resolved_by"] for name in ("file", "text", "tool")] == ["reconcile:count"] * 3
    for name, op in (("file", makers[0]), ("text", makers[1]), ("tool", makers[2])):
        (effect,) = desk.effects(op)
        assert rows[name]["created"][0]["id"] == effect.id
    assert rows["read"]["result"]["document_id"] == rows["file"]["result"]["document_id"]


def test_the_reference_refuses_them_before_anything_is_sent(desk: Desk) -> None:
    """A kind that only the live API has is refused with the nearest that the reference has."""
    refused = desk.run(desk.job([{"op": "document.create_text", "body": {"text": "t", "name": "n"}}]))
    assert (refused.code, desk.sent) == (2, 0)
    assert "line 1: `op` is document.create_text" in refused.err
    assert "document.upload" in refused.err
