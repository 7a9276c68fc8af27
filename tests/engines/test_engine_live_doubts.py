"""What is in doubt at the live API: documents, tools, tests and duplicates are looked for in their listings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulkops.api import LIVE
from bulkops.emulator.answers import Answer
from bulkops.operations import KINDS
from bulkops.planning import Selection
from tests.engines.engine_bench import Job, Server, counts
from tests.engines.test_engine_asking import given
from tests.engines.test_engine_every_kind import world_of_the_reference
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.model import Request

MAKING = [op for op in LIVE.endpoints() if op in KINDS and LIVE.endpoints()[op].makes is not None]
each_kind = pytest.mark.parametrize("op", MAKING)


@pytest.fixture(autouse=True)
def handbook(tmp_path: Path) -> None:
    """Have the files that are uploaded."""
    (tmp_path / "handbook.md").write_text("Refunds take 3 to 5 working days.")
    (tmp_path / "other.md").write_text("Something else altogether.")


def lines_of(op: str, number: int) -> list[dict[str, Any]]:
    """Return so many lines of a kind that differ in name; an upload without its index."""
    lines = []
    for each in range(number):
        line = {key: value for key, value in KINDS[op].example.items() if key != "index"}
        if "body" in line:
            line["body"] = {**line["body"], "name": f"{each}"}
        else:
            line["name"] = f"{each}"
        lines.append(line)
    return lines


def made(server: Server, op: str) -> list[str]:
    """Return the names of what a kind has made, in order."""
    return sorted(server.effects(op))


def test_all_that_is_made_is_listed() -> None:
    """Of all that requests make at the live API there is a listing, so that a plan tells of none that is not."""
    assert all(LIVE.listing_of(LIVE.endpoints()[op].makes) is not None for op in MAKING)
    assert {KINDS[op].makes for op in MAKING} == {"agent", "document", "tool", "test"}


@each_kind
def test_what_took_effect_is_found(op: str, tmp_path: Path) -> None:
    """One whose answer was lost is found by its name, and is not made again."""
    server = world_of_the_reference(LIVE)
    server.after = given(op, 2)
    job = Job(tmp_path, lines_of(op, 3), LIVE)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 3}
    assert made(server, op) == ["0", "1", "2"]
    field = LIVE.endpoint(op).entity
    assert field is not None
    assert len({row["result"][field] for row in job.rows()}) == 3


@each_kind
def test_what_is_absent_is_sent_again(op: str, tmp_path: Path) -> None:
    """One that was lost before it had an effect is made once, after it has settled."""
    server = world_of_the_reference(LIVE)
    server.refuse = given(op, 2)
    job = Job(tmp_path, lines_of(op, 3), LIVE)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 3}
    assert made(server, op) == ["0", "1", "2"]
    assert server.heard[op] == 4


@each_kind
def test_killed_anywhere_nothing_is_made_twice(op: str, tmp_path: Path) -> None:
    """A run that is killed while several are made leaves a next run that makes the others, and each once."""
    for moment in (0.3, 0.5, 0.7):
        server, job = world_of_the_reference(LIVE), Job(tmp_path, lines_of(op, 4), LIVE, in_flight=1)

        async def both(server: Server = server, job: Job = job, moment: float = moment) -> None:
            await job.run_until_killed(server, moment)
            await job.run(server, Selection(in_doubt=frozenset({op})))

        run_jumping(both)
        assert job.states() == ["done"] * 4
        assert made(server, op) == ["0", "1", "2", "3"]


def text(name: str, of: str) -> dict[str, Any]:
    """Return the line of a text."""
    return {"op": "document.create_text", "body": {"name": name, "text": of}}


def lost(_request: Request, _number: int) -> Answer | None:
    """Lose the answer to whatever adds to the knowledge base."""
    return Answer(500, {"detail": "lost"}) if _request.makes == "document" else None


def test_documents_that_look_alike_are_held(tmp_path: Path) -> None:
    """Two texts of one name are both there, and nothing tells which is which: nobody guesses, nothing is made twice."""
    server = Server(api=LIVE, after=lost)
    job = Job(tmp_path, [text("a", "one"), text("a", "two")], LIVE)
    assert counts(run_jumping(lambda: job.run(server))) == {"in_doubt": 2}
    assert made(server, "document.create_text") == ["a", "a"]
    assert "does not show which" in job.rows()[0]["error"]["message"]


def test_equal_documents_are_interchangeable(tmp_path: Path) -> None:
    """Two equal texts of one name get an id each."""
    server = Server(api=LIVE, after=lost)
    job = Job(tmp_path, [text("a", "one"), text("a", "one")], LIVE)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 2}
    assert len({row["result"]["document_id"] for row in job.rows()}) == 2


def test_documents_of_one_name_are_told_apart_by_their_types(tmp_path: Path) -> None:
    """A text, a page, a file and a folder of one name, all in doubt, each find what they have made."""
    server = Server(api=LIVE, after=lost)
    lines: list[dict[str, Any]] = [
        text("a", "one"),
        {"op": "document.create_url", "body": {"name": "a", "url": "https://example.com"}},
        {"op": "document.upload", "file": "handbook.md", "name": "a"},
        {"op": "folder.create", "body": {"name": "a"}},
    ]
    job = Job(tmp_path, lines, LIVE)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 4}
    types = [server.world.documents[row["result"]["document_id"]].type for row in job.rows()]
    assert types == ["text", "url", "file", "folder"]


def test_a_tool_that_is_no_equal_is_not_taken(tmp_path: Path) -> None:
    """A tool of the same name that is another one is not what was made: what is absent is sent again."""
    server, line = world_of_the_reference(LIVE), lines_of("tool.create", 1)[0]
    other = {**line, "body": {**line["body"], "url": "https://elsewhere.example"}}
    run_jumping(lambda: Job(tmp_path, [other], LIVE).run(server))
    server.refuse = given("tool.create", 2)
    job = Job(tmp_path, [line], LIVE)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 1}
    assert made(server, "tool.create") == ["0", "0"]


def test_what_has_no_name_is_held(tmp_path: Path) -> None:
    """A text without a name cannot be looked for."""
    server = Server(api=LIVE, after=lost)
    job = Job(tmp_path, [{"op": "document.create_text", "body": {"text": "one"}}], LIVE)
    assert counts(run_jumping(lambda: job.run(server))) == {"in_doubt": 1}
    assert len(server.effects("document.create_text")) == 1
