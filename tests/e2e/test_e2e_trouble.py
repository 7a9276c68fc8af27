"""What goes wrong around a run: the server, the disk, the network. Each has its code and loses nothing."""

from __future__ import annotations

import resource
import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.e2e_commands import (
    FAST,
    agent,
    agents,
    check_ending,
    results,
    run_folder,
    states,
    summary,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk


def test_a_server_that_is_down(desk: Desk) -> None:
    """A server out of reach is waited for, then the run ends with 7: nothing failed, and a later run completes."""
    job = desk.job(agents(3))
    ended = desk.bulkops("run", job, "--base-url", "http://127.0.0.1:9/v1", *FAST, "--give-up-after", "0.3")
    assert ended.code == 7, ended.err
    assert check_ending(job, ended)["operations"]["not_started"] == 3
    assert "could not be reached" in ended.last
    assert "the server cannot be reached, trying again: " in ended.err
    assert f"Continue: bulkops run {job}" in ended.last
    # Nothing came of it, so the folder is still free for the right server.
    later = desk.run(job)
    assert later.code == 0, later.err
    assert len(desk.effects()) == 3


def test_a_server_that_goes_away(desk_at: Callable[..., Desk]) -> None:
    """Connections that are reset before the request is read are no failure: the create is in doubt at most."""
    desk = desk_at(faults=[{"times": [2, 3], "fault": "reset_early"}])
    job = desk.job(agents(4))
    ended = desk.run(job, "-j", 1, "--time-scale", 20)
    counts = check_ending(job, ended)["operations"]
    assert counts["failed"] == counts["not_started"] == 0
    assert counts["done"] + counts["in_doubt"] == 4


def test_a_wrong_key(desk_at: Callable[..., Desk]) -> None:
    """A refused key ends the run with 4, the rest stays pending, and with the right key it completes."""
    desk = desk_at(keys=("the-right-key",))
    job = desk.job(agents(20))
    ended = desk.run(job, "-j", 2)
    assert ended.code == 4, ended.err
    assert check_ending(job, ended)["operations"]["not_started"] == 20
    assert "refuses the key" in ended.last
    assert desk.sent <= 2
    later = desk.run(job, env={"ELEVENLABS_API_KEY": "the-right-key"})
    assert later.code == 0, later.err
    assert len(desk.effects()) == 20


def test_a_key_that_may_nothing(desk_at: Callable[..., Desk]) -> None:
    """When the first ten answers are all 403 it is the key: exit 4, and no line has failed."""
    desk = desk_at(faults=[{"times": [1, 10], "fault": "error_before", "status": 403}])
    job = desk.job(agents(20))
    ended = desk.run(job, "-j", 1)
    assert ended.code == 4, ended.err
    counts = check_ending(job, ended)["operations"]
    assert (counts["failed"], counts["not_started"]) == (0, 20)
    later = desk.run(job)
    assert later.code == 0, later.err
    assert len(desk.effects()) == 20


def test_a_line_that_may_not(desk: Desk) -> None:
    """A single 403 fails its line only."""
    desk.run(desk.job(agents(1), "theirs.jsonl"), env={"ELEVENLABS_API_KEY": "somebody-else"})
    theirs = desk.effects()[0].id
    job = desk.job([agent(0), {"op": "agent.get", "id": "g", "agent_id": theirs}])
    ended = desk.run(job, "-j", 1)
    assert ended.code == 3
    assert states(job) == {"a0": "done", "g": "failed"}
    assert "HTTP 403" in ended.err


@pytest.mark.parametrize("fault", ["not_json", "cut", "huge"])
def test_answers_that_cannot_be_used(desk_at: Callable[..., Desk], fault: str) -> None:
    """A read whose answers are not JSON, cut or huge fails with the reason, and the others are done."""
    desk = desk_at(
        faults=[
            {"endpoint": "agent.get", "fault": fault, "bytes": 2**25}
            if fault == "huge"
            else {"endpoint": "agent.get", "fault": fault}
        ]
    )
    job = desk.job([agent(0), {"op": "agent.get", "id": "g", "agent_id": "${ref:a0#agent_id}"}, agent(1)])
    ended = desk.run(job, "--time-scale", 500)
    assert ended.code == 3, ended.err
    check_ending(job, ended)
    assert states(job) == {"a0": "done", "g": "failed", "a1": "done"}
    assert "g failed: agent.get: " in ended.err
    assert "Traceback" not in ended.err


def test_ids_from_the_server_stay_inside(desk: Desk) -> None:
    """An id that another line's result gives never leaves the folder or the path: what is no id is refused."""
    job = desk.job(
        [
            {"op": "agent.create", "id": "a", "body": {"name": "../../x", "conversation_config": {}}},
            {"op": "agent.get", "id": "g", "agent_id": "${ref:a#agent_id}"},
            {"op": "conversation.export", "id": "e", "conversation_id": "${ref:g#name}"},
        ]
    )
    ended = desk.run(job)
    assert ended.code == 3, ended.err
    assert states(job) == {"a": "done", "g": "done", "e": "failed"}
    assert desk.sent == 2
    assert not list(desk.folder.parent.rglob("x.json"))


def test_halt_stops_the_run(desk: Desk) -> None:
    """--halt fail=3 ends the run with 5 after three failures, and the rest stays pending."""
    job = desk.job([{"op": "agent.get", "id": f"g{n}", "agent_id": "agent_nope"} for n in range(30)])
    ended = desk.run(job, "--halt", "fail=3", "-j", 1)
    assert ended.code == 5, ended.err
    counts = check_ending(job, ended)["operations"]
    assert (counts["failed"], counts["not_started"]) == (3, 27)
    assert "--halt" in ended.last
    assert f"Continue: bulkops run {job}" in ended.last


def test_no_more_requests_than_allowed(desk: Desk) -> None:
    """--max-requests 7 ends the run with 7 after as many requests at the server; the next run does the rest."""
    job = desk.job(agents(20))
    ended = desk.run(job, "--max-requests", 7)
    assert ended.code == 7, ended.err
    assert desk.sent == 7
    assert check_ending(job, ended)["operations"]["not_started"] == 13
    assert "--max-requests" in ended.last
    assert f"Continue: bulkops run {job}" in ended.last
    assert desk.run(job).code == 0
    assert len(desk.made()) == 20


def test_no_longer_than_allowed(desk: Desk) -> None:
    """--max-duration 1s ends a run at one request a second with 7; what was in flight is finished, nothing is lost."""
    job = desk.job(agents(50))
    ended = desk.run(job, "--max-duration", "1s", "--rate", "60/min")
    assert ended.code == 7, ended.err
    assert "Stopped: --max-duration is over: 1 s." in ended.last
    counts = check_ending(job, ended)["operations"]
    assert counts["done"] == len(desk.made()) > 0
    assert counts["in_doubt"] == 0


def test_on_error_halt(desk: Desk) -> None:
    """A line that says on_error: halt ends the run with 5 when it fails."""
    job = desk.job(
        [{"op": "agent.get", "id": "g", "agent_id": "agent_nope", "on_error": "halt"}, *agents(50)]
    )
    ended = desk.run(job, "-j", 1)
    assert ended.code == 5
    assert "g failed, and its line says on_error: halt" in ended.last
    assert check_ending(job, ended)["operations"]["not_started"] > 0
    assert desk.run(job).code == 3
    assert len(desk.effects()) == 50


def small_files(limit: int) -> Callable[[], None]:
    """Return what lets a process write files only so large, as a full disk would."""

    def set_limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return set_limit


def test_a_full_disk(desk: Desk) -> None:
    """A checkpoint that cannot grow ends the run with 74; what was in flight is rescued, and nothing is done twice."""
    job = desk.job(agents(800, meta={"note": "x" * 3000}))
    safe = desk.folder / "safe"
    safe.mkdir()
    ended = desk.run(job, "-j", 4, "--rescue", safe, preexec_fn=small_files(1_200_000))
    assert ended.code == 74, ended.err
    assert "Traceback" not in ended.err
    assert "space" in ended.last
    assert f"Continue: bulkops run {job} --base-url" in ended.last
    assert ended.last.endswith(f" --rate 1000000/min --jobs 4 --settle 2 --rescue {safe}")
    made = len(desk.effects())
    assert 0 < made < 800
    assert ended.last.startswith(f"done {made} of 800, not started {800 - made} in ")
    assert "(0 requests)" not in ended.last
    (saved,) = safe.iterdir()
    assert f" is in {saved}; " in ended.last
    later = desk.run(job, "--rescue", safe)
    assert later.code == 0, later.err
    assert check_ending(job, later)["operations"]["done"] == 800
    assert len(set(desk.made())) == len(desk.effects()) == 800
    assert list(safe.iterdir()) == []


def test_a_disk_that_is_full_from_the_start(desk: Desk) -> None:
    """Where not even the checkpoint can be made the run ends with 74 and sends nothing."""
    job = desk.job(agents(3))
    ended = desk.run(job, preexec_fn=small_files(0))
    assert ended.code == 74, ended.err
    assert "Traceback" not in ended.err
    assert desk.sent == 0
    assert desk.run(job).code == 0


def test_a_run_folder_of_another_server(desk_at: Callable[..., Desk]) -> None:
    """A run folder that belongs to another server is refused, so that no result is taken for another's."""
    desk = desk_at()
    job = desk.job(agents(2))
    desk.run(job)
    other = desk_at()
    refused = other.run(job)
    assert refused.code == 2
    assert "belongs to a run against" in refused.err
    assert "--run-dir" in refused.err
    assert other.sent == 0
    assert other.run(job, "--run-dir", "other.run").code == 0
    assert len(other.effects()) == 2


def test_a_run_folder_that_cannot_be_had(desk: Desk) -> None:
    """A run folder that cannot be made ends with 74 and the way out."""
    job = desk.job(agents(1))
    (desk.folder / "file").write_text("")
    ended = desk.run(job, "--run-dir", "file")
    assert ended.code == 74
    assert "--run-dir" in ended.last
    assert desk.sent == 0


def test_a_checkpoint_that_is_none(desk: Desk) -> None:
    """A file that is no checkpoint is never overwritten: exit 74, nothing sent."""
    job = desk.job(agents(1))
    run_folder(job).mkdir()
    (run_folder(job) / "checkpoint.db").write_bytes(b"not a database at all" * 100)
    ended = desk.run(job)
    assert ended.code == 74, ended.err
    assert "Traceback" not in ended.err
    assert desk.sent == 0
    assert (run_folder(job) / "checkpoint.db").read_bytes().startswith(b"not a database")


def test_log_files_that_cannot_be_written(desk: Desk) -> None:
    """A log file that cannot be written is a usage error, told before anything is sent."""
    ended = desk.run(desk.job(agents(1)), "--log-file", "nowhere/run.log")
    assert (ended.code, desk.sent) == (2, 0)
    assert "the log file nowhere/run.log cannot be written" in ended.err


def test_status_while_a_run_goes_on(desk_at: Callable[..., Desk]) -> None:
    """Status tells how far a run has come while it goes on, and how it ended after."""
    desk = desk_at(latency=0.05)
    job = desk.job(agents(60))
    none = desk.bulkops("status", job)
    assert (none.code, "was not run yet" in none.err) == (2, True)
    with desk.start("run", job, *desk.target, "-j", 2) as process:
        until(lambda: len(desk.effects()) > 10)
        during = desk.bulkops("status", job, "--json")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert during.code == 0, during.err
    (told,) = during.rows
    assert 5 <= told["ended"]["done"] < 60
    assert told["last_run"] is None
    after = desk.bulkops("status", job)
    assert f"done {summary(job)['operations']['done']}" in after.out
    assert "exit code 143" in after.out
    assert f"continue: bulkops run {job}" in after.out
    assert len(results(job)) == summary(job)["operations"]["done"]
