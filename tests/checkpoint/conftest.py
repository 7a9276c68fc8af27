"""Both implementations of a checkpoint, and rows to put in."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bulkops.checkpoint.memory import MemoryCheckpoint
from bulkops.checkpoint.store import open_checkpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bulkops.checkpoint import Checkpoint
    from tests.checkpoint.checkpoint_rows import Opener


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the checkpoint of this test lies; its folder does not exist yet."""
    return tmp_path / "job.run" / "checkpoint.db"


@pytest.fixture(params=["sqlite", "memory"])
def opened(request: pytest.FixtureRequest, path: Path) -> Opener:
    """Return the opener of one implementation after the other."""
    kept = MemoryCheckpoint()

    @asynccontextmanager
    async def in_memory() -> AsyncIterator[Checkpoint]:
        yield kept

    @asynccontextmanager
    async def on_disk() -> AsyncIterator[Checkpoint]:
        async with open_checkpoint(path) as checkpoint:
            yield checkpoint

    return on_disk if request.param == "sqlite" else in_memory


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """Return a folder that another user can reach; pytest's own are private."""
    folder = Path(tempfile.mkdtemp(prefix="bulkops-test-"))
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)
