"""One run at a time: kernel locks on the run folder and on the job file, gone the moment a process is."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from bulkops.checkpoint.folder import make_private_folder
from bulkops.checkpoint.mounts import network_file_system
from bulkops.errors import CheckpointError, Locked, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

_LOOK = 0.2
"""Seconds between two looks at a lock that is waited for."""
_LONGEST_COMMAND = 200

_SIGNED = 4
"""The words up to the machine's name: process, its number, on, the name."""


@dataclass(frozen=True, slots=True)
class LockWish:
    """How to take the lock: how many seconds to wait for it, who says that it waits, what to tell others of us.

    `command` is shown to those who find the lock held, `remedy` is what we are told then. `unsafe` takes file systems
    as well that may not lock.
    """

    patience: float = 0.0
    command: str = ""
    unsafe: bool = False
    note: Callable[[str], None] = lambda _: None
    remedy: str = "Wait for it to end; `bulkops status` shows where it stands."


def run_lock(folder: Path, job: Path, wish: LockWish | None = None) -> RunLock:
    """Return the lock of a run, to be held with `with`; see `RunLock`."""
    return RunLock(folder, job, wish or LockWish())


def under_way(folder: Path) -> bool:
    """Tell whether a run seems to be at a folder, without a lock that could be in a run's way.

    It goes by what stands in the lock file, which a run that ends takes back, and by whether that process is there.
    """
    try:
        words = (folder / "lock").read_text("utf-8", "replace").split()
        if len(words) < _SIGNED or words[3] != os.uname().nodename:
            # On another machine nobody can tell from here.
            return len(words) >= _SIGNED
        os.kill(int(words[1]), 0)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


class RunLock:
    """Holds the file `lock` in the run folder, and the job file itself, so that two run folders collide too.

    Entering raises Locked when another run holds either and does not let go in time, saying who does;
    CheckpointError when a file cannot be opened or locked; UsageError for a folder on a file system whose
    locks cannot be relied on. The folder is made if it is missing. What stands in the lock file is for people
    only: no text and no left-over file ever locks anything.
    """

    def __init__(self, folder: Path, job: Path, wish: LockWish) -> None:
        self._folder = folder
        self._job = job
        self._wish = wish
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Take both locks or none."""
        self._check_file_system()
        end = time.monotonic() + self._wish.patience
        waited = False
        while True:
            try:
                self._held = self._taken()
            except Locked as held:
                if time.monotonic() >= end:
                    raise
                if not waited:
                    self._wish.note(f"waiting: {held}")
                waited = True
                time.sleep(_LOOK)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let both go."""
        self._held.close()

    def _taken(self) -> ExitStack:
        with ExitStack() as taken, _explained(self._job):
            make_private_folder(self._folder)
            path = self._folder / "lock"
            lock = taken.enter_context(_opened(path, os.O_RDWR | os.O_CREAT))
            _take(lock, f"{self._job} is already being run by {_holder(lock)}. {self._wish.remedy}")
            taken.callback(_unsign, lock)
            if network_file_system(self._job) is None:
                # A network file system may refuse a lock on a file that is only read; the folder's lock holds.
                job = taken.enter_context(_opened(self._job, os.O_RDONLY))
                words = f"{self._job} is already being run with another run folder than {self._folder}"
                _take(job, f"{words}. {self._wish.remedy}")
            _sign(lock, self._wish.command)
            return taken.pop_all()

    def _check_file_system(self) -> None:
        kind = network_file_system(self._folder)
        if kind is not None and not self._wish.unsafe:
            raise UsageError(
                f"{self._folder} is on a network file system ({kind}), where locks and flushes cannot be relied"
                " on. Name a run folder on a local disk with --run-dir, or take the risk with --unsafe-fs"
            )


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
        raise Locked(refusal) from None


def _holder(descriptor: int) -> str:
    text = os.pread(descriptor, 1000, 0).decode(errors="replace").strip()
    return text if text and text.isprintable() else "another process"


def _sign(descriptor: int, command: str) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    text = f"process {os.getpid()} on {os.uname().nodename} since {since}"
    if command:
        text += f" ({command[:_LONGEST_COMMAND]})"
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{text}\n".encode(errors="replace"), 0)


def _unsign(descriptor: int) -> None:
    # What stands there is for people only: a disk that refuses even this does not make a run end otherwise.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
