"""The plan against what happened, with real commands and a real server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.e2e.e2e_commands import agents, interrupt, run_folder, summary, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk


def plan_of(desk: Desk, job: object, *words: object) -> dict[str, Any]:
    """Return the plan of a job."""
    (told,) = desk.bulkops("plan", job, "--json", *words).rows
    found: dict[str, Any] = told
    return found


def test_a_run_takes_as_long_as_its_plan_said(desk_at: Callable[..., Desk]) -> None:
    """300 requests at 100 in 2 seconds take what the plan says to within ten percent, and nobody talks of it."""
    desk = desk_at(limit=100, period=2.0)
    job = desk.job(agents(300))
    planned = plan_of(desk, job, "--rate", "100/2s")
    ended = desk.run(job, "--rate", "100/2s")
    assert ended.code == 0, ended.err
    told = summary(job)["plan"]
    assert told["operations"] == {"expected": 300, "happened": 300}
    assert told["requests"] == {"expected": 300, "happened": 300, "by_class": {"work": 300}}
    assert told["seconds"]["expected"] > 0.9 * planned["seconds"]
    assert 0.8 < told["seconds"]["ratio"] < 1.25
    assert "plan:" not in ended.err


def test_a_run_whose_plan_was_off_says_why(desk_at: Callable[..., Desk]) -> None:
    """A server that lets only half as many through as the plan thought makes a line with the reason."""
    desk = desk_at(limit=100, period=2.0)
    job = desk.job(agents(300))
    ended = desk.run(job, "--rate", "400/2s")
    assert ended.code == 0, ended.err
    told = summary(job)["plan"]
    assert told["seconds"]["ratio"] > 1.5
    assert told["reasons"][0] == "the limit was 100 per 2 s, not 400"
    (line,) = [line for line in ended.err.splitlines() if line.startswith("plan:")]
    assert told["reasons"][0] in line


def test_the_plan_of_a_half_done_job_is_of_the_rest(desk_at: Callable[..., Desk]) -> None:
    """After a run was interrupted the plan counts and foresees what is left, and the next run is held against that."""
    desk = desk_at(limit=100, period=2.0)
    job = desk.job(agents(300))
    with desk.start("run", job, *desk.target, "--rate", "100/2s") as process:
        until(lambda: len(desk.made()) > 150)
        interrupt(process)
    cut = summary(job)
    assert cut["plan"]["seconds"]["ratio"] is None
    left = cut["operations"]["not_started"]
    planned = plan_of(desk, job, "--rate", "100/2s")
    assert planned["requests"] == left
    desk.run(job, "--rate", "100/2s")
    told = summary(job)["plan"]
    assert told["operations"] == {"expected": left, "happened": left}
    events = (run_folder(job) / "events.jsonl").read_text("utf-8").splitlines()
    begins = [event for event in map(json.loads, events) if event["type"] == "run_started"]
    assert [begin["plan"]["requests"] for begin in begins] == [300, left]


def test_programs_are_told_what_is_wrong_with_a_job(desk: Desk) -> None:
    """A plan for programs of a job that cannot be run lists each problem with its place, beside the telling of it."""
    job = desk.job([{"op": "agent.gt"}, {"op": "agent.get"}])
    ended = desk.bulkops("plan", job, "--json")
    assert ended.code == 2
    [told] = ended.rows
    places = [(one["file"], one["line"], one["field"]) for one in told["problems"]]
    assert places == [(str(job), 1, "op"), (str(job), 2, "agent_id")]
    assert all(one["message"] in ended.err for one in told["problems"])
