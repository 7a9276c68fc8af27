"""One run at a time."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from bulkops.checkpoint.locking import LockWish, run_lock
from bulkops.errors import CheckpointError, Locked

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from bulkops.checkpoint.locking import run_lock
from bulkops.errors import Locked
try:
    with run_lock(Path(sys.argv[1]), Path(sys.argv[2])):
        print("won", flush=True)
        sys.stdin.read()
except Locked as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
"""


def start(folder: Path, job: Path) -> subprocess.Popen[str]:
    """Start a run that holds the lock until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(job)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def first_line(process: subprocess.Popen[str]) -> str:
    """Return what it says first; it has the lock then, or was refused."""
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Return a job file that may only be read."""
    path = tmp_path / "job.jsonl"
    path.touch(mode=0o400)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the run folder will be."""
    return tmp_path / "job.run"


def test_one_of_twelve_wins(folder: Path, job: Path) -> None:
    """Of twelve runs that start at the same time one goes on; the others end with exit code 75."""
    processes = [start(folder, job) for _ in range(12)]
    said = [first_line(process) for process in processes]
    for process in processes:
        process.communicate()

    assert said.count("won\n") == 1
    assert sorted(process.returncode for process in processes) == [0] + [75] * 11


def test_second_run_hears_who_holds(folder: Path, job: Path) -> None:
    """The second run is told process, host and time of the first."""
    process = start(folder, job)
    first_line(process)

    with (
        pytest.raises(Locked, match=rf"process {process.pid} on {os.uname().nodename} since 2"),
        run_lock(folder, job),
    ):
        pass
    process.communicate()


def test_other_folder_collides_too(folder: Path, job: Path, tmp_path: Path) -> None:
    """Two runs of one job file collide, also by another name of it, with run folders of their own."""
    link = tmp_path / "link.jsonl"
    link.symlink_to(job)
    with (
        run_lock(folder, job),
        pytest.raises(Locked, match="another run folder"),
        run_lock(tmp_path / "other.run", link),
    ):
        pass


def test_one_folder_for_two_jobs_collides(folder: Path, job: Path, tmp_path: Path) -> None:
    """Two job files cannot use one run folder at the same time."""
    other = tmp_path / "other.jsonl"
    other.touch()
    with run_lock(folder, job), pytest.raises(Locked), run_lock(folder, other):
        pass


def test_refused_run_leaves_first_alone(folder: Path, job: Path) -> None:
    """A run that was refused takes no lock away and no text either."""
    with run_lock(folder, job):
        for _ in range(2):
            with pytest.raises(Locked, match=f"process {os.getpid()} "), run_lock(folder, job):
                pass


def test_refused_by_job_lets_folder_go(folder: Path, job: Path, tmp_path: Path) -> None:
    """A run that is refused because of the job file does not keep the folder's lock."""
    other = tmp_path / "other.jsonl"
    other.touch()
    with run_lock(tmp_path / "first.run", job):
        with pytest.raises(Locked), run_lock(folder, job):
            pass
        with run_lock(folder, other):
            pass


def test_killed_run_leaves_no_lock(folder: Path, job: Path) -> None:
    """Right after kill -9 the lock is free, whatever the lock file says."""
    for _ in range(3):
        process = start(folder, job)
        assert first_line(process) == "won\n"
        process.kill()
        process.communicate()
        assert (folder / "lock").read_text().startswith(f"process {process.pid} ")
        with run_lock(folder, job):
            pass


def test_lock_is_taken_again(folder: Path, job: Path) -> None:
    """A lock that was let go can be taken again, and its file names nobody."""
    with run_lock(folder, job):
        pass
    assert (folder / "lock").read_text() == ""
    with run_lock(folder, job):
        pass


def test_lock_file_is_private(folder: Path, job: Path) -> None:
    """The lock file is for its owner alone, as is the folder."""
    with run_lock(folder, job):
        assert stat.S_IMODE((folder / "lock").stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_holder_tells_its_command(folder: Path, job: Path) -> None:
    """The command of the run that holds the lock is told with it, cut where it is long."""
    with (
        run_lock(folder, job, LockWish(command="bulkops run job.jsonl " + "x" * 5000)),
        pytest.raises(Locked, match=r"since 2\S+ \(bulkops run job\.jsonl x{178}\)\. Wait"),
        run_lock(folder, job),
    ):
        pass


def test_lock_is_waited_for(folder: Path, job: Path) -> None:
    """A run that may wait says so once, and goes on as soon as the other one has ended."""
    process = start(folder, job)
    first_line(process)
    said: list[str] = []

    def note(text: str) -> None:
        said.append(text)
        process.kill()

    with run_lock(folder, job, LockWish(patience=60, note=note)):
        pass
    process.communicate()
    (told,) = said
    assert told.startswith(f"waiting: {job} is already being run by process {process.pid} ")


def test_patience_ends(folder: Path, job: Path) -> None:
    """A run that has waited long enough is refused like one that does not wait."""
    began = time.monotonic()
    with run_lock(folder, job), pytest.raises(Locked), run_lock(folder, job, LockWish(patience=0.3)):
        pass
    assert 0.3 <= time.monotonic() - began < 5


def test_strange_text_is_not_repeated(folder: Path, job: Path) -> None:
    """What stands in the lock file reaches no terminal unless it is plain text."""
    with run_lock(folder, job):
        (folder / "lock").write_bytes(b"\x1b[31mprocess")
        with pytest.raises(Locked, match="by another process"), run_lock(folder, job):
            pass


def test_missing_job_is_said(folder: Path, tmp_path: Path) -> None:
    """A job file that cannot be opened is named."""
    with (
        pytest.raises(CheckpointError, match=r"gone\.jsonl cannot be locked"),
        run_lock(folder, tmp_path / "gone.jsonl"),
    ):
        pass


def test_a_lock_file_that_cannot_be_emptied_is_let_go(
    folder: Path, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that refuses to empty the lock file at the end changes nothing: the run has ended, the lock is free."""
    with run_lock(folder, job):

        def refuse(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "ftruncate", refuse)
    monkeypatch.undo()
    with run_lock(folder, job):
        pass
