"""When the checkpoint cannot be written any more: nothing begins, and what has happened is not forgotten."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bulkops.checkpoint import StepState, open_reader, writer
from bulkops.checkpoint.ballast import ballast_size, check_room
from bulkops.checkpoint.batches import commit
from bulkops.checkpoint.recovering import recover
from bulkops.checkpoint.store import open_checkpoint
from bulkops.errors import CheckpointError
from bulkops.model import State
from tests.checkpoint.checkpoint_rows import ended, key_of, step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulkops.checkpoint.batches import Batch
    from bulkops.checkpoint.store import SqliteCheckpoint

FULL = ("database or disk is full", "SQLITE_FULL")
BROKEN = ("disk I/O error", "SQLITE_IOERR_FSYNC")


class FailingDisk:
    """Lets the next commit of the checkpoint fail, once, as a disk would; counts what is tried after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: tuple[str, str]) -> None:
        self._kind = kind
        self.failing = False
        self.tried = 0
        monkeypatch.setattr(writer, "commit", self.commit)

    def commit(self, connection: sqlite3.Connection, batch: Batch) -> None:
        """Commit, or fail in the middle of it."""
        if not self.failing:
            commit(connection, batch)
            return
        self.tried += 1
        connection.execute("BEGIN IMMEDIATE")
        error = sqlite3.OperationalError(self._kind[0])
        error.sqlite_errorname = self._kind[1]
        raise error


@pytest.fixture
def safe(tmp_path: Path) -> Path:
    """Return a folder on another disk, so to say."""
    folder = tmp_path / "safe"
    folder.mkdir()
    return folder


@pytest.fixture
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FailingDisk:
    """Return the disk of the checkpoint, which can be made to fail."""
    return FailingDisk(monkeypatch, request.param)


async def fail_in_flight(checkpoint: SqliteCheckpoint, disk: FailingDisk) -> list[BaseException | None]:
    """Have operations 1 to 4 in flight, let the disk fail under a fifth; return how their ends were taken.

    1 is done in the failing commit itself, 2 after it, 3 fails after it, of 4 only its step's end is noted.
    """
    for line in (1, 2, 3, 4):
        await checkpoint.intend(step(line))
    disk.failing = True
    failed, one = await asyncio.gather(
        checkpoint.intend(step(5)),
        checkpoint.close_operation(ended(1), keep_steps=False),
        return_exceptions=True,
    )
    assert isinstance(failed, CheckpointError)
    checkpoint.note(step(4, state=StepState.DONE, entity="agent_4", reply=b"{}"))
    checkpoint.note(step(3, state=StepState.NO_EFFECT, reason="refused"))
    others = await asyncio.gather(
        checkpoint.close_operation(ended(2), keep_steps=False),
        checkpoint.close_operation(ended(3, state=State.FAILED, raw=b"{}"), keep_steps=True),
        checkpoint.flush(),
        return_exceptions=True,
    )
    return [one, *others]


def failing_run(path: Path, disk: FailingDisk, rescue: Path | None) -> tuple[str, list[BaseException | None]]:
    """Do that; return what the run says at its end, and how the ends were taken."""

    async def main(heard: list[BaseException | None]) -> None:
        async with open_checkpoint(path, rescue=rescue, ballast=2**20) as checkpoint:
            assert path.with_name("ballast").stat().st_size == 2**20
            heard += await fail_in_flight(checkpoint, disk)
            assert (await checkpoint.failed()).exit_code == 74
            for begin in (
                checkpoint.intend(step(6)),
                checkpoint.reopen(key_of(1)),
                checkpoint.pin(b"", b"", b""),
            ):
                with pytest.raises(CheckpointError, match="Nothing more is sent"):
                    await begin

    heard: list[BaseException | None] = []
    with pytest.raises(CheckpointError) as raised:
        asyncio.run(main(heard))
    disk.failing = False
    return str(raised.value), heard


def check_nothing_lost(path: Path) -> None:
    """Check that every end is there, and that what was never sent is not."""
    reader = open_reader(path)
    assert reader is not None
    with reader:
        assert [ended(1), ended(2), ended(3, state=State.FAILED, raw=b"{}")] == list(reader.rows())
        assert [step(4, state=StepState.DONE, entity="agent_4", reply=b"{}")] == list(reader.open_steps())


@pytest.mark.parametrize("disk", [FULL], indirect=True)
def test_ballast_takes_the_ends(path: Path, safe: Path, disk: FailingDisk) -> None:
    """On a full disk the ballast is given back, and all that was in flight is in the checkpoint itself."""
    message, heard = failing_run(path, disk, safe)

    assert heard == [None] * 4
    assert "the disk is full" in message
    assert disk.tried == 1
    assert list(safe.iterdir()) == []
    assert not path.with_name("ballast").exists()
    check_nothing_lost(path)


@pytest.mark.parametrize("disk", [BROKEN], indirect=True)
def test_rescue_file_takes_the_ends(path: Path, safe: Path, disk: FailingDisk) -> None:
    """After an I/O error nothing is written to the checkpoint; the ends are rescued, and the next run takes them up."""
    message, heard = failing_run(path, disk, safe)

    assert heard == [None] * 4
    assert disk.tried == 1
    (saved,) = safe.iterdir()
    assert f" is in {saved}; the next run of the job takes it up." in message
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    reader = open_reader(path)
    assert reader is not None
    with reader:
        assert reader.counts() == {}
        assert str(reader.meta("checkpoint_id"))[:8] not in saved.name

    assert recover(path, safe) == 5
    check_nothing_lost(path)
    assert list(safe.iterdir()) == []
    assert recover(path, safe) == 0


@pytest.mark.parametrize("disk", [BROKEN], indirect=True)
def test_no_rescue_is_said(path: Path, tmp_path: Path, disk: FailingDisk) -> None:
    """Where the rescue file cannot be written either, the ends are refused and the run says what that means."""
    (tmp_path / "file").touch()
    message, heard = failing_run_unsaved(path, disk, tmp_path / "file")

    assert all(isinstance(each, CheckpointError) for each in heard)
    assert "could not be saved" in message
    assert "will be in doubt" in message


def failing_run_unsaved(
    path: Path, disk: FailingDisk, rescue: Path
) -> tuple[str, list[BaseException | None]]:
    """Close an operation while nothing can be written anywhere."""

    async def main(heard: list[BaseException | None]) -> None:
        async with open_checkpoint(path, rescue=rescue) as checkpoint:
            await checkpoint.intend(step(1))
            disk.failing = True
            for _ in range(2):
                heard += await asyncio.gather(
                    checkpoint.close_operation(ended(1), keep_steps=False), return_exceptions=True
                )

    heard: list[BaseException | None] = []
    with pytest.raises(CheckpointError) as raised:
        asyncio.run(main(heard))
    return str(raised.value), heard


def another_opening(path: Path, saved: Path) -> None:
    """Open the checkpoint for writing, as a run that did not find the file would."""

    async def main() -> None:
        async with open_checkpoint(path):
            pass

    asyncio.run(main())


def open_to_others(path: Path, saved: Path) -> None:
    """Let others write the file."""
    saved.chmod(0o666)


def put_link(path: Path, saved: Path) -> None:
    """Put a link in place of the file."""
    saved.rename(saved.with_name("elsewhere"))
    saved.symlink_to("elsewhere")


@pytest.mark.parametrize("disk", [BROKEN], indirect=True)
@pytest.mark.parametrize("change", [another_opening, open_to_others, put_link])
def test_doubtful_rescue_is_left_alone(
    path: Path, safe: Path, disk: FailingDisk, change: Callable[[Path, Path], None]
) -> None:
    """A rescue file is taken up by the next run only, and only when nobody else can have written it."""
    failing_run(path, disk, safe)
    (saved,) = safe.iterdir()
    change(path, saved)

    assert recover(path, safe) == 0
    assert saved.exists()


@pytest.mark.parametrize("disk", [BROKEN], indirect=True)
def test_damaged_rescue_is_refused(path: Path, safe: Path, disk: FailingDisk) -> None:
    """A rescue file whose rows are not what was written is refused, and the user is told what removing it means."""
    failing_run(path, disk, safe)
    (saved,) = safe.iterdir()
    with closing(sqlite3.connect(saved, isolation_level=None)) as connection:
        connection.execute("UPDATE operation SET state = 1 WHERE state = 2")

    with pytest.raises(CheckpointError, match=r"is damaged\. Nothing was sent\. Remove it .* in doubt then"):
        recover(path, safe)
    assert saved.exists()


@pytest.mark.parametrize("disk", [BROKEN], indirect=True)
def test_rescue_of_another_checkpoint_is_left_alone(
    path: Path, tmp_path: Path, safe: Path, disk: FailingDisk
) -> None:
    """Two checkpoints that share a rescue folder do not take each other's files."""
    failing_run(path, disk, safe)
    other = tmp_path / "other.run" / "checkpoint.db"
    another_opening(other, safe)

    assert recover(other, safe) == 0
    assert recover(path, safe) == 5


def test_no_room_for_ballast(path: Path) -> None:
    """Where the ballast cannot be had, opening fails with what to do, before anything can be sent."""

    async def main() -> None:
        async with open_checkpoint(path, ballast=2**62):
            raise AssertionError

    with pytest.raises(CheckpointError, match=r"no room for a run: .* Nothing was sent\. Free some space"):
        asyncio.run(main())
    assert not path.with_name("ballast").exists()


def test_room_is_estimated(tmp_path: Path) -> None:
    """A disk that cannot hold what a job leaves is refused with both numbers."""
    check_room(tmp_path, 1000)
    with pytest.raises(
        CheckpointError, match=r"1,000,000,000,000,000 operations .* are free\. Nothing was sent"
    ):
        check_room(tmp_path, 10**15)


def test_ballast_is_given_back(path: Path) -> None:
    """The ballast is gone after the run; it grows with the requests in flight, from a mebibyte on."""

    async def main() -> int:
        async with open_checkpoint(path, ballast=ballast_size(64)):
            return path.with_name("ballast").stat().st_blocks * 512

    assert asyncio.run(main()) >= 64 * 3 * 65536
    assert [each.name for each in path.parent.iterdir()] == ["checkpoint.db"]
    assert ballast_size(1) == 2**20
