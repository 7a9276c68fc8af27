"""Jobs whose rows are those of a listing of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.e2e.e2e_commands import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk

BODY: dict[str, Any] = {"conversation_config": {}}
RENAME = {
    "$each": {"op": "agent.list", "where": {"name": {"prefix": "Support "}}},
    "line": {
        "op": "agent.update",
        "id": "upd:${row:agent_id}",
        "agent_id": "${row:agent_id}",
        "body": {"name": "${row:name} (EU)"},
        "tags": ["renamed"],
    },
}
COPY = {
    "$each": {"op": "agent.list"},
    "line": {"op": "agent.clone", "id": "copy:${row:agent_id}", "agent_id": "${row:agent_id}"},
}


def seeded(desk: Desk, *names: str) -> None:
    """Make agents with these names."""
    lines = [{"op": "agent.create", "body": {**BODY, "name": name}} for name in names]
    assert desk.bulkops("run", desk.job(lines, "seed.jsonl"), *desk.target).code == 0


def names(desk: Desk) -> list[str]:
    """Return the names of all agents that there are."""
    job = desk.job([{"op": "agent.list", "id": "all"}], "names.jsonl")
    folder = desk.folder / f"names-{len(list(desk.folder.iterdir()))}.run"
    assert desk.bulkops("run", job, *desk.target, "--run-dir", folder).code == 0
    rows = (folder / "lists" / "all.jsonl").read_bytes().splitlines()
    return sorted(orjson.loads(row)["name"] for row in rows)


def test_what_is_listed_is_changed(desk: Desk) -> None:
    """Every agent that the listing names and `where` wants is changed, and what waits for the tag comes after."""
    seeded(desk, "Support Oslo", "Sales", "Support Bergen")
    last = {"op": "agent.create", "id": "last", "body": {**BODY, "name": "last"}, "needs": ["@renamed"]}
    job = desk.job([last, RENAME])
    ended = desk.bulkops("run", job, *desk.target)
    assert ended.code == 0
    assert "reading the rows of agent.list" in ended.err
    assert "done 3 of 3" in ended.last
    assert names(desk) == ["Sales", "Seeded Agent", "Support Bergen (EU)", "Support Oslo (EU)", "last"]
    assert "done 3 of 3" in desk.bulkops("run", job, *desk.target).last


def test_a_plan_tells_what_it_cannot_count(desk: Desk) -> None:
    """Before the first run nobody knows the rows; afterwards they are counted."""
    seeded(desk, "Support Oslo")
    job = desk.job([RENAME])
    ended = desk.bulkops("plan", job)
    assert ended.code == 0
    assert "line 1: the rows of agent.list are read when it runs; they are not counted here" in ended.out
    assert desk.bulkops("plan", job, "--json").rows[0]["unread"] == [{"line": 1, "listing": "agent.list"}]
    desk.bulkops("run", job, *desk.target)
    assert "1 line, 1 operation" in desk.bulkops("plan", job).out


def test_a_row_without_what_is_asked(desk: Desk) -> None:
    """The plan notes what documented rows do not have; once the rows are read it is an error, and nothing is sent."""
    line = {**COPY["line"], "name": "${row:nam}", "set": {"plan": "x ${row:agent_id}"}}
    job = desk.job([{**COPY, "line": line}])
    planned = desk.bulkops("plan", job)
    assert planned.code == 0
    assert (
        "line 1: `line.name` asks for `${row:nam}`, which the documented rows of agent.list do not"
        in planned.out
    )
    assert planned.out.count("asks for") == 1
    assert "(did you mean `name`?); they have: agent_id, name, created_at" in planned.out
    ended = desk.bulkops("run", job, *desk.target)
    assert (ended.code, desk.sent) == (2, 1)
    assert "`line.name` asks for `nam`, which is not in the row; it has: agent_id" in ended.err


def test_a_run_says_what_is_not_documented(desk: Desk) -> None:
    """A run begins with what the plan notes, and goes on: the answer may have more than is documented."""
    new = {"op": "agent.create", "id": "new", "body": {**BODY, "name": "x"}}
    job = desk.job([new, {"op": "agent.get", "agent_id": "${ref:new#agent}"}])
    note = "line 2: `agent_id` asks for `agent` of line new, and agent.create is not documented to answer it"
    assert note in desk.bulkops("plan", job).out
    ended = desk.bulkops("run", job, *desk.target)
    assert (ended.code, note in ended.err) == (3, True)


def test_what_a_job_makes_is_no_row_of_it(desk: Desk) -> None:
    """The rows are those of the first run, also where the job adds to what is listed; --relist adds what is new."""
    seeded(desk, "a", "b")
    job = desk.job([COPY])
    for _ in range(2):
        assert "done 3 of 3" in desk.bulkops("run", job, *desk.target).last
    assert "done 6 of 6" in desk.bulkops("run", job, *desk.target, "--relist").last
    assert names(desk) == ["Seeded Agent"] * 3 + ["a"] * 3 + ["b"] * 3


def test_nothing_listed_is_nothing_done(desk: Desk) -> None:
    """Where `where` wants none of them, the run is done; what waits for the tag has nothing to wait for."""
    seeded(desk, "Sales")
    last = {"op": "agent.create", "id": "last", "body": {**BODY, "name": "last"}, "needs": ["@renamed"]}
    ended = desk.bulkops("run", desk.job([RENAME, last]), *desk.target)
    assert ended.code == 0
    assert "done 1 of 1" in ended.last
    ended = desk.bulkops("run", desk.job([RENAME], "none.jsonl"), *desk.target)
    assert (ended.code, ended.last[:11]) == (0, "done 0 of 0")


def test_a_listing_that_cannot_be_read_ends_the_run(desk: Desk) -> None:
    """Nothing is done of a job whose rows could not be read; the next run reads them."""
    seeded(desk, "Support Oslo")
    job = desk.job([RENAME])
    ended = desk.bulkops("run", job, "--base-url", "http://127.0.0.1:9/v1/convai", "--give-up-after", "0.1")
    assert ended.code == 7
    assert not (desk.folder / "job.run" / "results.jsonl").exists()
    assert desk.bulkops("run", job, *desk.target).code == 0


def test_the_listing_of_another_account(desk: Desk) -> None:
    """A listing can be that of another account, which the header may call otherwise; each is kept for itself."""
    for name, key in (("a", "key-of-a"), ("b", "key-of-b")):
        (desk.folder / f"{name}.key").write_text(key)
        (desk.folder / f"{name}.key").chmod(0o600)
    config = desk.folder / "home" / "config" / "bulkops"
    config.mkdir(parents=True)
    text = "".join(f'[accounts.{name}]\napi_key_file = "{desk.folder}/{name}.key"\n' for name in "ab")
    (config / "accounts.toml").write_text(text)
    seed = [{"op": "agent.create", "account": "b", "body": {**BODY, "name": "of b"}}]
    assert desk.bulkops("run", desk.job(seed, "seed.jsonl"), *desk.target, "--account", "a").code == 0
    copy = {
        "$each": {"op": "agent.list", "account": "source", "where": {"name": {"prefix": "of "}}},
        "line": {
            "op": "agent.clone",
            "id": "c:${row:agent_id}",
            "agent_id": "${row:agent_id}",
            "from": "source",
        },
    }
    own = {"$each": {"op": "agent.list"}, "line": {"op": "agent.get", "agent_id": "${row:agent_id}"}}
    job = desk.job([{"$job": {"account": "a", "accounts": {"source": "b"}}}, copy, own])
    ended = desk.bulkops("run", job, *desk.target)
    assert ended.code == 0, ended.err
    assert "reading the rows of agent.list of source" in ended.err
    assert desk.server is not None
    assert "of b" in {agent.name for agent in desk.server.world("key-of-a").agents.values()}
    kept = [path.name for path in (desk.folder / "job.run" / "listed").iterdir()]
    assert len(kept) == 2
    assert "agent.list.jsonl" in kept


def narrowed(**query: Any) -> dict[str, Any]:
    """Return a job line that copies the agents that a narrowed listing has."""
    return {**COPY, "$each": {"op": "agent.list", "query": query}}


def test_a_listing_is_narrowed(desk_at: Callable[..., Desk]) -> None:
    """What `query` says is asked for as it stands, and the rows of each query are kept apart."""
    desk = desk_at(api="live")
    live = ("--api", "live", *desk.target)
    lines = [{"op": "agent.create", "body": {**BODY, "name": name}} for name in ("A ${x}", "B", "C")]
    seed = orjson.loads(orjson.dumps(lines).replace(b"${x}", b"$${x}"))
    assert desk.bulkops("run", desk.job(seed, "seed.jsonl"), *live).code == 0
    job = desk.job(
        [narrowed(search="A ${x}"), {**narrowed(search="B"), "line": {**COPY["line"], "name": "B2"}}]
    )
    ended = desk.bulkops("run", job, *live)
    assert ended.code == 0, ended.err
    assert "reading the rows of agent.list with search=A ${x}" in ended.err
    assert desk.server is not None
    made = sorted(each.name for each in desk.server.world(KEY).agents.values())
    assert made == ["A ${x}", "A ${x}", "B", "B2", "C"]


@pytest.mark.parametrize(
    ("api", "query", "words"),
    [
        (
            "live",
            {"cursor": "x"},
            "`$each.query.cursor` says which page is read, and all of them are; take it out",
        ),
        ("live", {"search": 5}, "`$each.query.search` has to be a text"),
        ("live", "x", "`$each.query` has to be an object of texts"),
        ("reference", {"page": "2"}, "`$each.query.page` says which page is read"),
        (
            "reference",
            {"search": "x"},
            "`$each.query.search` is nothing that agent.list is documented to be narrowed",
        ),
    ],
)
def test_what_a_listing_cannot_be_asked(desk: Desk, api: str, query: Any, words: str) -> None:
    """A plan and a run refuse it with file, line, field and remedy, and nothing is sent."""
    job = desk.job([{**COPY, "$each": {"op": "agent.list", "query": query}}])
    for verb in (("plan",), ("run", *desk.target)):
        ended = desk.bulkops(verb[0], job, "--api", api, *verb[1:])
        assert (ended.code, desk.sent) == (2, 0), ended.err
        assert f"job.jsonl, line 1: {words}" in ended.err


def test_a_line_that_lists_is_refused_alike(desk: Desk) -> None:
    """Also what is no `$each` reads all pages, and only what the API is documented to be narrowed by."""
    job = desk.job([{"op": "agent.list", "id": "all", "query": {"per_page": "5", "search": "x"}}])
    ended = desk.bulkops("plan", job)
    assert ended.code == 2
    assert "line 1: `query.per_page` says which page is read" in ended.err
    assert "line 1: `query.search` is nothing that agent.list" in ended.err
    listing = desk.job([{"$each": {"op": "document.list"}, "line": COPY["line"]}])
    assert (
        "`$each.op` names document.list, which is not in the API that is spoken"
        in desk.bulkops("plan", listing).err
    )
