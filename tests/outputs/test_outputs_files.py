# ruff: noqa: ASYNC240 - looking at a file takes no time that matters here
from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING

import anyio
import pytest

from bulkops.errors import CheckpointError
from bulkops.model import Save
from bulkops.outputs import files
from bulkops.outputs.files import OutputFiles

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
KEY = b"k" * 16


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, as bulkops does."""
    return "asyncio"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a run folder that is not there yet."""
    return tmp_path / "job.run"


@pytest.fixture(params=[files.MOST_KEPT, 10, 0], ids=["kept", "mixed", "spilled"])
def most_kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How much stays in memory: everything, some, or nothing."""
    monkeypatch.setattr(files, "MOST_KEPT", request.param)
    return int(request.param)


def transcript(data: bytes, name: str = "conv_1") -> Save:
    """Return a step that saves a transcript."""
    return Save("transcripts", name, ".json", data)


def all_files(folder: Path) -> list[str]:
    """Return the paths of all files, temporary ones too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


async def test_a_finished_file_is_whole(folder: Path, most_kept: int) -> None:
    """What was appended stands under the name, and size and digest tell the truth."""
    output = OutputFiles(folder)
    for piece in (b"first ", b"second ", b"third"):
        await output.append(KEY, transcript(piece))
    [saved] = await output.finish(KEY)
    content = b"first second third"
    assert (folder / saved.path).read_bytes() == content
    assert (saved.path, saved.bytes) == ("transcripts/conv_1.json", len(content))
    assert saved.sha256 == hashlib.sha256(content).hexdigest()
    assert all_files(folder) == [saved.path]


async def test_nothing_shows_before_the_end(folder: Path, most_kept: int) -> None:
    """Before an operation ends, the old file stands untouched under the name."""
    output = OutputFiles(folder)
    await output.append(KEY, transcript(b"old"))
    await output.finish(KEY)
    await output.append(KEY, transcript(b"new"))
    assert (folder / "transcripts/conv_1.json").read_bytes() == b"old"
    await output.discard(KEY)
    assert (folder / "transcripts/conv_1.json").read_bytes() == b"old"
    assert all_files(folder) == ["transcripts/conv_1.json"]


async def test_files_and_folders_are_private(folder: Path, most_kept: int) -> None:
    """Only the owner may read what was saved."""
    output = OutputFiles(folder)
    await output.append(KEY, transcript(b"secret"))
    [saved] = await output.finish(KEY)
    modes = [
        stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "transcripts", folder / saved.path)
    ]
    assert modes == [0o700, 0o700, 0o600]


async def test_operations_do_not_mix(folder: Path, most_kept: int) -> None:
    """Operations and names each have a file of their own."""
    output = OutputFiles(folder)
    await output.append(b"a", transcript(b"1", "one"))
    await output.append(b"b", transcript(b"2", "two"))
    await output.append(b"a", Save("lists", "one", ".jsonl", b"3"))
    assert [saved.path for saved in await output.finish(b"a")] == ["transcripts/one.json", "lists/one.jsonl"]
    assert [saved.path for saved in await output.finish(b"b")] == ["transcripts/two.json"]
    contents = [(folder / name).read_bytes() for name in all_files(folder)]
    assert contents == [b"3", b"1", b"2"]


async def test_an_operation_without_files_has_none(folder: Path) -> None:
    """Finishing or discarding an operation that saved nothing does nothing."""
    output = OutputFiles(folder)
    await output.discard(KEY)
    assert await output.finish(KEY) == []
    assert not folder.exists()


async def test_an_empty_file_is_a_file(folder: Path, most_kept: int) -> None:
    """An empty listing is an empty file, not a missing one."""
    output = OutputFiles(folder)
    await output.append(KEY, Save("lists", "agents", ".jsonl", b""))
    [saved] = await output.finish(KEY)
    assert (folder / saved.path).read_bytes() == b""


@pytest.mark.parametrize(
    "save",
    [
        Save("..", "a", ".json", b""),
        Save("transcripts/..", "a", ".json", b""),
        Save("lists", "a", "/../b", b""),
    ],
)
async def test_only_known_folders_are_written(folder: Path, save: Save) -> None:
    """A folder outside of the closed set, or a suffix that is none, is refused."""
    with pytest.raises(ValueError, match=r"no output folder|no suffix"):
        await OutputFiles(folder).append(KEY, save)


async def test_a_traversing_id_stays_inside(folder: Path, most_kept: int) -> None:
    """An id that tries to leave the folder becomes a digest inside of it."""
    output = OutputFiles(folder)
    await output.append(KEY, transcript(b"x", "../../../etc/passwd"))
    [saved] = await output.finish(KEY)
    assert saved.path.startswith("transcripts/x-")
    assert (folder / saved.path).resolve().is_relative_to(folder.resolve())


async def test_a_link_is_replaced_not_followed(folder: Path, tmp_path: Path) -> None:
    """A symbolic link under the final name is replaced; what it points to stays."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (folder / "transcripts").mkdir(parents=True)
    (folder / "transcripts/conv_1.json").symlink_to(victim)
    output = OutputFiles(folder)
    await output.append(KEY, transcript(b"theirs"))
    await output.finish(KEY)
    assert victim.read_bytes() == b"mine"


async def test_a_full_disk_leaves_nothing_half(
    folder: Path, most_kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full at the sync ends as `CheckpointError`; no part of the file is left."""
    output = OutputFiles(folder)
    await output.append(KEY, transcript(b"x" * 100))

    def full(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        await output.finish(KEY)
    assert all_files(folder) == []


async def test_a_cancellation_waits_for_what_was_begun(folder: Path, most_kept: int) -> None:
    """A cancelled run leaves the file whole under its name and no temporary one."""
    output = OutputFiles(folder)
    with anyio.CancelScope() as scope:
        await output.append(KEY, transcript(b"x" * 100))
        scope.cancel()
        await output.finish(KEY)
    assert all_files(folder) == ["transcripts/conv_1.json"]


async def test_stale_temporaries_are_swept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed run left is removed at the next start; finished files stay."""
    monkeypatch.setattr(files, "MOST_KEPT", 0)
    killed = OutputFiles(folder)
    await killed.append(KEY, transcript(b"half"))
    await killed.append(b"done", transcript(b"whole", "conv_2"))
    await killed.finish(b"done")
    assert OutputFiles(folder).sweep() == 1
    assert all_files(folder) == ["transcripts/conv_2.json"]
    await killed.discard(KEY)


async def test_memory_is_bounded(folder: Path) -> None:
    """Beyond the common budget of memory, data goes to disk as it comes."""
    output = OutputFiles(folder)
    half = b"x" * (files.MOST_KEPT // 2 + 1)
    await output.append(b"a", transcript(half, "a"))
    assert not folder.exists()
    await output.append(b"b", transcript(half, "b"))
    assert sum(path.stat().st_size for path in (folder / "transcripts").iterdir()) > 0
    await output.finish(b"a")
    await output.finish(b"b")
    assert output._kept == 0
