"""What a reviewer broke once: edits, aborts and part-runs that lost or repeated work unseen."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any

from tests.e2e.e2e_commands import agent, end_of, run_folder, states, table, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk


def test_a_job_file_that_changes_while_it_runs_stops_the_run(desk_at: Callable[..., Desk]) -> None:
    """A line inserted during a run stops it with 7; the next run does what is left, and nothing twice."""
    desk = desk_at(latency=0.002)
    lines = [agent(number) for number in range(3000)]
    job = desk.job(lines)
    with desk.start("run", job, *desk.target) as running:
        until(lambda: len(desk.made()) > 50)
        text = job.read_text()
        with job.open("w") as file:
            file.write(json.dumps(agent(9000)) + "\n" + text)
        ended = end_of(running)
    assert ended.code == 7, ended.err
    assert "changed while it ran" in ended.err

    assert desk.run(job).code == 0
    assert sorted(desk.made()) == sorted({f"Agent {number}" for number in [*range(3000), 9000]})


def test_an_edited_line_under_way_is_told(desk_at: Callable[..., Desk]) -> None:
    """A line without an id that is edited after its create was killed in flight is not done as if new."""
    desk = desk_at([{"endpoint": "agent.create", "fault": "silent", "seconds": 60}])
    line: dict[str, Any] = {key: value for key, value in agent(0).items() if key != "id"}
    job = desk.job([line])
    with desk.start("run", job, *desk.target) as running:
        until(lambda: desk.sent > 0)
        running.kill()
    job.write_text(json.dumps({**line, "meta": {"edited": True}}) + "\n")

    refused = desk.run(job)
    assert refused.code == 2
    assert "agent.create that is in doubt" in refused.err
    assert "--changed keep" in refused.err


def test_a_stopped_run_of_failed_lines_keeps_the_corrections(desk: Desk) -> None:
    """When failed.jsonl is run and the server is away, what was corrected there is still there."""
    job = desk.job([{"op": "agent.get", "id": "g", "agent_id": "agent_wrong"}])
    assert desk.run(job).code == 3
    failed = run_folder(job) / "failed.jsonl"
    corrected = failed.read_text().replace("agent_wrong", "agent_seed_0001")
    failed.write_text(corrected)

    stopped = desk.run(failed, "--api-key-file", "/nowhere")
    assert stopped.code == 2
    assert failed.read_text() == corrected
    assert desk.run(failed).code == 0
    assert states(job) == {"g": "done"}


def test_other_lines_that_go_missing_are_told_again(desk: Desk) -> None:
    """`--changed keep` holds for the lines that were missing then, and for no others."""
    job = desk.job([agent(0), agent(1)])
    assert desk.run(job).code == 0
    desk.job([agent(1)])
    assert desk.run(job).code == 2
    assert desk.run(job, "--changed", "keep").code == 0
    assert desk.run(job).code == 0
    desk.job([agent(0), {**agent(1), "id": "renamed"}])
    assert desk.run(job).code == 2
    assert len(desk.made()) == 2


def test_a_key_that_the_server_echoes_is_hidden(desk: Desk) -> None:
    """A refusal that repeats the key in its message shows it neither on the terminal nor in a file."""
    key = "canary-that-could-be-an-id"
    job = desk.job([{"op": "agent.get", "id": "g", "agent_id": key}])
    ended = desk.run(job, env={"ELEVENLABS_API_KEY": key})
    assert ended.code == 3
    [row] = table(run_folder(job) / "results.jsonl")
    assert key not in ended.err
    assert key not in row["error"]["message"]


def test_an_aborted_run_counts_what_it_wrote(desk_at: Callable[..., Desk]) -> None:
    """After a second Ctrl-C the last line counts the rows of results.jsonl, and what may have arrived is in doubt."""
    desk = desk_at(latency=0.3)
    job = desk.job([agent(number) for number in range(400)])
    with desk.start("run", job, *desk.target, stdout=subprocess.DEVNULL) as running:
        assert running.stderr is not None
        until(lambda: len(desk.made()) > 20)
        running.send_signal(signal.SIGINT)
        while "finishing the requests in flight" not in running.stderr.readline():
            pass
        running.send_signal(signal.SIGINT)
        err = running.stderr.read()
    assert running.returncode == 130, err
    counted = list(states(job).values())
    summary = json.loads((run_folder(job) / "summary.json").read_text())["operations"]
    assert {name: counted.count(name) for name in ("done", "in_doubt")} == {
        "done": summary["done"],
        "in_doubt": summary["in_doubt"],
    }
    assert len(desk.made()) <= summary["done"] + summary["in_doubt"]
