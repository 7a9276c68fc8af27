"""Ended or refused at any one system call that matters: nothing twice, nothing lost, nothing sent after it."""

from __future__ import annotations

import hashlib
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.canary import CANARY
from tests.crash.crash_broken import IGNORED_FAILURES, NO_INTENTS, program
from tests.crash.crash_jobs import Job
from tests.crash.crash_oracle import Violations, judge
from tests.crash.crash_processes import Client, serving
from tests.crash.crash_sizes import need, note, size
from tests.crash.crash_strace import (
    Point,
    failed_at_all,
    points,
    recording,
    sent_after_the_failure,
    spread,
)
from tests.e2e.e2e_commands import end_of, results, run_folder
from tests.forked import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.crash.crash_processes import Server

SIDE_BY_SIDE = 2
LINES = 12
STRACED = 90.0
"""Seconds that a command gets under strace."""


def creates() -> Job:
    """Return twelve agents to make."""
    job = Job()
    for number in range(LINES):
        job.agent(f"Agent {number}", id=f"a{number}")
    return job


def uploads() -> Job:
    """Return twelve documents to upload and index."""
    job = Job()
    for number in range(LINES):
        job.document(f"Document {number}")
    return job


def exports() -> Job:
    """Return twelve conversations to export."""
    job = Job()
    for number in range(1, LINES + 1):
        job.export(number)
    return job


JOBS = {"agent.create": creates, "document.upload": uploads, "conversation.export": exports}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that works."""
    with serving(tmp_path_factory.mktemp("server"), latency=0.004) as server:
        yield server


def desk(server: Server, folder: Path, *, command: tuple[str, ...] = COMMAND, jobs: str = "4") -> Client:
    """Set up a folder of its own for one run."""
    folder.mkdir(parents=True)
    return Client(folder, server, f"{CANARY}-{folder.parent.name}-{folder.name}", command, ("-j", jobs, "-q"))


def check_folder(path: Path, rows: list[dict[str, Any]]) -> list[str]:
    """Return what is wrong with the files of a run: one that is missing, half, or of nobody."""
    folder = run_folder(path)
    wrong = []
    told = {file["path"]: file["sha256"] for row in rows for file in row["files"]}
    for name, digest in told.items():
        there = folder / name
        if not there.exists() or hashlib.sha256(there.read_bytes()).hexdigest() != digest:
            wrong.append(f"{name} is not what its row says")
    wrong += [f"{file.name} was left over" for file in folder.rglob(".bulkops-*")]
    for file in folder.glob("transcripts/*"):
        orjson.loads(file.read_bytes())
        if f"transcripts/{file.name}" not in told:
            wrong.append(f"{file.name} belongs to no row")
    return wrong


def every_point(server: Server, folder: Path, make: Callable[[], Job]) -> list[Point]:
    """Run once and return the points there are."""
    client = desk(server, folder / "recorded")
    path = make().write(client.folder / "job.jsonl")
    with client.start(path, before=recording(client.folder / "calls")) as process:
        assert end_of(process).code == 0
    return points(client.folder / "calls")


def kill_at(
    server: Server, folder: Path, point: Point, make: Callable[[], Job], command: tuple[str, ...] = COMMAND
) -> tuple[bool, Violations]:
    """Kill a run at a point and let the next one end; return whether the point was reached, and what is wrong."""
    client = desk(server, folder / f"{point.call}-{point.nth}", command=command)
    job = make()
    path = job.write(client.folder / "job.jsonl")
    with client.start(
        path, before=point.killing(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        reached = process.wait(STRACED) == -signal.SIGKILL
    ended = client.run(path)
    assert ended.code in {0, 6}, ended.err
    rows = results(path)
    found = judge(job.wanted, rows, client.effects())
    found.lost += check_folder(path, rows)
    return reached, found


@pytest.mark.parametrize("kind", JOBS)
def test_killed_at_each_call(server: Server, tmp_path: Path, kind: str) -> None:
    """Killed instead of a write, a sync, a rename, a send, a receive: the next run ends, nothing twice or lost."""
    need("strace")
    found = every_point(server, tmp_path, JOBS[kind])
    chosen = spread(found, size(6, len(found)))
    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        ends = list(threads.map(lambda point: kill_at(server, tmp_path, point, JOBS[kind]), chosen))
    violations = Violations()
    for _reached, each in ends:
        violations += each
    reached = sum(reached for reached, _ in ends)
    note(
        f"killed at each call, {kind}",
        points=len(found),
        killed=reached,
        duplicates=len(violations.duplicates),
        lost=len(violations.lost),
        wrong_ids=len(violations.wrong),
    )
    assert not violations, violations
    assert reached > 0.8 * len(chosen)


def test_kills_find_a_program_without_intents(server: Server, tmp_path: Path) -> None:
    """Killed instead of receiving an answer, a command that writes nothing down before sends it again."""
    need("strace")
    duplicates = 0
    for nth in range(14, 26, 4):
        _, found = kill_at(server, tmp_path, Point("recvfrom", nth), creates, program(NO_INTENTS))
        duplicates += len(found.duplicates)
    assert duplicates


def fail_at(
    server: Server, folder: Path, point: Point, error: str, command: tuple[str, ...] = COMMAND
) -> tuple[bool, list[str]]:
    """Let a call fail; return whether it was reached, and what is wrong with what came of it."""
    client = desk(server, folder / f"{point.call}-{point.nth}-{error}", command=command, jobs="1")
    job = creates()
    path = job.write(client.folder / "job.jsonl")
    log = client.folder / "calls"
    with client.start(path, before=point.failing(error, log)) as process:
        ended = end_of(process)
    wrong = [f"sent after the failure: {line}" for line in sent_after_the_failure(log)]
    made = len(client.effects())
    if ended.code != 74 and not (ended.code == 0 and made == LINES):
        wrong.append(f"exit {ended.code} with {made} effects: {ended.err}")
    if "Traceback" in ended.err:
        wrong.append(ended.err)
    again = client.run(path)
    if again.code not in {0, 6}:
        wrong.append(f"the next run exits {again.code}: {again.err}")
    found = judge(job.wanted, results(path), client.effects())
    return failed_at_all(log), [
        f"{point} {error}: {each}" for each in (*wrong, *found.duplicates, *found.lost, *found.wrong)
    ]


ERRORS = {"fdatasync": "EIO", "pwrite64": "ENOSPC", "fsync": "EIO", "ftruncate": "ENOSPC", "rename": "EIO"}
"""What is refused. A `write` is not among them: `events.jsonl` and the terminal are not the work."""


def test_nothing_is_sent_after_a_failed_write(server: Server, tmp_path: Path) -> None:
    """A write or sync that fails once ends the run with 74; nothing leaves after it, and a later run completes."""
    need("strace")
    found = [point for point in every_point(server, tmp_path, creates) if point.call in ERRORS]
    chosen = spread(found, size(6, len(found)))
    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        ends = list(threads.map(lambda point: fail_at(server, tmp_path, point, ERRORS[point.call]), chosen))
    wrong = [each for _, found_wrong in ends for each in found_wrong]
    reached = sum(reached for reached, _ in ends)
    note("a call that fails", points=len(found), failed=reached, violations=len(wrong))
    assert not wrong, "\n".join(wrong)
    assert reached > 0.8 * len(chosen)


def test_failures_find_a_program_that_goes_on(server: Server, tmp_path: Path) -> None:
    """A command that ignores what the disk refused is seen to send on."""
    need("strace")
    wrong: list[str] = []
    # Which of them comes between two requests depends on how commits happen to be grouped.
    for nth in (4, 6, 8, 14):
        wrong += fail_at(server, tmp_path, Point("fdatasync", nth), "EIO", program(IGNORED_FAILURES))[1]
    assert any("sent after the failure" in each for each in wrong)
