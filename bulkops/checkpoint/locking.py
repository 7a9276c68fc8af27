"""One run at a time: kernel locks on the run folder and on the job file, gone the moment a process is."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from bulkops.checkpoint.folder import make_private_folder
from bulkops.errors import CheckpointError, Locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType


def run_lock(folder: Path, job: Path) -> RunLock:
    """Return the lock of a run, to be held with `with`; see `RunLock`."""
    return RunLock(folder, job)


class RunLock:
    """Holds the file `lock` in the run folder, and the job file itself, so that two run folders collide too.

    Entering raises Locked at once when another run holds either, saying who does, and CheckpointError when a
    file cannot be opened or locked. The folder is made if it is missing. What stands in the lock file is for
    people only: no text and no left-over file ever locks anything.
    """

    def __init__(self, folder: Path, job: Path) -> None:
        self._folder = folder
        self._job = job
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Take both locks or none."""
        with ExitStack() as taken, _explained(self._job):
            make_private_folder(self._folder)
            path = self._folder / "lock"
            lock = taken.enter_context(_opened(path, os.O_RDWR | os.O_CREAT))
            _take(lock, f"{self._job} is already being run by {_holder(lock)}")
            taken.callback(os.ftruncate, lock, 0)
            job = taken.enter_context(_opened(self._job, os.O_RDONLY))
            _take(job, f"{self._job} is already being run with another run folder than {self._folder}")
            _sign(lock)
            self._held = taken.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let both go."""
        self._held.close()


@contextmanager
def _explained(job: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"{error.filename or job} cannot be locked: {error.strerror}."
            " Name a run folder on a local disk with --run-dir."
        ) from error


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, refusal: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Locked(f"{refusal}. Wait for it to end; `bulkops status` shows where it stands.") from None


def _holder(descriptor: int) -> str:
    text = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
    return text if text and text.isprintable() else "another process"


def _sign(descriptor: int) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    text = f"process {os.getpid()} on {os.uname().nodename} since {since}\n"
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
