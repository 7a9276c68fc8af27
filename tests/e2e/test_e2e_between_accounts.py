"""Agents copied from one account to another: read here, with other ids there, and compared afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.e2e.e2e_accounts import EU, US, names, two_accounts, world
from tests.e2e.e2e_commands import KEY, agent, check_ending, results, run_folder, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk

HEADER: dict[str, Any] = {"accounts": {"source": "us", "target": "eu"}}
PROMPT = {
    "prompt": "Use tool_old.",
    "tool_ids": ["tool_old"],
    "knowledge_base": [{"id": "doc_old", "type": "file"}],
}
SOURCE = {
    "name": "Support",
    "conversation_config": {
        "agent": {"prompt": PROMPT, "language": "en"},
        "tts": {"voice_id": "voice_old", "speed": 1.0},
    },
    "unheard_of": {"transfer_to": "tool_old"},
}
MAP = {"tool_old": "tool_new", "doc_old": "doc_new", "voice_old": "voice_old"}


def source(desk: Desk) -> str:
    """Make the agent that is copied; return its id."""
    made = world(desk, US).create_agent("Support", orjson.dumps(SOURCE), now=0.0)
    return made.agent_id


def body(desk: Desk, agent_id: str, key: str = EU) -> Any:
    """Return the configuration of an agent."""
    return json.loads(world(desk, key).agents[agent_id].body)


def clone(agent_id: str, **more: Any) -> dict[str, Any]:
    """Return a line that copies it to the other account."""
    return {
        "op": "agent.clone",
        "id": "c",
        "agent_id": agent_id,
        "from": "source",
        "account": "target",
        **more,
    }


def test_a_clone_from_another_account(desk: Desk) -> None:
    """The source is only read; ids are mapped wherever they are a whole text; all else is the same."""
    two_accounts(desk)
    old = source(desk)
    tool = {"name": "t", "description": "d", "url": "https://a.example", "method": "GET", "parameters": {}}
    lines = [
        {"$job": HEADER},
        {
            "op": "tool.create",
            "id": "t",
            "account": "target",
            "body": tool,
            "meta": {"source_id": "tool_old"},
        },
        clone(old, map={**MAP, "tool_old": "${ref:t#tool_id}"}, expect={"readback": "equal"}),
    ]
    before = len(world(desk, US).effects)
    job = desk.job(lines)
    ended = desk.run(job)
    assert ended.code == 0, ended.err
    check_ending(job, ended)
    assert len(world(desk, US).effects) == before
    rows = {row["id"]: row for row in results(job)}
    new = rows["c"]["result"]["agent_id"]
    tool_id = rows["t"]["result"]["tool_id"]
    wanted = json.loads(
        json.dumps(SOURCE).replace('"tool_old"', f'"{tool_id}"').replace("doc_old", "doc_new")
    )
    assert body(desk, new) == wanted
    assert rows["c"]["result"]["source"] == {"agent_id": old, "account": "us"}
    assert (rows["c"]["passed"], rows["c"]["result"]["differences"]) == (True, [])
    assert table(run_folder(job) / "id_map.jsonl") == [
        {"old": "tool_old", "new": tool_id, "kind": "tool", "account": "eu"},
        {"old": old, "new": new, "kind": "agent", "account": "eu"},
    ]
    # What this run has written maps the ids of the next one.
    said = {**HEADER, "id_map": ["job.run/id_map.jsonl", "voices.csv"]}
    (desk.folder / "voices.csv").write_text("old,new\nvoice_old,voice_eu\ndoc_old,doc_eu\n")
    job = desk.job([{"$job": said}, clone(old, map={"doc_old": "doc_own"}, copies=2)], "second.jsonl")
    ended = desk.run(job)
    assert ended.code == 0, ended.err
    for row in results(job):
        made = body(desk, row["result"]["agent_id"])["conversation_config"]
        prompt = made["agent"]["prompt"]
        assert prompt["tool_ids"] == [tool_id]
        assert prompt["knowledge_base"] == [{"id": "doc_own", "type": "file"}]
        assert made["tts"]["voice_id"] == "voice_eu"


def test_what_is_unmapped_fails(desk: Desk) -> None:
    """A copy for another account that still has ids of the first fails with their paths; nothing is created."""
    two_accounts(desk)
    old = source(desk)
    job = desk.job([{"$job": HEADER}, clone(old, map={"tool_old": "tool_new"})])
    ended = desk.run(job)
    assert ended.code == 3
    [row] = results(job)
    assert row["error"]["code"] == "unmapped"
    for words in (
        "conversation_config.agent.prompt.knowledge_base.0: document doc_old",
        "conversation_config.tts.voice_id: voice voice_old",
    ):
        assert words in row["error"]["message"]
    assert "tool_ids" not in row["error"]["message"]
    assert names(desk, EU) == []
    # Left out, or set to something else, they need no map.
    path = "conversation_config.agent.prompt"
    fixed = clone(
        old,
        map={"tool_old": "tool_new"},
        unset=[f"{path}.knowledge_base", "no.such.path"],
        set={"conversation_config": {"tts": {"voice_id": "voice_eu"}}},
    )
    desk.job([{"$job": HEADER}, fixed])
    assert desk.run(job).code == 0
    made = body(desk, results(job)[0]["result"]["agent_id"])["conversation_config"]
    assert "knowledge_base" not in made["agent"]["prompt"]
    assert made["tts"] == {"voice_id": "voice_eu", "speed": 1.0}


TRANSFERS = {
    "name": "Desk",
    "conversation_config": {"agent": {"tools": [{"params": {"transfers": [{"agent_id": "agent_old"}]}}]}},
}
THERE = "name one that is there in eu, or leave it out with `unset`"
TRANSFER = "conversation_config.agent.tools.0.params.transfers.0.agent_id"


def test_another_agent_that_is_unmapped_fails(desk: Desk) -> None:
    """What stands under `agent_id`, wherever that is, is an id of the account as those of tools are."""
    two_accounts(desk)
    old = world(desk, US).create_agent("Desk", orjson.dumps(TRANSFERS), now=0.0).agent_id
    job = desk.job([{"$job": HEADER}, clone(old)])
    assert desk.run(job).code == 3
    [row] = results(job)
    assert row["error"]["code"] == "unmapped"
    assert f"({TRANSFER}: agent agent_old)" in row["error"]["message"]
    desk.job([{"$job": HEADER}, clone(old, map={"agent_old": "agent_new"})])
    assert desk.run(job).code == 0
    refused = desk.bulkops("new", "migrate", "--from", "us", "--to", "eu", *desk.target)
    assert refused.code == 2
    assert f"agent agent_old: used by Desk ({old}) at {TRANSFER}; move it as well" in refused.err


def test_a_map_to_no_agent_is_shown_beforehand(desk: Desk) -> None:
    """`plan --online` looks for the agents that maps lead to where the copy will be, and names those that are not."""
    two_accounts(desk)
    old = world(desk, US).create_agent("Desk", orjson.dumps(TRANSFERS), now=0.0).agent_id
    there = world(desk, EU).create_agent("Desk", orjson.dumps(TRANSFERS), now=0.0).agent_id
    lines = [clone(old, map={"agent_old": new}) for new in (there, "agent_no")]
    job = desk.job([{"$job": HEADER}, *(line | {"id": str(number)} for number, line in enumerate(lines))])
    said = desk.bulkops("plan", job, "--online", *desk.target).out.splitlines()
    start = said.index("online: read 3 agents, and changed nothing")
    assert said[start + 1 :] == [
        f"  line 2, agent.clone {old} (Desk)",
        f"  line 3, agent.clone {old} (Desk):",
        f"    {TRANSFER}: `map` says agent_no, and there is no such agent; {THERE}",
    ]
    (told,) = desk.bulkops("plan", job, "--online", "--json", *desk.target).rows
    assert [row.get("absent") for row in told["online"]["lines"]] == [
        None,
        [{"path": TRANSFER, "agent_id": "agent_no"}],
    ]


def test_a_map_to_no_tool_or_document_is_shown_beforehand(desk_at: Callable[..., Desk]) -> None:
    """Where the API tells of one tool or document, `plan --online` names those that are not where the copy will be."""
    desk = desk_at(api="live")
    two_accounts(desk)
    (desk.folder / "d.md").write_text("What we sell.")
    tool = {"name": "t", "description": "d", "url": "https://a.example", "method": "GET", "parameters": {}}
    live = (*desk.target, "--api", "live")
    seed = desk.job(
        [
            {"$job": {"account": "eu"}},
            {
                "op": "agent.create",
                "id": "a",
                "account": "us",
                "body": {"name": "Desk", "conversation_config": {}},
            },
            {"op": "tool.create", "id": "t", "body": tool},
            {"op": "document.upload", "id": "d", "file": "d.md"},
            {"op": "tool.create", "id": "t0", "account": "us", "body": tool},
            {"op": "document.upload", "id": "d0", "account": "us", "file": "d.md"},
            {
                "op": "agent.update",
                "account": "us",
                "agent_id": "${ref:a#agent_id}",
                "body": {
                    "conversation_config": {
                        "agent": {
                            "prompt": {
                                "tool_ids": ["${ref:t0#id}"],
                                "knowledge_base": [
                                    {"id": "${ref:d0#document_id}", "type": "file", "name": "d"}
                                ],
                            }
                        }
                    }
                },
            },
        ],
        "seed.jsonl",
    )
    ended = desk.bulkops("run", seed, *live)
    assert ended.code == 0, ended.err
    rows = {row["id"]: row["result"] for row in results(seed)}
    old, tool_id, document_id = rows["a"]["agent_id"], rows["t"]["id"], rows["d"]["document_id"]
    tool_old, document_old = rows["t0"]["id"], rows["d0"]["document_id"]
    (desk.folder / "ids.csv").write_text(f"old,new\n{document_old},doc_no\n")
    lines = [
        clone(old, map={tool_old: tool_id, document_old: document_id}),
        clone(old, map={tool_old: "tool_no"}),
    ]
    job = desk.job(
        [
            {"$job": {**HEADER, "id_map": ["ids.csv"]}},
            *(line | {"id": str(n)} for n, line in enumerate(lines)),
        ]
    )
    said = desk.bulkops("plan", job, "--online", *live).out.splitlines()
    start = next(n for n, line in enumerate(said) if line.startswith("online: "))
    path = "conversation_config.agent.prompt"
    assert said[start : start + 5] == [
        "online: read 1 agent, 2 documents, 2 tools, and changed nothing",
        f"  line 2, agent.clone {old} (Desk)",
        f"  line 3, agent.clone {old} (Desk):",
        f"    {path}.tool_ids.0: `map` says tool_no, and there is no such tool; {THERE}",
        f"    {path}.knowledge_base.0: the header's `id_map` says doc_no, and there is no such document; {THERE}",
    ]
    (told,) = desk.bulkops("plan", job, "--online", "--json", "--online-limit", 2, *live).rows
    assert (told["online"]["reads"], told["online"]["maps_not_looked_at"]) == (3, 2)


def test_a_clone_from_a_file(desk: Desk) -> None:
    """A clone is made from an exported file; all copies of a line are of the file as it was first read."""
    (desk.folder / "agent.json").write_text(
        json.dumps({"agent_id": "agent_far", "created_at": "x", **SOURCE})
    )
    line = {"op": "agent.clone", "file": "agent.json", "name": "N${copy}", "copies": 2, "map": MAP}
    job = desk.job([line])
    ended = desk.run(job)
    assert ended.code == 0, ended.err
    wanted = json.loads(json.dumps(SOURCE).replace('"tool_old"', '"tool_new"').replace("doc_old", "doc_new"))
    for number, row in enumerate(results(job), 1):
        made = body(desk, row["result"]["agent_id"], KEY)
        assert made == {**wanted, "name": f"N{number}"}
    pairs = table(run_folder(job) / "id_map.jsonl")
    assert [pair["old"] for pair in pairs] == ["agent_far", "agent_far"]
    assert desk.bulkops("plan", job).out.count("to send: 0 requests") == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"op": "agent.clone"}, "`agent_id` is missing; agent.clone needs it, or `file`"),
        ({"op": "agent.clone", "agent_id": "a", "file": "here.json"}, "`file` stands beside `agent_id`"),
        (
            {"op": "agent.clone", "file": "here.json", "from": "us"},
            "`from` says in which account an agent is",
        ),
        ({"op": "agent.clone", "file": "nowhere.json"}, "`file` names"),
        ({"op": "agent.clone", "file": "list.json"}, "list.json', which holds no JSON object; name another"),
        ({"op": "agent.clone", "file": "text.json"}, "text.json', which is not JSON ("),
        (
            {"op": "agent.clone", "agent_id": "a", "from": "su"},
            "the account 'su' is none of yours; known are default, ",
        ),
        ({"op": "agent.clone", "agent_id": "a", "map": {"x": "a b"}}, "`map` says what is no id for 'x'"),
        (
            {"op": "agent.clone", "agent_id": "a", "map": {"x": "${ref:y#z}"}},
            "waits for 'y', and no line has that id",
        ),
        ({"op": "agent.clone", "agent_id": "a", "unset": "x"}, "`unset` has to be a list of dotted paths"),
        (
            {"op": "agent.clone", "agent_id": "a", "expect": {"readback": "x"}},
            '`expect` has to be {"readback": "equal"}',
        ),
    ],
)
def test_clones_that_cannot_be_meant(desk: Desk, line: dict[str, Any], words: str) -> None:
    """What cannot be meant is an error of the plan, with line and field."""
    two_accounts(desk)
    for name, text in (("here", "{}"), ("list", "[1]"), ("text", "Support")):
        (desk.folder / f"{name}.json").write_text(text)
    ended = desk.run(desk.job([line]))
    assert (ended.code, desk.sent) == (2, 0)
    assert words in ended.err


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "a.csv",
            "old,knew\nx,y\n",
            "a.csv, line 1: has no column `new`, it has: old, knew; its first line has to name `old` and `new`",
        ),
        ("a.csv", "old;new\nx;y\n", "keep the columns apart by commas, not by ';'"),
        ("a.csv", "old,new\nx,\n", "a.csv, line 2: `new` has to be the id that takes the place of x"),
        ("a.jsonl", '{"old": "x", "new": "y"}\n{"new": "y"}\n', "a.jsonl, line 2: `old` is missing"),
        ("a.jsonl", '{"old": "x", "new": "../y"}\n', "a.jsonl, line 1: `new` has to be the id"),
        ("a.jsonl", '{"old": ', "a.jsonl, line 1: the line is not JSON"),
        (None, "", "job.jsonl, line 1: `$job.id_map` names 'a.csv': there is no such file"),
    ],
)
def test_id_maps_that_cannot_be_used(desk: Desk, name: str | None, text: str, words: str) -> None:
    """A file of ids that cannot be used is an error with file, row and remedy, before anything is sent."""
    if name is not None:
        (desk.folder / name).write_text(text)
    job = desk.job([{"$job": {"id_map": [name or "a.csv"]}}, agent(0)])
    ended = desk.run(job)
    assert (ended.code, desk.sent) == (2, 0), ended.err
    assert words in ended.err


def test_an_id_with_two_copies_is_wrong_only_where_it_is_needed(desk: Desk) -> None:
    """`id_map.jsonl` of a run with two copies can be read; who needs one of them fails with both and the remedy."""
    two_accounts(desk)
    seed = "agent_seed_0001"
    lines = [clone(seed, **{"from": "us"}, account="eu", copies=2, name="C ${copy}")]
    twice = desk.job(lines, "twice.jsonl")
    assert desk.run(twice).code == 0
    source = table(run_folder(twice) / "id_map.jsonl")[0]["old"]
    one, two = (row["new"] for row in table(run_folder(twice) / "id_map.jsonl"))
    naming = {"name": "N", "peer": {"agent_id": source}, "conversation_config": {}}
    user = desk.job([{"op": "agent.create", "id": "user", "account": "us", "body": naming}], "user.jsonl")
    assert desk.run(user).code == 0
    agent_id = results(user)[0]["result"]["agent_id"]
    move: dict[str, Any] = {"from": "us", "account": "eu", "agent_id": agent_id}
    lines = [
        clone(**move, id="free", unset=["peer"]),
        clone(**move, id="needs"),
        clone(**move, id="says", map={source: two}),
    ]
    job = desk.job([{"$job": {"id_map": ["twice.run/id_map.jsonl"]}}, *lines])
    (told,) = desk.bulkops("plan", job, "--online", "--json", *desk.target).rows
    foreseen = [row.get("ambiguous") for row in told["online"]["lines"]]
    assert (foreseen[0], foreseen[2]) == (None, None)
    assert [row["path"] for row in foreseen[1]] == ["peer.agent_id"]
    assert desk.run(job).code == 3
    rows = {row["id"]: row for row in results(job)}
    assert (rows["free"]["status"], rows["says"]["status"]) == ("done", "done")
    assert rows["needs"]["error"]["code"] == "ambiguous"
    said = rows["needs"]["error"]["message"]
    assert f"{source} is mapped to {one} (twice.run/id_map.jsonl, row 1) and to {two} (" in said
    assert "say which in the line's `map`" in said
    assert foreseen[1][0]["why"] == said


def test_all_that_is_wrong_is_told_at_once(desk: Desk) -> None:
    """Lines, accounts that are not there and files of ids are told of together."""
    two_accounts(desk)
    header = {"$job": {"id_map": ["a.csv", "b.csv"]}}
    lines = [header, agent(0, account="ue"), {"op": "agent.get"}, clone("a", **{"from": "su"}, needs=["x"])]
    for ended in (desk.run(desk.job(lines)), desk.bulkops("plan", desk.job(lines))):
        assert (ended.code, desk.sent) == (2, 0)
        for words in (
            "line 1: `$job.id_map` names 'a.csv'",
            "line 1: `$job.id_map` names 'b.csv'",
            "line 2: the account 'ue' is none of yours",
            "line 3: `agent_id` is missing",
            "line 4: waits for 'x'",
            "line 4: the account 'su' is none of yours",
            "line 4: the account 'target' is none of yours",
        ):
            assert words in ended.err


def test_ids_of_another_account_do_not_count(desk: Desk) -> None:
    """Where a row of a map names its account, it holds for lines of that account only."""
    two_accounts(desk)
    old = source(desk)
    rows = [{"old": key, "new": f"{key}_{name}", "account": name} for key in MAP for name in ("eu", "us")]
    (desk.folder / "ids.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = desk.job([{"$job": {**HEADER, "id_map": ["ids.jsonl"]}}, clone(old)])
    assert desk.run(job).code == 0
    made = body(desk, results(job)[0]["result"]["agent_id"])
    assert made["conversation_config"]["tts"]["voice_id"] == "voice_old_eu"
    job = desk.job([{"$job": {**HEADER, "id_map": ["ids.jsonl"]}}, clone(old, account=None)], "own.jsonl")
    assert desk.run(job).code == 3
    assert results(job)[0]["error"]["code"] == "unmapped"


def test_a_difference_fails_the_check(desk: Desk) -> None:
    """What is read back and is not as it was asked for fails the check (exit 8); the agent is there, and known."""
    shim = desk.shim(
        "sitecustomize",
        "from bulkops.sending.recorded import Recorded\n"
        "send = Recorded.send\n"
        "async def twisted(self, attempt):\n"
        "    heard = await send(self, attempt)\n"
        "    if attempt.request.endpoint == 'agent.get' and heard.json and 'conversation_config' in heard.json:\n"
        "        heard.json['conversation_config']['agent']['language'] = 'fr'\n"
        "    return heard\n"
        "Recorded.send = twisted\n",
    )
    job = desk.job([agent(0, expect={"readback": "equal"}), agent(1)])
    ended = desk.run(job, env=shim)
    assert ended.code == 8, ended.err
    told = check_ending(job, ended)
    assert told["checks"] == {"passed": 0, "failed": 1}
    row = results(job)[0]
    assert (row["status"], row["passed"]) == ("done", False)
    difference = {"path": "conversation_config.agent.language", "asked": "en", "found": "fr"}
    assert row["result"]["differences"] == [difference]
    assert len(table(run_folder(job) / "created.jsonl")) == 2
    assert "passed" not in results(job)[1]


def test_an_update_that_is_read_back(desk: Desk) -> None:
    """An update asks only for what it says: null asks that something is gone, and the rest does not count."""
    patch = {"conversation_config": {"agent": {"language": None, "first_message": "Hi"}}, "gone": {"x": None}}
    line = {
        "op": "agent.update",
        "agent_id": "${ref:a0#agent_id}",
        "body": patch,
        "expect": {"readback": "equal"},
    }
    job = desk.job([agent(0), {**line, "id": "u"}])
    ended = desk.run(job)
    assert ended.code == 0, ended.err
    assert results(job)[1]["passed"] is True


def test_a_stamp_is_no_difference(desk: Desk) -> None:
    """A name that ends with a stamp is the name that was asked for."""
    job = desk.job([agent(0, expect={"readback": "equal"})])
    ended = desk.run(job, "--stamp", "suffix")
    assert ended.code == 0, results(job)


def test_a_source_is_pinned_by_account(desk_at: Callable[..., Desk]) -> None:
    """Rows that copy agents of one id from two accounts copy each from its own, read once."""
    desk = desk_at(conversations=1)
    two_accounts(desk)
    for key, language in ((US, "en-us"), (EU, "en-eu")):
        seeded = json.dumps({"name": "Seeded", "conversation_config": {"agent": {"language": language}}})
        world(desk, key).update_agent("agent_seed_0001", "Seeded", seeded.encode(), now=0.0)
    (desk.folder / "rows.csv").write_text("id,of\n1,us\n2,eu\n3,us\n4,eu\n")
    line = {"op": "agent.clone", "id": "${row:id}", "agent_id": "agent_seed_0001", "from": "${row:of}"}
    job = desk.job([{"$each": {"csv": "rows.csv"}, "line": line}])
    told = json.loads(desk.bulkops("plan", job, "--json").out)
    assert {name: each["requests"] for name, each in told["accounts"].items()} == {
        "default": 4,
        "us": 1,
        "eu": 1,
    }
    ended = desk.run(job)
    assert ended.code == 0, ended.err
    assert desk.sent == 6
    own = KEY
    languages = [
        body(desk, row["result"]["agent_id"], own)["conversation_config"]["agent"]["language"]
        for row in results(job)
    ]
    assert languages == ["en-us", "en-eu", "en-us", "en-eu"]
