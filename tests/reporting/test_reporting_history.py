from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from bulkops.reporting.events import EventLog
from bulkops.reporting.history import MOST_RUNS, read_history

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.model import Json


class Clock:
    """A clock that is set."""

    now = 1_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def told(path: Path, clock: Clock) -> EventLog:
    """Return a log on a clock."""
    return EventLog(path, redact=lambda text: text, secret_fields=frozenset(), now=clock)


def one_run(path: Path, clock: Clock, *, finish: bool = True) -> None:
    """Write the events of a run of ten seconds."""
    with told(path, clock) as log:
        log.note("run_started", job="job.jsonl", operations=3)
        for _ in range(10):
            clock.now += 1
            log.note(
                "sample",
                seconds=1.0,
                limit=100,
                period=60.0,
                source="flag",
                peak=7,
                sent={"work": 2, "poll": 1},
            )
        log.note("paused", account="default", seconds=4.0, reason="429")
        clock.now += 1
        log.note("lengthened", account="default", seconds=9.0, reason="429")
        log.note("retry", endpoint="agent.get", seconds=1, reason="HTTP 500")
        if finish:
            log.note("run_finished", exit_code=0, seconds=11.5, requests=30, told="done")


def test_a_run_is_read_back(tmp_path: Path) -> None:
    """Begin, samples, pauses with their whole length, retries and end of a run are found."""
    path, clock = tmp_path / "events.jsonl", Clock()
    one_run(path, clock)
    [run] = read_history(path)
    assert (run.started, run.seconds, run.retries) == (1_000.0, 11.5, 1)
    assert run.ending is not None
    assert [(sample.begin, sample.end) for sample in run.samples][:2] == [(0.0, 1.0), (1.0, 2.0)]
    assert run.total().sent == {"work": 20, "poll": 10}
    [pause] = run.pauses
    assert (pause.begin, pause.end, pause.reason) == (10.0, 20.0, "429")


def test_a_run_that_was_cut_off_lasted_until_it_was_last_heard_of(tmp_path: Path) -> None:
    """Without a last word, a run ends where its last event is; the next one begins anew."""
    path, clock = tmp_path / "events.jsonl", Clock()
    one_run(path, clock, finish=False)
    clock.now += 3_600
    one_run(path, clock)
    first, second = read_history(path)
    assert (first.ending, first.seconds) == (None, 11.0)
    assert second.started == 1_000.0 + 11 + 3_600


def test_torn_and_strange_lines_are_passed_over(tmp_path: Path) -> None:
    """What a crash cut short, or another version wrote in another shape, does not spoil the rest."""
    path, clock = tmp_path / "events.jsonl", Clock()
    strange: list[Json] = [
        {
            "type": "sample",
            "at": "1970-01-01T00:16:41Z",
            "limit": "x",
            "peak": None,
            "seconds": "y",
            "sent": 3,
        },
        {"type": "paused", "at": "1970-01-01T00:16:41Z"},
        {"type": "sample", "at": 3},
        {"type": "sample"},
        {"type": "something new", "at": "1970-01-01T00:16:41Z"},
    ]
    path.write_bytes(b'{"type":"sample","at":"1970-01-01T00:16:41Z"}\n{"type":"run_sta\n\xff\xfe\n[]\n')
    one_run(path, clock)
    with path.open("ab") as file:
        file.writelines(orjson.dumps(event) + b"\n" for event in strange)
        file.write(b'{"type":"sam')
    [run] = read_history(path)
    assert len(run.samples) == 11
    assert run.total().sent == {"work": 20, "poll": 10}


def test_without_events_there_are_no_runs(tmp_path: Path) -> None:
    """A folder without events, or with an empty file of them, has no runs."""
    assert read_history(tmp_path / "events.jsonl") == []
    (tmp_path / "events.jsonl").touch()
    assert read_history(tmp_path / "events.jsonl") == []


def test_samples_are_kept_of_the_latest_runs_only(tmp_path: Path) -> None:
    """However often a job is run, only the latest runs keep their samples; all are known."""
    path, clock = tmp_path / "events.jsonl", Clock()
    for _ in range(MOST_RUNS + 5):
        one_run(path, clock)
    runs = read_history(path)
    assert len(runs) == MOST_RUNS + 5
    assert [bool(run.samples) for run in runs] == [False] * 5 + [True] * MOST_RUNS
