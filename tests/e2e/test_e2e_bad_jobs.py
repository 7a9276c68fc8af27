"""Job files that cannot be run: each is told with its place and its remedy, and nothing is sent."""

from __future__ import annotations

import ctypes
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.e2e_commands import agent, agents

if TYPE_CHECKING:
    from tests.e2e.e2e_commands import Desk

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


def without_privileges() -> None:
    """Make the process that is about to start obey the modes of files, also when its user is root."""
    libc = ctypes.CDLL(None)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


BAD_LINES: list[tuple[object, list[str]]] = [
    ({"op": "document.upload", "file": "nope.md"}, ["`file`", "nope.md"]),
    ("{", ["JSON"]),
    ("[1]", ["object"]),
    ('{"op": "agent.list", "op": "agent.list"}', ["op", "twice"]),
    (
        f'{{"op": "agent.create", "body": {{"name": "n", "conversation_config": {{"x": {2**64}}}}}}}',
        ["64"],
    ),
    ({**agent(1), "boddy": {}}, ["`boddy`", "`body`"]),
    ({"op": "agent.crate"}, ["agent.crate", "agent.create"]),
    ({"op": "agent.get"}, ["`agent_id`"]),
    ({"op": "conversation.export", "conversation_id": "../../x"}, ["`conversation_id`"]),
    (
        {"op": "agent.create", "body": {"name": "${env:ELEVENLABS_API_KEY}"}},
        ["the API key never becomes part of a job"],
    ),
]
BAD_JOBS: dict[str, tuple[list[object], list[str]]] = {
    "duplicate ids": ([agent(1), agent(1)], ["line 2: ", "a1", "line 1"]),
    "unknown reference": (
        [{"op": "agent.get", "agent_id": "${ref:nope#agent_id}"}],
        ["line 1: ", "nope", "no line has that id"],
    ),
    "cycle": (
        [agent(1, needs=["a2"]), agent(2, needs=["a1"])],
        ["line 1: ", "in a circle of lines: a1 → a2"],
    ),
    "host in the header": (
        [{"$job": {"name": "x", "base_url": "https://evil.example"}}],
        ["line 1: ", "base_url"],
    ),
}


def test_all_bad_lines_are_told_at_once(desk: Desk) -> None:
    """Every line that cannot be meant is told with its number, field and remedy; exit 2, and nothing is sent."""
    job = desk.job([line for line, _ in BAD_LINES])
    ended = desk.run(job)
    assert ended.code == 2, ended.err
    for number, (_, words) in enumerate(BAD_LINES, 1):
        told = [text for text in ended.err.splitlines() if text.startswith(f"{job}, line {number}: ")]
        assert told, (number, ended.err)
        for word in words:
            assert word in "\n".join(told)
    assert "nothing was sent" in ended.last
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert desk.sent == 0


@pytest.mark.parametrize("case", BAD_JOBS)
def test_lines_that_do_not_fit_are_refused(desk: Desk, case: str) -> None:
    """Lines that cannot be meant together are refused: exit 2, and nothing is sent."""
    lines, words = BAD_JOBS[case]
    ended = desk.run(desk.job([*lines, agent(99)]))
    assert ended.code == 2, ended.err
    for word in words:
        assert word in ended.err
    assert "nothing was sent" in ended.last
    assert desk.sent == 0


def test_files_that_are_no_jobs(desk: Desk) -> None:
    """An empty file, only a header, a folder, a missing file, a pipe: each ends with 2 and says what it is."""
    os.mkfifo(desk.folder / "pipe.jsonl")
    (desk.folder / "folder.jsonl").mkdir()
    desk.job([], "empty.jsonl")
    desk.job(["", "  "], "blank.jsonl")
    desk.job([{"$job": {"name": "only"}}], "header.jsonl")
    for name, word in (
        ("empty.jsonl", "the job is empty"),
        ("blank.jsonl", "the job is empty"),
        ("header.jsonl", "no lines"),
        ("folder.jsonl", "is a directory"),
        (".", "is a directory"),
        ("missing.jsonl", "there is no such file"),
        ("pipe.jsonl", "no regular file"),
    ):
        ended = desk.bulkops("plan", name)
        assert ended.code == 2, (name, ended.err)
        assert word in ended.err, (name, ended.err)
        assert "nothing was sent" in ended.last
    assert desk.run("missing.jsonl").code == 2
    assert not (desk.folder / "missing.run").exists()
    assert desk.sent == 0


def test_an_unreadable_file(desk: Desk) -> None:
    """A job file that its user may not read ends with 2 and says how to change that."""
    job = desk.job(agents(1))
    job.chmod(0)
    ended = desk.run(job, preexec_fn=without_privileges)
    assert ended.code == 2, ended.err
    assert "not allowed to read it" in ended.err
    assert desk.sent == 0


def test_lines_that_are_too_long(desk: Desk) -> None:
    """A line over 8 MiB is refused with its number."""
    job = desk.job([agent(0), json.dumps({"op": "agent.list", "meta": "x" * 2**23})])
    ended = desk.run(job)
    assert (ended.code, desk.sent) == (2, 0)
    assert "line 2: the line is longer than 8 MiB" in ended.err


def test_bytes_that_are_no_text(desk: Desk) -> None:
    """A line that is not UTF-8 is refused with its number."""
    job = desk.job(agents(1))
    job.write_bytes(job.read_bytes() + b'{"op": "agent.list", "meta": "\xff\xfe"}\n')
    ended = desk.run(job)
    assert (ended.code, desk.sent) == (2, 0)
    assert "line 2: " in ended.err
    assert "UTF-8" in ended.err


def test_all_problems_at_once(desk: Desk) -> None:
    """Of 150 problems the first hundred are shown, and all stand in a file that is named."""
    job = desk.job([{"op": "agent.get"} for _ in range(150)])
    ended = desk.run(job)
    assert (ended.code, desk.sent) == (2, 0)
    shown = ended.err.splitlines()
    assert shown[99].startswith(f"{job}, line 100: ")
    assert "50 more" in shown[100]
    assert shown[-1] == "bulkops: 150 problems; nothing was sent"
    named = next(line for line in shown if line.startswith("All of them: "))
    whole = Path(named.removeprefix("All of them: "))
    assert len(whole.read_text().splitlines()) == 150
    whole.unlink()


def test_problems_do_not_reach_the_terminal_raw(desk: Desk) -> None:
    """What a job says about itself is shown without control characters, also in its problems."""
    evil = "\x1b]0;owned\x07\x9b31m"
    job = desk.job(
        [{"$job": {"name": "x", "about": evil}}, {"op": evil, evil: 1, "id": evil}, agent(1, needs=[evil])]
    )
    ended = desk.run(job)
    assert ended.code == 2
    assert not set(ended.err + ended.out) & {"\x1b", "\x07", "\x9b"}
    plan = desk.bulkops("plan", desk.job([{"$job": {"name": evil, "about": evil}}, agent(1)]))
    assert plan.code == 0, plan.err
    assert not set(plan.err + plan.out) & {"\x1b", "\x07", "\x9b"}
