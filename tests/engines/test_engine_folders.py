"""The folder of a run: made once, whatever happens, and where its documents are looked for."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from bulkops.api import LIVE
from bulkops.emulator.answers import Answer
from bulkops.planning import Selection
from tests.engines.engine_bench import AGENT, Job, Server, counts
from tests.engines.test_engine_asking import given
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulkops.emulator.things import Document
    from bulkops.model import Request

FOLDER: frozenset[str] = frozenset({"folder"})
NONE: frozenset[str] = frozenset()
DOCUMENTS = frozenset({"document.upload", "document.create_text", "document.create_url"})


@pytest.fixture(autouse=True)
def handbook(tmp_path: Path) -> None:
    """Have the file that is uploaded."""
    (tmp_path / "handbook.md").write_text("Refunds take 3 to 5 working days.")


def text(name: str, **more: Any) -> dict[str, Any]:
    """Return the line of a text."""
    return {"op": "document.create_text", "body": {"name": name, "text": f"What {name} says.", **more}}


LINES: list[dict[str, Any]] = [
    {"op": "document.upload", "file": "handbook.md", "name": "a"},
    text("b"),
    {"op": "document.create_url", "body": {"url": "https://example.com", "name": "c"}},
]


def folders(server: Server) -> list[Document]:
    """Return the folders of the account."""
    return [each for each in server.world.documents.values() if each.type == "folder"]


def places(server: Server) -> dict[str, str | None]:
    """Return in which folder each document is that the run has made, by its name."""
    ours = {effect.id for effect in server.world.effects if effect.kind in DOCUMENTS}
    return {each.name: each.folder for each in server.world.documents.values() if each.document_id in ours}


def crowded(**more: Any) -> Server:
    """Return a server at which somebody else makes a text of the same name around each document of ours."""
    server = Server(api=LIVE, **more)
    answers = server.after

    def others(request: Request) -> None:
        if request.makes == "document":
            name = dict(request.form.fields)["name"] if request.form is not None else request.body["name"]
            server.world.add_document(name, 9, "", now=0.0, kind="others", type="text")

    def after(request: Request, number: int) -> Answer | None:
        others(request)
        return answers(request, number)

    server.before_effect, server.after = others, after
    return server


def lost(request: Request, _number: int) -> Answer | None:
    """Lose the answer to whatever adds to the knowledge base."""
    return Answer(500, {"detail": "lost"}) if request.makes == "document" else None


def test_documents_of_a_run_are_in_one_folder(tmp_path: Path) -> None:
    """Files, texts and pages go into a folder that is made for the first; a line that names another one keeps it."""
    server = Server(api=LIVE)
    own = server.world.add_document("own", 0, "", now=0.0, kind="others", type="folder").document_id
    lines = [*LINES, text("d", parent_folder_id=own), text("e", parent_folder_id=None)]
    job = Job(tmp_path, [*lines, {"op": "agent.create", "body": AGENT}], LIVE, stamps=FOLDER)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 6}
    [_, made] = folders(server)
    assert re.fullmatch(r"bulkops \d{4}-\d\d-\d\d \[[a-z2-7]{12}\]", made.name)
    place = made.document_id
    assert places(server) == {"a": place, "b": place, "c": place, "d": own, "e": None}
    assert server.heard["folder.create"] == 1
    assert server.heard["document.list"] == 0
    [step] = job.checkpoint.reader().steps_of_run()
    assert step.entity == place


def test_a_job_without_documents_has_no_folder(tmp_path: Path) -> None:
    """It is made when it is needed, and by the next run not again."""
    server = Server(api=LIVE)
    lines: list[dict[str, Any]] = [{"op": "agent.create", "body": AGENT}]
    job = Job(tmp_path, lines, LIVE, stamps=FOLDER)
    run_jumping(lambda: job.run(server))
    assert folders(server) == []
    for name in ("x", "y"):
        lines.append(text(name))
        job.write(lines)
        run_jumping(lambda: job.run(server))
    assert len(folders(server)) == 1
    assert len(set(places(server).values())) == 1


def test_without_the_word_there_is_none(tmp_path: Path) -> None:
    """Documents stay where they are put unless a folder is asked for: people see it."""
    server, job = Server(api=LIVE), Job(tmp_path, LINES, LIVE, stamps=frozenset({"tag"}))
    run_jumping(lambda: job.run(server))
    assert set(places(server).values()) == {None}


def no_id(request: Request, number: int) -> Answer | None:
    """Lose the id of the first folder."""
    return Answer(200, {"name": "folder"}) if request.endpoint == "folder.create" and number == 1 else None


@pytest.mark.parametrize("after", [given("folder.create", 1), no_id])
def test_a_folder_whose_answer_was_lost_is_found(
    after: Callable[[Request, int], Answer | None], tmp_path: Path
) -> None:
    """It is looked for by its name, soon, and is not made again."""
    server = Server(api=LIVE, after=after)
    job = Job(tmp_path, LINES, LIVE, stamps=FOLDER)
    run = run_jumping(lambda: job.run(server))
    assert counts(run) == {"done": 3}
    assert (server.heard["folder.create"], server.heard["document.list"]) == (1, 1)
    assert set(places(server).values()) == {folders(server)[0].document_id}
    assert max(moment for moment, *_ in server.times) < 10.0


def test_a_folder_that_is_absent_is_made_after_the_settle_time(tmp_path: Path) -> None:
    """One that was lost before it had an effect is sent again only when it has settled, and is there once."""
    server = Server(api=LIVE, refuse=given("folder.create", 1))
    job = Job(tmp_path, LINES, LIVE, stamps=FOLDER)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 3}
    sent = [moment for moment, endpoint, _ in server.times if endpoint == "folder.create"]
    assert len(sent) == 2
    assert sent[1] - sent[0] >= 60.0
    assert len(folders(server)) == 1


@pytest.mark.parametrize("moment", [0.05, 0.15, 0.25, 0.35, 0.55])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_killed_anywhere_there_is_one_folder(moment: float, in_flight: int, tmp_path: Path) -> None:
    """A run that is killed around the making of the folder leaves a next run that has the same one, or the first."""
    server, job = Server(api=LIVE), Job(tmp_path, LINES, LIVE, stamps=FOLDER, in_flight=in_flight)

    async def both() -> None:
        await job.run_until_killed(server, moment)
        await job.run(server, Selection(in_doubt=DOCUMENTS))

    run_jumping(both)
    assert job.states() == ["done"] * 3
    assert len(folders(server)) == 1
    assert set(places(server).values()) == {folders(server)[0].document_id}
    assert Counter(server.effects("document.create_text")) == {"b": 1}


def test_documents_are_looked_for_in_the_folder_alone(tmp_path: Path) -> None:
    """What somebody else adds elsewhere under the same names in the same seconds is not taken for what was made."""
    server = crowded(after=lost)
    job = Job(tmp_path, LINES, LIVE, stamps=FOLDER)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 3}
    ours = {effect.name: effect.id for effect in server.world.effects if effect.kind in DOCUMENTS}
    assert [row["result"]["document_id"] for row in job.rows()] == [ours[name] for name in "abc"]
    assert len(folders(server)) == 1


@pytest.mark.parametrize(("before", "after"), [(NONE, FOLDER), (FOLDER, NONE)])
def test_what_an_earlier_run_put_elsewhere_is_found_there(
    before: frozenset[str], after: frozenset[str], tmp_path: Path
) -> None:
    """A doubt is looked for where it was sent to, whatever the next run does with others."""
    lines = [text(name) for name in "bcd"]
    server, job = Server(api=LIVE), Job(tmp_path, lines, LIVE, in_flight=1)

    async def both() -> None:
        job.given["stamps"] = before
        await job.run_until_killed(server, 0.35 if before == NONE else 0.55)
        job.given["stamps"] = after
        await job.run(server, Selection(in_doubt=DOCUMENTS))

    run_jumping(both)
    assert job.states() == ["done"] * 3
    assert server.effects("document.create_text") == ["b", "c", "d"]
    [place] = [each.document_id for each in folders(server)]
    there, elsewhere = (None, place) if before == NONE else (place, None)
    assert places(server) == {"b": there, "c": there, "d": elsewhere}


def test_a_folder_that_is_refused_fails_the_documents_alone(tmp_path: Path) -> None:
    """It is asked for once in a run; what needs none goes on, and the next run makes it."""
    refusal = Answer(403, {"detail": {"status": "missing_permissions", "message": "no folders"}})
    server = Server(api=LIVE, refuse=given("folder.create", 1, answer=refusal))
    job = Job(tmp_path, [*LINES, {"op": "agent.create", "body": AGENT}], LIVE, stamps=FOLDER)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 1, "failed": 3}
    assert server.heard["folder.create"] == 1
    error = job.rows()[0]["error"]
    assert "the folder for the documents of the run cannot be had: " in error["message"]
    assert error["http_status"] == 403
    run_jumping(lambda: job.run(server, Selection(failed=True)))
    assert job.states() == ["done"] * 4


def test_a_folder_that_is_there_twice_is_taken_once(tmp_path: Path) -> None:
    """Somebody on the way has carried the request out twice: either folder is ours, and the older one is taken."""
    server = Server(api=LIVE, after=given("folder.create", 1))

    def twice(request: Request) -> None:
        if request.endpoint == "folder.create":
            server.world.add_document(request.body["name"], 0, "", now=-1.0, kind="twice", type="folder")

    server.before_effect = twice
    job = Job(tmp_path, LINES, LIVE, stamps=FOLDER)
    assert counts(run_jumping(lambda: job.run(server))) == {"done": 3}
    [older] = [effect.id for effect in server.world.effects if effect.kind == "twice"]
    assert set(places(server).values()) == {older}
