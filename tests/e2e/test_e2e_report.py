"""The report of real runs, and the metrics they leave."""

from __future__ import annotations

import json
import re
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.e2e_commands import KEY, agent, agents, interrupt, run_folder, summary, table, until
from tests.reporting.metrics_samples import samples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk


def report_of(desk: Desk, job: Path) -> str:
    """Return the text of a job's report, as it was written."""
    ended = desk.bulkops("report", job)
    assert (ended.code, ended.err) == (0, "")
    path = run_folder(job) / "report.html"
    assert ended.out == f"{path}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path.read_text("utf-8")


def plain(text: str) -> str:
    """Return the words of a page."""
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", text, flags=re.DOTALL).split())


def test_a_report_of_a_run(desk_at: Callable[..., Desk]) -> None:
    """The report says what the last line said, counts, limit, refusals, failures with help, and how to go on."""
    refused = {"endpoint": "agent.create", "nth": 3, "fault": "429", "retry_after": 1}
    desk = desk_at([refused], index_time=2.0, time_scale=20)
    missing = {"op": "agent.get", "id": "g", "agent_id": "agent_nope"}
    upload = {"op": "document.upload", "id": "d", "file": "a.txt", "index": {"model": "m"}}
    (desk.folder / "a.txt").write_text("x" * 600)
    job = desk.job([*agents(12), missing, upload])
    ended = desk.run(job, "--time-scale", 20)
    assert ended.code == 3
    words = plain(report_of(desk, job))
    assert ended.last.partition(" Continue")[0] in words
    assert summary(job)["next"] in words
    assert "source: flag" in words
    assert "1 answer 429" in words
    assert "It names something that is not in this account (any more)." in words
    assert "Time until an index was ready" in words
    assert KEY not in words


def test_a_report_while_it_runs_and_after_a_kill(desk_at: Callable[..., Desk]) -> None:
    """A report can be written while a run goes on, after it was killed, and after the one that finished it."""
    desk = desk_at(latency=0.05)
    job = desk.job(agents(300))
    with desk.start("run", job, *desk.target, "-j", 2) as process:
        until(lambda: (run_folder(job) / "events.jsonl").exists() and desk.sent > 60)
        assert "so far; running since" in plain(report_of(desk, job))
        interrupt(process, signal.SIGKILL)
    cut = plain(report_of(desk, job))
    assert "was cut off without a last word" in cut
    assert f"Continue: bulkops run {job}" in cut
    assert desk.run(job, "--settle", "1s").code in {0, 6}
    whole = plain(report_of(desk, job))
    assert "in 2 runs" in whole
    assert "no last word" in whole
    assert "Dotted: the time between two runs is cut out." in whole


def test_a_folder_without_events_has_a_report(desk: Desk) -> None:
    """Without the events there is what the checkpoint knows; a job that was never run is told as such."""
    job = desk.job(agents(2))
    never = desk.bulkops("report", job)
    assert never.code == 2
    assert "was not run yet" in never.err
    desk.run(job)
    (run_folder(job) / "events.jsonl").unlink()
    assert "done 2 of 2; no run has told of itself in this folder." in plain(report_of(desk, job))


def test_a_report_elsewhere(desk: Desk) -> None:
    """`--out` names another file; a folder that is not there is told."""
    job = desk.job(agents(1))
    desk.run(job)
    assert desk.bulkops("report", job, "--out", "here.html").out == "here.html\n"
    assert "</html>" in (desk.folder / "here.html").read_text()
    wrong = desk.bulkops("report", job, "--out", "nowhere/here.html")
    assert wrong.code == 2
    assert "there is no folder" in wrong.err


def test_without_the_extra_the_install_command_is_named(desk: Desk) -> None:
    """Where the packages of the report are missing, the command that installs them is named."""
    job = desk.job(agents(1))
    desk.run(job)
    code = (
        "import sys\n"
        "sys.modules['vl_convert'] = None\n"
        "from bulkops.cli import main\n"
        f"sys.exit(main(['report', {str(job)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=desk.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "python -m pip install 'bulkops[report]'" in done.stderr


def test_the_plan_is_told_at_the_begin(desk: Desk) -> None:
    """The events keep what the plan said, so that it can be held against what came of it."""
    job = desk.job(agents(3))
    desk.run(job)
    begin, *samples, end = [e for e in table(run_folder(job) / "events.jsonl") if e["type"] != "retry"]
    assert 0 < begin["plan"].pop("seconds") < 2
    assert begin["plan"] == {"requests": 3, "polls": 0, "bytes": 0}
    assert begin["by_kind"] == {"agent.create": 3}
    assert {sample["type"] for sample in samples} == {"sample"}
    assert sum(sample.get("sent", {}).get("work", 0) for sample in samples) == 3
    assert end["told"].startswith("done 3 of 3")


def test_the_plan_is_told_with_what_a_reserve_leaves(desk: Desk) -> None:
    """With a reserve the planned time is that of `plan`, at the part that is left."""
    job = desk.job(agents(30))
    words = (*desk.target[:2], "--rate", "100/3s", "--reserve", "80%")
    planned = json.loads(desk.bulkops("plan", job, *words, "--json").out)
    assert desk.bulkops("run", job, *words).code == 0
    begin = table(run_folder(job) / "events.jsonl")[0]
    assert begin["plan"]["seconds"] == pytest.approx(planned["seconds"], abs=0.1)
    assert begin["plan"]["seconds"] > 4


def test_limit_and_pauses_are_summed_up(desk_at: Callable[..., Desk]) -> None:
    """The summary and the line above the results tell limit, its source, the used share, pauses and why."""
    desk = desk_at([{"nth": 2, "fault": "429", "retry_after": 1}])
    job = desk.job(agents(5))
    ended = desk.run(job)
    told = summary(job)
    assert told["limit"] | {"used": 0} == {
        "requests": 1_000_000,
        "seconds": 60.0,
        "source": "flag",
        "used": 0,
        "others": 0,
    }
    assert 0 <= told["limit"]["used"] <= 1
    assert told["pauses"]["count"] == 1
    assert told["pauses"]["seconds"] >= 1
    assert told["pauses"]["reasons"] == {"429": 1}
    line = next(line for line in ended.err.splitlines() if line.startswith("limit:"))
    assert re.fullmatch(
        r"limit: 1,000,000 per min \(flag\), 0 % used; 1 pause of \d+ s in all \(1 after 429\)", line
    )


def test_a_limit_that_was_cut_is_used_by_what_it_allowed(desk_at: Callable[..., Desk]) -> None:
    """The used share counts each part of the run at the limit of its time, not all of it at the last one."""
    desk = desk_at(limit=200, period=2.0)
    assert desk.server is not None
    job = desk.job(agents(350))
    with desk.start("run", job, *desk.target[:2], "--rate", "200/2s") as process:
        until(lambda: desk.sent >= 250)
        desk.server.change_limit(50)
        assert process.wait(60) == 0
    told = summary(job)
    assert told["limit"]["requests"] == 50
    assert told["requests"]["sent"] > 1.3 * 50 * told["seconds"] / 2
    assert 0.7 <= told["limit"]["used"] < 1


def test_others_on_the_key_are_told(desk_at: Callable[..., Desk]) -> None:
    """What others were seen to use stands in the last lines, in the summary, in the samples and on the page."""
    desk = desk_at(limit=100, period=2.0, foreign=0.4)
    job = desk.job(agents(300))
    ended = desk.bulkops("run", job, *desk.target[:2], "--rate", "100/2s")
    assert ended.code == 0, ended.err
    others = summary(job)["limit"]["others"]
    assert 20 <= others <= 80
    assert f"others up to {others}" in ended.err
    samples = [event for event in table(run_folder(job) / "events.jsonl") if event["type"] == "sample"]
    assert max(sample["others"] for sample in samples) == others
    assert f"others on the key {others} per 2 s" in plain(report_of(desk, job))


@pytest.mark.parametrize("failing", [False, True])
def test_metrics_of_a_run(desk: Desk, *, failing: bool) -> None:
    """`--metrics` leaves a file that the official parser reads, that others may read too, without secrets."""
    job = desk.job([*agents(4), *([{"op": "agent.get", "agent_id": "agent_nope"}] if failing else [])])
    ended = desk.run(job, "--metrics", "bulkops.prom")
    path = desk.folder / "bulkops.prom"
    found = samples(path.read_bytes(), job=str(job))
    assert found["bulkops_exit_code", ()] == ended.code == (3 if failing else 0)
    assert found["bulkops_requests_total", (("class", "work"),)] == 4 + failing
    assert stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444
    assert KEY not in path.read_text("utf-8")
    assert sorted(each.name for each in desk.folder.glob("*bulkops*")) == ["bulkops.prom"]


def test_metrics_that_cannot_be_written(desk: Desk) -> None:
    """A metrics file in a folder that is not there is told before anything is sent."""
    ended = desk.run(desk.job([agent(0)]), "--metrics", "nowhere/bulkops.prom")
    assert ended.code == 2
    assert "nowhere/bulkops.prom" in ended.err
    assert desk.sent == 0


def test_samples_are_no_lines_of_the_log(desk: Desk) -> None:
    """The log for people has no samples; the events have one at least."""
    job = desk.job(agents(2))
    desk.run(job, "--log-file", "log")
    assert " sample " not in (desk.folder / "log").read_text()
    assert any(event["type"] == "sample" for event in table(run_folder(job) / "events.jsonl"))
