"""What people see while a run goes on, and at its end."""

from __future__ import annotations

import os
import pty
import re
import select
from typing import TYPE_CHECKING

from tests.e2e.e2e_commands import agent, agents, check_ending, results, summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk


def on_a_terminal(desk: Desk, *words: object) -> tuple[int, str]:
    """Run a command whose stderr is a terminal; return its exit code and what the terminal was sent."""
    ours, theirs = pty.openpty()
    seen = b""
    with desk.start(*words, stderr=theirs) as process:
        os.close(theirs)
        while True:
            select.select([ours], [], [], 30)
            try:
                piece = os.read(ours, 65_536)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            seen += piece
        process.communicate(timeout=30)
    os.close(ours)
    return process.returncode, seen.decode()


def test_lines_at_each_tenth(desk: Desk) -> None:
    """Off a terminal there is a line at each tenth, no control characters, and nothing on stdout."""
    job = desk.job(agents(50))
    ended = desk.run(job)
    assert ended.code == 0
    lines = ended.err.splitlines()
    assert lines[0] == "50 operations"
    tenths = [int(line.partition(" %")[0]) for line in lines[1:-4]]
    assert tenths == list(range(10, 101, 10))
    assert lines[-4] == "limit: 1,000,000 per min (flag), 0 % used"
    assert lines[-3] == f"results: {job.with_suffix('.run') / 'results.jsonl'}"
    assert re.fullmatch(r"done 50 of 50 in .* s \(50 requests\)\.", lines[-1])
    assert ended.out == ""
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", ended.err)


def test_quiet(desk: Desk) -> None:
    """With -q nothing is printed unless something failed; then it is the last line that says so."""
    good = desk.run(desk.job(agents(3)), "-q")
    assert (good.code, good.out, good.err) == (0, "", "")
    job = desk.job([agent(0), {"op": "agent.get", "agent_id": "agent_nope"}], "bad.jsonl")
    bad = desk.run(job, "-q")
    assert bad.code == 3
    check_ending(job, bad)
    assert len(bad.err.splitlines()) == 3


def test_bars_on_a_terminal(desk_at: Callable[..., Desk]) -> None:
    """On a terminal there are bars for operations, waiting and requests, and the last line stands below them."""
    desk = desk_at(latency=0.05)
    job = desk.job(agents(60))
    code, seen = on_a_terminal(desk, "run", job, *desk.target, "-j", 4)
    assert code == 0
    assert "operations" in seen
    assert "requests" in seen
    assert "60/60" in seen
    assert seen.rstrip().splitlines()[-1].startswith("done 60 of 60 in ")


def test_escapes_never_reach_the_terminal(desk: Desk) -> None:
    """What server or job say reaches the terminal with its control characters made visible, in bars and in lines."""
    evil = "\x1b]0;owned\x07\x9b31m\u202e"
    desk.env["EVIL"] = evil
    (desk.folder / "a.txt").write_text("x" * 600)
    bad = {"op": "tool.create", "id": "t", "body": {"name": "T", "url": "https://x", "method": evil}}
    named = {
        "op": "document.upload",
        "id": "d",
        "file": "a.txt",
        "name": f"unindexable {evil}",
        "index": {"model": "m"},
    }
    lines = [
        agent(0, body={"name": evil, "conversation_config": {}}),
        {"op": "agent.get", "id": "g", "agent_id": "agent_nope"},
        bad,
        named,
    ]
    job = desk.job(lines)
    ended = desk.run(job)
    assert ended.code == 3
    assert not set(ended.err + ended.out) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert results(job)[0]["status"] == "done"
    second = desk.job(lines, "second.jsonl")
    code, seen = on_a_terminal(desk, "run", second, *desk.target, "--log-file", "log")
    assert code == 3
    assert not set(seen) & {"\x07", "\x9b", "\u202e"}
    assert "\x1b]" not in seen
    assert not set((desk.folder / "log").read_text()) & {"\x1b", "\x07", "\x9b"}
    status = desk.bulkops("status", job)
    assert not set(status.out) & {"\x1b", "\x07", "\x9b"}


def test_the_last_line_agrees(desk: Desk) -> None:
    """Last line, exit code and summary agree, counts add up, and results have one row per operation in line order."""
    lines = [
        *agents(4),
        {"op": "agent.get", "id": "g", "agent_id": "agent_nope"},
        agent(9, needs=["g"]),
        {"op": "agent.clone", "id": "c", "agent_id": "${ref:a0#agent_id}", "name": "C", "copies": 3},
    ]
    job = desk.job(lines)
    ended = desk.run(job)
    assert ended.code == 3
    told = check_ending(job, ended)
    assert told["operations"]["total"] == 9
    assert [row["line"] for row in results(job)] == [1, 2, 3, 4, 5, 6, 7, 7, 7]
    assert told["next"].startswith(f"bulkops retry {job} ")
    assert re.search(r"done 7 of 9, failed 1, blocked 1 in ", ended.last)


def test_a_stderr_that_is_gone_does_not_stop_the_work(desk: Desk) -> None:
    """A run whose progress nobody reads any more, as in `2>&1 | head -1`, goes on to its end."""
    job = desk.job(agents(40))
    reading, writing = os.pipe()
    os.close(reading)
    with desk.start("run", job, *desk.target, stdout=writing, stderr=writing) as process:
        os.close(writing)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert len(desk.effects()) == 40
    assert summary(job)["operations"]["done"] == 40


def test_a_stderr_that_is_gone_does_not_stop_the_verdict(desk: Desk) -> None:
    """When nobody reads what is said at the end, the exit code still tells the truth."""
    job = desk.job([agent(0), {"op": "agent.get", "agent_id": "agent_nope"}])
    desk.run(job)
    reading, writing = os.pipe()
    os.close(reading)
    with desk.start("run", job, *desk.target, "-q", stderr=writing) as process:
        os.close(writing)
        process.communicate(timeout=30)
    assert process.returncode == 3
