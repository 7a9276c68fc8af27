"""Many that are awaited are looked at in one request, where the API has one that tells of many."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bulkops.api import LIVE, Tier
from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.emulator.answers import Answer
from bulkops.errors import Stop
from bulkops.pace.turns import Pace
from tests.engines.engine_bench import Job, Server, counts
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bulkops.model import Request
    from tests.engines.engine_bench import Run

ALONE, TOGETHER = "document.index_status", "document.index_batch"
MODELS = ("e5_mistral_7b", "multilingual_e5_large_instruct")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Return a job of a hundred and fifty documents that are indexed."""
    (tmp_path / "a.md").write_text("x" * 600)
    return Job(tmp_path, uploads(150), api=LIVE)


def uploads(number: int, models: Sequence[str] = MODELS[:1], **more: Any) -> list[dict[str, Any]]:
    """Return lines that upload and index documents."""
    return [
        {
            "op": "document.upload",
            "file": "a.md",
            "name": f"doc {n}",
            "index": {"model": models[n % len(models)]},
            **more,
        }
        for n in range(number)
    ]


def run(job: Job, server: Server, **settings: Any) -> Run:
    """Run a job to its end in virtual time."""
    return run_jumping(lambda: job.run(server, **settings))


def asked(server: Server) -> tuple[int, int]:
    """Return how many looks there were at one document, and at many."""
    return server.heard[ALONE], server.heard[TOGETHER]


@pytest.mark.parametrize("per_minute", [100, 500, None])
def test_a_thousand_documents_take_a_tenth_of_a_request_each(job: Job, per_minute: int | None) -> None:
    """A thousand documents take at most 0.1 requests each until all of them are known to be ready.

    Their indexes take lognormal times, median 20 s, sigma 0.6.
    """
    job.write(uploads(1000))
    server = Server(api=LIVE, index_time=None)
    tier = LIVE.tiers["open"] if per_minute is None else Tier("t", per_minute)

    async def work() -> Run:
        async with Pace({"default": tier}, headers=LIVE.rate_headers, in_flight=8) as pace:
            return await job.run(server, pace=pace)

    done = run_jumping(work)
    assert counts(done) == {"done": 1000}
    assert sum(asked(server)) == done.engine.looks <= 100


def bodies(server: Server) -> list[list[dict[str, Any]]]:
    """Keep what is asked in looks at many."""
    kept: list[list[dict[str, Any]]] = []

    def keep(request: Request) -> None:
        if request.endpoint == TOGETHER:
            kept.append(request.body["items"])

    server.before_effect = keep
    return kept


def answering(status: str) -> Callable[[Request, int], Answer | None]:
    """Return an answer to looks that tells this of every document."""

    def answer(request: Request, _number: int) -> Answer | None:
        if request.endpoint == ALONE:
            rows = [{"id": "i", "model": "e5_mistral_7b_instruct", "status": status}]
            return Answer(200, {"indexes": rows})
        if request.endpoint != TOGETHER:
            return None
        items = request.body["items"]
        return Answer(
            200,
            {
                item["document_id"]: {"status": "success", "data": {"model": item["model"], "status": status}}
                for item in items
            },
        )

    return answer


def test_a_look_at_many_is_at_a_hundred_of_one_model(job: Job) -> None:
    """No request asks about more than a hundred documents, about one twice, or about two models."""
    job.write(uploads(500, MODELS))
    server = Server(api=LIVE, latency=0.01, index_time=30.0)
    kept = bodies(server)
    assert counts(run(job, server, in_flight=16)) == {"done": 500}
    assert max(map(len, kept)) == 100
    assert all(len({item["model"] for item in items}) == 1 for items in kept)
    assert all(len({item["document_id"] for item in items}) == len(items) for items in kept)


def test_one_document_is_looked_at_by_itself(job: Job) -> None:
    """Where nothing else is awaited that is alike, a look is the plain one, and is taken soon."""
    job.write(uploads(1))
    server = Server(api=LIVE, index_time=20.0)
    assert counts(run(job, server)) == {"done": 1}
    assert asked(server)[1] == 0
    assert server.times[-1][0] < 30


def test_results_are_the_same_whichever_way_it_was_looked(job: Job) -> None:
    """A document that was looked at with others has the result of one that was looked at by itself."""
    alike = {"embedding_model", "status", "progress_percentage", "model", "document_model_index_usage"}
    many = Server(api=LIVE)
    run(job, many)
    (together,) = {repr({key: row["result"][key] for key in sorted(alike)}) for row in job.rows()}
    job.write(uploads(1))
    job.checkpoint = MemoryCheckpoint()
    run(job, Server(api=LIVE))
    assert repr({key: job.rows()[0]["result"][key] for key in sorted(alike)}) == together
    assert many.heard[TOGETHER] > 0


@pytest.mark.parametrize(
    "word", ["FAILED", "Rag_Limit_Exceeded", "document_too_small", "cannot_index_folder"]
)
def test_an_index_that_failed_is_known_from_a_look_at_many(job: Job, word: str) -> None:
    """Each of the words for what failed ends its line, however it is written."""
    server = Server(api=LIVE, after=answering(word))
    assert counts(run(job, server)) == {"failed": 150}
    assert {row["error"]["code"] for row in job.rows()} == {f"index_{word.lower()}"}
    assert asked(server)[0] < 10


@pytest.mark.parametrize("word", ["new", "created", "PROCESSING", "thinking"])
def test_what_has_not_settled_is_waited_out(job: Job, word: str) -> None:
    """What is under way, and a word that nobody knows, is looked at until the deadline, and is overdue then."""
    job.write(uploads(150, deadline="5m"))
    server = Server(api=LIVE, after=answering(word))
    assert counts(run(job, server)) == {"failed": 150}
    assert {row["error"]["code"] for row in job.rows()} == {"overdue"}
    assert {word.lower() in row["error"]["message"] for row in job.rows()} == {True}
    assert sum(asked(server)) < 150


def some_fail(request: Request, _number: int) -> Answer | None:
    """Tell nothing of every third document, that every other third failed to be found, and of the rest it is ready."""
    if request.endpoint != TOGETHER:
        return None
    ends: dict[str, Any] = {}
    for place, item in enumerate(request.body["items"]):
        if place % 3 == 0:
            index = {"id": "i", "model": item["model"], "status": "succeeded"}
            ends[item["document_id"]] = {"status": "success", "data": index}
        elif place % 3 == 1:
            ends[item["document_id"]] = {"status": "failure", "error_code": 404, "error_status": "not_found"}
    return Answer(200, ends)


@pytest.mark.parametrize(
    "after",
    [
        some_fail,
        lambda request, _: Answer(200, {}) if request.endpoint == TOGETHER else None,
        lambda request, _: Answer(200, {"doc": 7}) if request.endpoint == TOGETHER else None,
        lambda request, _: Answer(405, {"detail": "no"}) if request.endpoint == TOGETHER else None,
        lambda request, _: Answer(422, {"detail": []}) if request.endpoint == TOGETHER else None,
    ],
    ids=["some fail", "empty", "strange", "no such endpoint", "refused"],
)
def test_what_an_answer_does_not_tell_is_asked_one_by_one(job: Job, after: Any) -> None:
    """A document that no answer about many tells of is looked at by itself from then on, and is done like others."""
    server = Server(api=LIVE, after=after)
    kept = bodies(server)
    assert counts(run(job, server)) == {"done": 150}
    assert server.heard[ALONE] >= 90
    times = Counter(item["document_id"] for items in kept for item in items)
    assert max(times.values()) == 1


def test_a_lost_answer_about_many_is_harmless(job: Job) -> None:
    """A look at many whose answer is lost is asked again, and no index is begun by either."""
    server = Server(api=LIVE, index_time=40.0)
    lost = iter((500, 502, 503))
    server.after = lambda request, _: (
        Answer(status, {}) if request.endpoint == TOGETHER and (status := next(lost, 0)) else None
    )
    assert counts(run(job, server)) == {"done": 150}
    assert server.heard[ALONE] == 0
    assert server.heard["document.index"] == len(server.effects("document.index")) == 150


def test_an_index_that_is_gone_is_not_begun_by_a_look(job: Job) -> None:
    """What somebody deletes while it is awaited stays deleted: the lines are overdue, and nothing was computed anew."""
    job.write(uploads(150, deadline="5m"))
    server = Server(api=LIVE, index_time=100.0)

    def delete(request: Request) -> None:
        if request.endpoint == TOGETHER:
            shelf = server.world.documents
            shelf.update({name: replace(document, indexes={}) for name, document in shelf.items()})

    server.before_effect = delete
    assert counts(run(job, server)) == {"failed": 150}
    assert {row["error"]["code"] for row in job.rows()} == {"overdue"}
    assert not any(document.indexes for document in server.world.documents.values())
    assert len(server.effects("document.index")) == 150


def test_after_a_kill_everything_that_waits_is_looked_at_together(job: Job) -> None:
    """A run that goes on computes no index again, and asks about all of them in a few requests."""
    server = Server(api=LIVE, index_time=60.0)

    async def both() -> Run:
        await job.run_until_killed(server, 30.0)
        server.heard.clear()
        return await job.run(server)

    assert counts(run_jumping(both)) == {"done": 150}
    assert server.heard["document.index"] == 0
    assert sum(asked(server)) < 15


def test_looks_at_many_stay_within_the_share_of_looks(job: Job) -> None:
    """While uploads wait, requests for looks take no more of the turns than looks may."""
    server = Server(api=LIVE, index_time=20.0)

    async def work() -> Run:
        async with Pace({"default": Tier("t", 100)}, headers=LIVE.rate_headers) as pace:
            return await job.run(server, pace=pace)

    assert counts(run_jumping(work)) == {"done": 150}
    last = max(at for at, endpoint, _ in server.times if endpoint == "document.index")
    meanwhile = sum(at < last for at, endpoint, _ in server.times if endpoint in (ALONE, TOGETHER))
    assert meanwhile <= 0.05 * 300


def test_a_stopped_run_takes_its_looks_back(job: Job) -> None:
    """A run that is stopped during a look at many leaves all of them to be awaited by the next."""
    server = Server(api=LIVE, latency=4.0, index_time=1.0)
    run_jumping(lambda: job.run(server, stop_after=60.0, reason=Stop("enough"), in_flight=64))
    assert counts(run(job, server)) == {"done": 150}
    assert len(server.effects("document.index")) == 150
