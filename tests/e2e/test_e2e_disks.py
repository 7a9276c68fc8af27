"""Real disks that are full or read-only: small ones in memory, mounted in a name space of their own."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.crash.crash_sizes import lacking
from tests.e2e.e2e_commands import agents, table

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk

MOUNT = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-euc"]


def _trouble() -> str | None:
    try:
        done = subprocess.run(
            [*MOUNT, "mount -t tmpfs -o size=64k none /mnt"], capture_output=True, text=True, check=False
        )
    except OSError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else None


def _no_strace() -> str | None:
    try:
        done = subprocess.run(["strace", "-f", "true"], capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else None


@pytest.fixture
def mounting() -> None:
    """Need to mount disks."""
    if trouble := _trouble():
        lacking(f"no disk can be mounted here: {trouble}")


@pytest.fixture
def tracing() -> None:
    """Need to let system calls fail."""
    if trouble := _no_strace():
        lacking(f"strace does not work here: {trouble}")


def played(desk: Desk, script: str) -> dict[str, str]:
    """Play a shell script in which `bulkops` is the command and `told NAME` writes down what comes; return that."""
    folder = desk.folder / "told"
    folder.mkdir()
    (desk.folder / "disk").mkdir()
    head = f"""
        bulkops() {{ {shlex.quote(sys.executable)} -m bulkops "$@"; }}
        told() {{
            name=told/$1; shift; code=0
            "$@" >$name.out 2>$name.err || code=$?
            echo $code >$name
        }}
    """
    done = subprocess.run(
        [*MOUNT, head + script],
        cwd=desk.folder,
        env=desk.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_text("utf-8").strip() for path in folder.iterdir()}


def run_of(job: Path, desk: Desk, *words: object) -> str:
    """Return the command that runs a job with its run folder on the disk."""
    return shlex.join(
        map(str, ["bulkops", "run", job.name, "--run-dir", "disk/job.run", *desk.target, *words])
    )


@pytest.mark.usefixtures("mounting")
def test_a_disk_that_fills_up(desk: Desk) -> None:
    """A full disk ends the run with 74; all that was made is in the checkpoint, and nothing is made twice after."""
    job = desk.job(agents(1500, meta={"note": "x" * 2000}))
    run = run_of(job, desk, "-j", 8)
    told = played(
        desk,
        f"""
        mount -t tmpfs -o size=3500k none disk
        told full {run}
        told status bulkops status {job.name} --run-dir disk/job.run --json
        told again {run}
        mount -o remount,size=64m disk
        told after {run}
        cp disk/job.run/results.jsonl told/results
        """,
    )
    assert told["full"] == "74", told["full.err"]
    assert "the disk is full" in told["full.err"]
    assert "Free some space" in told["full.err"]
    assert "could not be saved" not in told["full.err"]
    assert told["again"] == "74", told["again.err"]
    assert told["after"] == "0", told["after.err"]
    assert len(set(desk.made())) == len(desk.effects()) == 1500
    assert f"done {told_done(told['status.out'])} of 1,500" in told["full.err"]
    assert len(table(desk.folder / "told" / "results")) == 1500


def told_done(status: str) -> str:
    """Return how many operations are done, as people read it."""
    import json

    return f"{json.loads(status)['ended']['done']:,}"


@pytest.mark.usefixtures("mounting")
def test_a_disk_without_room(desk: Desk) -> None:
    """A disk without room for the end of the requests in flight is refused before the first request."""
    job = desk.job(agents(3))
    told = played(desk, f"mount -t tmpfs -o size=1m none disk\n told run {run_of(job, desk)}")
    assert told["run"] == "74"
    assert "has no room for a run" in told["run.err"]
    assert desk.sent == 0


@pytest.mark.usefixtures("mounting")
def test_a_disk_that_is_read_only(desk: Desk) -> None:
    """On a read-only disk nothing is sent, and status, results and plan still tell what was done."""
    job = desk.job(agents(3))
    told = played(
        desk,
        f"""
        mount -t tmpfs -o size=32m none disk
        told run {run_of(job, desk)}
        mount -o remount,ro disk
        told status bulkops status {job.name} --run-dir disk/job.run
        told results bulkops results {job.name} --run-dir disk/job.run
        told plan bulkops plan {job.name} --run-dir disk/job.run
        told again {run_of(job, desk)}
        told fresh bulkops run {job.name} --run-dir disk/other.run {shlex.join(desk.target)}
        """,
    )
    assert [told[name] for name in ("run", "status", "results", "plan")] == ["0"] * 4, told
    assert "done 3" in told["status.out"]
    assert len(told["results.out"].splitlines()) == 3
    for name in ("again", "fresh"):
        assert told[name] == "74", told[f"{name}.err"]
        assert "Read-only file system" in told[f"{name}.err"]
        assert "--run-dir" in told[f"{name}.err"]
        assert "Traceback" not in told[f"{name}.err"]
    assert desk.sent == 3


@pytest.mark.usefixtures("tracing")
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_one_failing_call(desk: Desk, call: str) -> None:
    """One write or flush that fails, real as the kernel's answer, ends the run; nothing is lost, nothing made twice."""
    job = desk.job(agents(200))
    safe = desk.folder / "safe"
    safe.mkdir()
    words = shlex.split(run_of(job, desk, "-j", 8, "--rescue", safe))[1:]
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", "trace", "-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when=60",
         sys.executable, "-m", "bulkops", *words],
        cwd=desk.folder, env=desk.env, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 74, done.stderr
    made = len(desk.effects())
    assert 0 < made < 200
    assert f"done {made} of 200, " in done.stderr
    (saved,) = safe.iterdir()
    assert f" is in {saved}; " in done.stderr

    later = desk.bulkops(*words)
    assert later.code == 0, later.err
    assert len(set(desk.made())) == len(desk.effects()) == 200
    assert not list(safe.iterdir())
