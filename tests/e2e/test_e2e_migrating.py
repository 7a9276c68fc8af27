"""`bulkops new migrate`, and the job that it writes: an account's agents in another account, each once, and equal."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.crash.crash_sizes import size
from tests.e2e.e2e_accounts import EU, US, names, two_accounts, world
from tests.e2e.e2e_commands import check_ending, end_of, results, run_folder, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk, Ended

AGENT = "conversation_config.agent.prompt"


@pytest.fixture
def desk(desk_at: Callable[..., Desk]) -> Desk:
    """Set up a desk with a server on which nobody has anything yet."""
    return desk_at()


def made(desk: Desk, name: str, **more: Any) -> str:
    """Make an agent in the account that is left; return its id."""
    prompt: dict[str, Any] = {"prompt": f"You are {name}."}
    prompt |= {key: more.pop(key) for key in ("tool_ids", "knowledge_base") if key in more}
    body = {"name": name, "conversation_config": {"agent": {"prompt": prompt}}, **more}
    return world(desk, US).create_agent(name, orjson.dumps(body), now=0.0).agent_id


def new(desk: Desk, *words: object, code: int = 0) -> Ended:
    """Write the job; whatever comes of it, nothing is made in either account."""
    effects = [len(world(desk, key).effects) for key in (US, EU)]
    assert desk.server is not None
    ended = desk.bulkops(
        "new", "migrate", "--from", "us", "--to", "eu", "--base-url", desk.server.base_url, *words
    )
    assert ended.code == code, ended.err
    assert [len(world(desk, key).effects) for key in (US, EU)] == effects
    return ended


TOOL = {
    "source_id": "tool_1",
    "name": "Get weather",
    "description": "d",
    "url": "https://a.example/x?api_key=in-the-url&city=y",
    "method": "GET",
    "parameters": {
        "type": "object",
        "properties": {"token": {"type": "string", "description": "a ${token}"}},
    },
    "headers": {"Authorization": "Bearer very-secret", "Accept": "text/plain", "X-Own": "{{secret__own}}"},
}


def test_a_migration(desk: Desk) -> None:
    """Tools from a file, documents from a folder, agents after those they use: all of it there, secrets in no file."""
    two_accounts(desk)
    first = made(desk, "First", tool_ids=["tool_1"])
    second = made(desk, "Second", knowledge_base=[{"id": "doc_2", "name": "Hours", "type": "file"}, "doc_1"])
    boss = made(desk, "Boss", tts={}, transfer={"to": [first, second]}, tool_ids=["tool_1", "tool_mapped"])
    body = {"name": "Early", "conversation_config": {}, "peer": boss}
    early = world(desk, US).create_agent("Early", orjson.dumps(body), now=0.0).agent_id
    (desk.folder / "tools.jsonl").write_text(
        json.dumps(TOOL) + "\n" + json.dumps({**TOOL, "source_id": "tool_no"})
    )
    docs = desk.folder / "docs" / "deep"
    docs.mkdir(parents=True)
    (docs / "doc_1.md").write_text("one")
    (docs / "Hours.md").write_text("two")
    (desk.folder / "known.csv").write_text("old,new\ntool_mapped,tool_theirs\n")
    words = ("--tools", "tools.jsonl", "--documents", "docs", "--id-map", "known.csv")
    ended = new(desk, *words, "--out", "move.jsonl")
    assert (
        "tool tool_1: what stands at `headers.Authorization` looks like a secret and is left out of the job, which "
        "says {{secret__get_weather_authorization}} in its place; give it to the other account as the secret"
        in ended.err
    )
    job = desk.folder / "move.jsonl"
    text = job.read_text()
    assert "very-secret" not in text
    assert "in-the-url" not in text
    header, *lines = table(job)
    assert header["$job"]["accounts"] == {"source": "us", "target": "eu"}
    assert [line["id"] for line in lines] == [
        "tool:tool_1",
        "document:doc_2",
        "document:doc_1",
        f"agent:{first}",
        f"agent:{second}",
        f"agent:{boss}",
        f"agent:{early}",
    ]
    assert lines[0]["body"]["headers"] == {
        "Authorization": "Bearer {{secret__get_weather_authorization}}",
        "Accept": "text/plain",
        "X-Own": "{{secret__own}}",
    }
    assert lines[0]["body"]["url"] == "https://a.example/x?api_key={{secret__get_weather_api_key}}&city=y"

    before = len(world(desk, US).effects)
    ended = desk.run(job)
    assert ended.code == 0, ended.err
    told = check_ending(job, ended)
    assert told["checks"] == {"passed": 4, "failed": 0}
    assert len(world(desk, US).effects) == before
    assert names(desk, EU) == ["Boss", "Early", "First", "Second"]
    ids = {row["old"]: row["new"] for row in table(run_folder(job) / "id_map.jsonl")}
    assert set(ids) == {"tool_1", "doc_1", "doc_2", first, second, boss, early}
    there = world(desk, EU).agents
    moved = json.loads(there[ids[boss]].body)
    assert moved["transfer"] == {"to": [ids[first], ids[second]]}
    assert moved["conversation_config"]["agent"]["prompt"]["tool_ids"] == [ids["tool_1"], "tool_theirs"]
    assert json.loads(there[ids[early]].body) == {**body, "peer": ids[boss]}
    documents = json.loads(there[ids[second]].body)["conversation_config"]["agent"]["prompt"][
        "knowledge_base"
    ]
    assert documents == [{"id": ids["doc_2"], "name": "Hours", "type": "file"}, ids["doc_1"]]
    assert sorted(each.name for each in world(desk, EU).documents.values()) == ["Hours.md", "doc_1.md"]

    # A later migration knows what is there.
    third = made(desk, "Third", tool_ids=["tool_1"], peer=first)
    ended = new(desk, "--id-map", "move.run/id_map.jsonl", "--id-map", "known.csv")
    assert f"agent {first} (First) is there already: it is {ids[first]}; it is left out" in ended.err
    assert [row["id"] for row in ended.rows[1:]] == [f"agent:{third}"]
    assert ended.rows[1]["map"] == {"tool_1": ids["tool_1"], first: ids[first]}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), {"First": "kept", "Twin": None}),
        (("--if-exists", "update"), {"First": "updated", "Twin": None}),
        (("--if-exists", "error"), {"First": "exists", "Twin": None}),
        (("--if-exists", "create"), {"First": None, "Twin": None}),
    ],
)
def test_a_second_migration_knows_agents_by_their_names(
    desk: Desk, words: tuple[str, ...], told: dict[str, str | None]
) -> None:
    """What was copied is skipped, updated, refused or copied again; namesakes are copied each, and that is said."""
    two_accounts(desk)
    made(desk, "First")
    new(desk, "--out", "one.jsonl")
    assert desk.run("one.jsonl", "--settle", "1s").code == 0
    made(desk, "Twin")
    made(desk, "Twin", note="other")
    ended = new(desk, "--out", "two.jsonl", *words)
    assert ended.err.count("(Twin) has no name of its own") == (0 if "create" in words else 2)
    assert desk.run("two.jsonl").code == (3 if "error" in words else 0)
    there = sorted(each.name for each in world(desk, EU).agents.values())
    assert there == ["First"] * (2 if told["First"] is None else 1) + ["Twin", "Twin"]
    [first] = [row for row in results(desk.folder / "two.jsonl") if row["meta"]["about"] == "First"]
    assert (first["error"] or {}).get("code") == ("exists" if told["First"] == "exists" else None)
    result = first["result"] or {}
    assert (result.get("existed"), result.get("updated")) == (
        (told["First"] in ("kept", "updated")) or None,
        (told["First"] == "updated") or None,
    )


def test_an_update_is_not_kept_from_what_a_map_names(desk: Desk) -> None:
    """With --if-exists update an agent of --id-map is changed as well, and the copy stays the same agent."""
    two_accounts(desk)
    first = made(desk, "First")
    new(desk, "--out", "one.jsonl")
    assert desk.run("one.jsonl").code == 0
    copy = next(iter(world(desk, EU).agents))
    made_so = world(desk, US).agents[first]
    body = json.dumps({**json.loads(made_so.body), "note": "new"}).encode()
    world(desk, US).update_agent(first, "First", body, now=0)
    new(desk, "--out", "two.jsonl", "--id-map", "one.run/id_map.jsonl", "--if-exists", "update")
    assert desk.run("two.jsonl").code == 0
    assert list(world(desk, EU).agents) == [copy]
    assert json.loads(world(desk, EU).agents[copy].body)["note"] == "new"


def test_a_migration_that_is_done_writes_no_job(desk: Desk) -> None:
    """Where every agent has its copy, or there is none, that is said, and no file is written."""
    two_accounts(desk)
    nothing = "nothing is left to copy from us to eu: there is no job to write"
    assert nothing in new(desk, "--out", "move.jsonl").err
    agent_id = made(desk, "Support")
    (desk.folder / "map.csv").write_text(f"old,new\n{agent_id},agent_there\n")
    ended = new(desk, "--id-map", "map.csv", "--out", "move.jsonl")
    assert nothing in ended.err
    assert f"agent {agent_id} (Support) is there already: it is agent_there; it is left out" in ended.err
    assert not (desk.folder / "move.jsonl").exists()


def test_an_id_that_two_take_the_place_of_is_wrong_where_it_is_used(desk: Desk) -> None:
    """A migration names both and the remedy; an agent that nobody else uses and that has two copies is left out."""
    two_accounts(desk)
    first = made(desk, "First")
    (desk.folder / "map.csv").write_text(f"old,new\n{first},agent_x\n{first},agent_y\n")
    ended = new(desk, "--id-map", "map.csv")
    assert f"is there already: {first} is mapped to agent_x (" in ended.err
    made(desk, "Second", peer=first)
    ended = new(desk, "--id-map", "map.csv", code=2)
    assert "map.csv, row 2) and to agent_y (" in ended.err
    assert "keep one of these rows" in ended.err


@pytest.mark.parametrize("key", ["", US, EU])
def test_a_migration_needs_the_keys_of_its_two_accounts_alone(desk: Desk, key: str) -> None:
    """A migration is planned, run and taken back without another account, whatever key is in the environment."""
    desk.env["ELEVENLABS_API_KEY"] = key
    two_accounts(desk)
    made(desk, "First")
    new(desk, "--out", "move.jsonl")
    ended = desk.run("move.jsonl")
    assert ended.code == 0, ended.err
    assert names(desk, EU) == ["First"]
    assert desk.bulkops("undo", "move.jsonl", "--out", "undo.jsonl").code == 0
    assert desk.run("undo.jsonl", "--yes").code == 0
    assert not world(desk, EU).agents


def test_what_is_unmapped_is_listed(desk: Desk) -> None:
    """While an id is unmapped no job is written: each is listed, with what it is and who uses it."""
    two_accounts(desk)
    first = made(desk, "First", tool_ids=["tool_1"])
    made(desk, "Second", tool_ids=["tool_1"], knowledge_base=["doc_1"], tts={})
    boss = made(desk, "Boss", peer=first)
    ended = new(desk, "--out", "move.jsonl", code=2)
    assert f"us → eu: tool tool_1: used by First ({first}) at {AGENT}.tool_ids.0, Second (" in ended.err
    assert "document doc_1: used by Second (" in ended.err
    assert "2 problems" in ended.last
    assert not (desk.folder / "move.jsonl").exists()
    alone = new(desk, boss, code=2)
    assert (
        f"agent {first}: used by Boss ({boss}) at peer; move it as well, or map it in --id-map" in alone.err
    )
    loop = made(desk, "Loop")
    body = {"name": "Loop", "conversation_config": {}, "peer": loop}
    world(desk, US).update_agent(loop, "Loop", orjson.dumps(body), now=0.0)
    assert "in a circle" in new(desk, loop, code=2).err
    assert "cannot be read" in new(desk, "agent_nowhere", code=2).err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--from", "us", "--to", "us"), "the same account"),
        (("--from", "us", "--to", "ue"), "there is no account 'ue'"),
        (("--from", "su", "--to", "eu"), "there is no account 'su'"),
        (
            ("--from", "us", "--to", "eu", "--tools", "tools.jsonl"),
            "tools.jsonl, line 2: `source_id` has to be the id",
        ),
        (("--from", "us", "--to", "eu", "--id-map", "no.csv"), "no.csv"),
        (("--from", "us"), "--to is missing"),
        (("--from", "us", "--to", "eu", "--api", "live", "--residency", "eu"), "give one of them"),
    ],
)
def test_migrations_that_cannot_be_written(desk: Desk, words: tuple[str, ...], message: str) -> None:
    """What is wrong with the words is said before anything is read."""
    two_accounts(desk)
    (desk.folder / "tools.jsonl").write_text('{"source_id": "tool_1", "body": {}}\n{"body": {}}\n')
    assert desk.server is not None
    ended = desk.bulkops("new", "migrate", *words, "--base-url", desk.server.base_url)
    assert (ended.code, desk.sent) == (2, 0)
    assert message in ended.err


@pytest.mark.parametrize("seed", range(size(1, 20)))
def test_a_migration_killed_at_random_moments(desk_at: Callable[..., Desk], seed: int) -> None:
    """Killed again and again, with lost answers: each agent is there once and equal, and the source was only read."""
    chance = random.Random(seed)
    lost = ["error_after", "reset_after", "reset_before"]
    faults = [{"endpoint": "agent.create", "rate": 0.1, "seed": seed, "faults": lost}]
    desk = desk_at(faults=faults, latency=0.01)
    two_accounts(desk)
    (desk.folder / "tools.jsonl").write_text(json.dumps(TOOL))
    ids: list[str] = []
    for number in range(60):
        peers = {"peers": chance.sample(ids, min(2, len(ids)))}
        ids.append(made(desk, f"Agent {number % 40}", tool_ids=["tool_1"], **peers))
    before = {each: world(desk, US).agents[each] for each in ids}
    new(desk, "--tools", "tools.jsonl", "--out", "move.jsonl")
    job = desk.folder / "move.jsonl"
    effects = len(world(desk, US).effects)
    killed = 0
    for _ in range(4):
        enough = min(len(names(desk, EU)) + chance.randrange(2, 14), 60)
        with desk.start("run", job, *desk.target, "--settle", "2s") as process:
            while len(names(desk, EU)) < enough and process.poll() is None:
                time.sleep(0.002)
            killed += process.poll() is None
            process.kill()
            end_of(process)
    assert killed >= 3
    ended = desk.run(job, "--settle", "2s")
    assert ended.code == 0, ended.err
    assert check_ending(job, ended)["checks"] == {"passed": 60, "failed": 0}
    assert len(world(desk, US).effects) == effects
    assert {each: world(desk, US).agents[each] for each in ids} == before
    there_now = world(desk, EU).agents
    assert len(there_now) == 60
    pairs = {row["old"]: row["new"] for row in table(run_folder(job) / "id_map.jsonl")}
    assert set(pairs.values()) - set(there_now) == {pairs["tool_1"]}
    for old in ids:
        text = before[old].body.decode()
        for each in (*ids, "tool_1"):
            text = text.replace(f'"{each}"', f'"{pairs[each]}"')
        assert json.loads(there_now[pairs[old]].body) == json.loads(text)
    assert all(row["status"] == "done" for row in results(job))
