"""Running a job, and running it again."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from bulkops.api import REFERENCE
from bulkops.operations import KINDS
from tests.e2e.e2e_commands import (
    agent,
    agents,
    check_ending,
    heeding,
    interrupt,
    results,
    run_folder,
    states,
    table,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk


def every_kind(folder: Path) -> list[dict[str, Any]]:
    """Return a job of every kind, whose lines build on each other."""
    (folder / "book.md").write_text("# A book\n" * 100)
    of_a = {"agent_id": "${ref:a0#agent_id}"}
    return [
        agent(0),
        {"op": "agent.update", **of_a, "body": {"name": "Renamed"}},
        {"op": "agent.get", **of_a},
        {"op": "agent.list", "id": "all", "needs": ["a0"]},
        {"op": "agent.clone", "id": "copies", **of_a, "name": "Copy ${copy}", "copies": 3},
        {
            "op": "agent.simulate",
            **of_a,
            "body": {"scenario": "s", "user_messages": ["hi"], "success_criteria": ["greets"]},
        },
        {"op": "agent.delete", "needs": ["copies"], "agent_id": "${ref:copies[1]#agent_id}"},
        {"op": "conversation.create", "id": "call", "body": of_a},
        {"op": "conversation.get", "conversation_id": "${ref:call#conversation_id}"},
        {"op": "conversation.export", "conversation_id": "conv_seed_0001"},
        {"op": "document.upload", "file": "book.md", "index": {"model": "m"}},
        {"op": "document.upload", "id": "plain", "file": "book.md", "name": "Plain"},
        {
            "op": "document.index",
            "id": "ix",
            "document_id": "${ref:plain#document_id}",
            "model": "m",
        },
        {"op": "document.index_status", "needs": ["ix"], "document_id": "${ref:plain#document_id}"},
        {
            "op": "tool.create",
            "body": {"name": "T", "url": "https://example.com/x", "method": "POST"},
        },
    ]


def test_a_job_of_every_kind_is_done(desk: Desk) -> None:
    """A job with every kind that the reference has ends with exit code 0, and every kind is done."""
    job = desk.job(every_kind(desk.folder))
    ended = desk.run(job, "--yes")
    assert ended.code == 0, ended.err
    told = check_ending(job, ended)
    assert set(told["by_kind"]) == {
        op for op, kind in KINDS.items() if not any(REFERENCE.refuses(op, kind.example))
    }
    assert told["operations"]["done"] == 17
    assert {row["status"] for row in results(job)} == {"done"}


def test_a_finished_job_sends_nothing(desk: Desk) -> None:
    """A job that is done sends nothing when it is run or retried again, and ends with exit code 0."""
    job = desk.job(every_kind(desk.folder))
    desk.run(job, "--yes")
    sent = desk.sent
    before = (run_folder(job) / "results.jsonl").read_bytes()
    for again in (desk.run(job, "--yes"), desk.retry(job)):
        assert again.code == 0, again.err
        check_ending(job, again)
    assert desk.sent == sent
    assert (run_folder(job) / "results.jsonl").read_bytes() == before


def test_lines_that_are_appended_are_done(desk: Desk) -> None:
    """Lines appended to a job that is done are done by the next run, and nothing else is."""
    job = desk.job(agents(3))
    desk.run(job)
    desk.job(agents(5))
    assert desk.run(job).code == 0
    assert sorted(desk.made()) == [f"Agent {n}" for n in range(5)]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
def test_a_signal_finishes_what_is_in_flight(
    desk_at: Callable[..., Desk], number: signal.Signals, code: int
) -> None:
    """A signal lets the requests in flight finish; the same command continues, and all happens exactly once."""
    desk = desk_at(latency=0.05)
    job = desk.job(agents(80))
    with desk.start("run", job, *desk.target, "-j", 4, preexec_fn=heeding(number)) as process:
        until(lambda: len(desk.effects()) >= 20)
        ended = interrupt(process, number)
    assert ended.code == code, ended.err
    told = check_ending(job, ended)
    done = told["operations"]["done"]
    assert 20 <= done == len(desk.effects()) < 80
    assert told["operations"]["not_started"] == 80 - done
    assert desk.server is not None
    assert desk.server.requests.unanswered == 0
    assert f"interrupted by {number.name}" in ended.last
    again = desk.run(job)
    assert again.code == 0
    assert sorted(desk.made()) == sorted(f"Agent {n}" for n in range(80))
    check_ending(job, again)


def test_the_second_signal_aborts(desk_at: Callable[..., Desk]) -> None:
    """A second signal gives up the requests in flight: the next run asks what became of them, and does the rest."""
    desk = desk_at(faults=[{"times": [5, 8], "fault": "silent"}])
    job = desk.job(agents(12))
    with desk.start("run", job, *desk.target, "-j", 4) as process:
        until(lambda: desk.sent >= 8)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        until(lambda: "again to abort" in process.stderr.readline())  # type: ignore[union-attr]
        ended = interrupt(process)
    assert ended.code == 130, ended.err
    counts = check_ending(job, ended)["operations"]
    assert (counts["done"], counts["in_doubt"], counts["not_started"]) == (4, 4, 4)
    again = desk.run(job)
    assert again.code == 0, again.err
    assert check_ending(job, again)["operations"]["done"] == 12
    assert sorted(desk.made()) == sorted(f"Agent {n}" for n in range(12))


def test_the_second_signal_aborts_a_run_that_was_ending_already(desk_at: Callable[..., Desk]) -> None:
    """Whatever has stopped it: the first signal says so, and the second ends the wait for the requests in flight."""
    desk = desk_at(faults=[{"endpoint": "agent.create", "nth": 1, "fault": "silent"}])
    halting = {"op": "agent.get", "id": "g", "agent_id": "agent_nope", "on_error": "halt"}
    job = desk.job([*agents(1), halting])
    with desk.start("run", job, *desk.target, "--drain", 50) as process:
        assert process.stderr is not None
        until(lambda: "g failed" in process.stderr.readline())  # type: ignore[union-attr]
        process.send_signal(signal.SIGINT)
        until(lambda: "again to abort" in process.stderr.readline())  # type: ignore[union-attr]
        ended = interrupt(process)
    assert "aborting" in ended.err
    assert check_ending(job, ended)["operations"]["in_doubt"] == 1


def test_drain_bounds_the_wait(desk_at: Callable[..., Desk]) -> None:
    """After a signal the requests in flight have the time that --drain gives, not more."""
    desk = desk_at(faults=[{"fault": "silent"}])
    job = desk.job(agents(2))
    with desk.start("run", job, *desk.target, "--drain", "0.2") as process:
        until(lambda: desk.sent >= 2)
        ended = interrupt(process)
    assert ended.code == 130
    assert check_ending(job, ended)["operations"]["in_doubt"] == 2


def test_documents_are_indexed_while_others_are_uploaded(desk_at: Callable[..., Desk]) -> None:
    """Uploads go on while indexes are computed: the first index is asked for long before the last upload."""
    desk = desk_at(index_time=1.0, latency=0.01)
    folder = desk.folder / "docs"
    folder.mkdir()
    lines = []
    for number in range(40):
        (folder / f"{number}.txt").write_text(f"text {number}\n" * 50)
        lines.append({"op": "document.upload", "file": f"docs/{number}.txt", "index": {"model": "m"}})
    job = desk.job(lines)
    ended = desk.run(job, "-j", 4)
    assert ended.code == 0, ended.err
    kinds = [effect.kind for effect in desk.effects()]
    assert kinds.count("document.upload") == kinds.count("document.index") == 40
    assert kinds.index("document.index") < 10
    assert "document.upload" in kinds[40:]
    told = check_ending(job, ended)
    # All waited at the same time: one after the other, 40 indexes would take 40 seconds.
    assert told["seconds"] < 10
    assert told["requests"]["polls"] > 0


def test_a_later_run_goes_on_waiting(desk_at: Callable[..., Desk]) -> None:
    """A run stopped while indexes are computed is continued without uploading or computing again."""
    desk = desk_at(index_time=2.0)
    (desk.folder / "a.txt").write_text("some text\n" * 50)
    lines = [
        {"op": "document.upload", "id": f"d{n}", "file": "a.txt", "name": f"D{n}", "index": {"model": "m"}}
        for n in range(40)
    ]
    job = desk.job(lines)
    with desk.start("run", job, *desk.target) as process:
        until(lambda: len(desk.effects("document.index")) == 40)
        ended = interrupt(process)
    assert ended.code == 130
    assert check_ending(job, ended)["operations"]["not_started"] == 40
    again = desk.run(job)
    assert again.code == 0, again.err
    assert check_ending(job, again)["operations"]["done"] == 40
    assert len(desk.effects()) == 80
    assert {row["result"]["status"] for row in results(job)} == {"ready"}


def test_an_index_that_fails_is_told(desk: Desk) -> None:
    """A document whose index fails is failed with the API's reason, and people are told."""
    (desk.folder / "unindexable.txt").write_text("x" * 600)
    job = desk.job([{"op": "document.upload", "id": "d", "file": "unindexable.txt", "index": {"model": "m"}}])
    ended = desk.run(job)
    assert ended.code == 3
    assert "no text to index" in results(job)[0]["error"]["message"]
    assert "d failed: the index of doc_" in ended.err


def test_failed_checks_end_with_8(desk: Desk) -> None:
    """A simulation whose criterion fails is done, its check is not, and the exit code is 8."""
    body = {"scenario": "s", "user_messages": ["hi"], "success_criteria": ["has to fail"]}
    job = desk.job([agent(0), {"op": "agent.simulate", "agent_id": "${ref:a0#agent_id}", "body": body}])
    ended = desk.run(job)
    assert ended.code == 8
    assert "checks failed 1" in ended.last
    assert check_ending(job, ended)["checks"] == {"passed": 0, "failed": 1}


def test_blocked_lines_name_their_cause(desk: Desk) -> None:
    """A line that needs a failed one is blocked, says why, and is done when the other one is mended."""
    job = desk.job([agent(0, body={"name": "", "conversation_config": {}}), agent(1, needs=["a0"])])
    ended = desk.run(job)
    assert ended.code == 3
    check_ending(job, ended)
    assert states(job) == {"a0": "failed", "a1": "blocked"}
    assert "a0" in results(job)[1]["error"]["message"]
    desk.job([agent(0), agent(1, needs=["a0"])])
    assert desk.retry(job).code == 0
    assert desk.made() == ["Agent 0", "Agent 1"]


def test_a_429_pauses_and_nothing_is_lost(desk_at: Callable[..., Desk]) -> None:
    """Answers 429 only delay a run: everything happens once, and the run says that it paused."""
    desk = desk_at(faults=[{"nth": 5, "fault": "429", "retry_after": 1}])
    job = desk.job(agents(20))
    ended = desk.run(job)
    assert ended.code == 0
    assert len(desk.effects()) == 20
    assert check_ending(job, ended)["pauses"]["count"] == 1
    assert any(event["type"] == "paused" for event in table(run_folder(job) / "events.jsonl"))


def test_done_lines_that_are_gone_stop_the_run(desk: Desk) -> None:
    """A done line that is not in the job any more refuses the run with a list, until --changed says what to do."""
    job = desk.job(agents(3))
    desk.run(job)
    desk.job([agent(0), agent(1), agent(3)])
    sent = desk.sent
    refused = desk.run(job)
    assert refused.code == 2
    assert "line 3 (a2) was done" in refused.err
    assert "--changed" in refused.err
    assert desk.sent == sent
    kept = desk.run(job, "--changed", "keep")
    assert kept.code == 0, kept.err
    assert sorted(desk.made()) == ["Agent 0", "Agent 1", "Agent 2", "Agent 3"]
