"""How operations are found by their keys: by an index that a first run makes when it needs it, or at its end."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from bulkops.checkpoint import open_reader, tables
from bulkops.checkpoint.recovering import recover
from bulkops.checkpoint.store import open_checkpoint
from bulkops.model import State
from tests.checkpoint.checkpoint_rows import ended, key_of, step

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from bulkops.checkpoint.reader import CheckpointReader


def opened(path: Path) -> CheckpointReader:
    """Return a reader of a checkpoint that is there."""
    reader = open_reader(path)
    assert reader is not None
    return reader


async def first_run(path: Path, crashed: Path) -> None:
    """End three operations, one of them twice, and leave a fourth under way; put aside what a crash would leave."""
    async with open_checkpoint(path) as checkpoint:
        await checkpoint.intend(step(4))
        await checkpoint.close_operation(ended(1, state=State.FAILED), keep_steps=False)
        for line in (1, 2, 3):
            await checkpoint.close_operation(ended(line), keep_steps=False)
        with checkpoint.reader() as reader:
            assert not reader.indexed()
        for name in ("", "-wal"):
            shutil.copy(f"{path}{name}", f"{crashed}{name}")


def whole(path: Path) -> bool:
    """Tell whether a reader finds what the first run did, each operation once and by its key."""
    with opened(path) as reader:
        assert list(reader.open_steps()) == [step(4)]
        assert [reader.row_of(key_of(line)) for line in (1, 2, 3, 4)] == [*map(ended, (1, 2, 3)), None]
        return reader.indexed() and list(reader.rows()) == list(map(ended, (1, 2, 3)))


def test_a_first_run_has_the_index_at_its_end(path: Path, tmp_path: Path) -> None:
    """The index by key is made when the checkpoint is closed; the later end of an operation is the one that stays."""
    asyncio.run(first_run(path, tmp_path / "crashed.db"))
    assert whole(path)


def test_after_a_crash_the_index_is_made_first(path: Path, tmp_path: Path) -> None:
    """What a crash leaves without the index is read rightly, and has it before the next run reads anything."""
    crashed = tmp_path / "crashed.db"
    asyncio.run(first_run(path, crashed))
    with opened(crashed) as reader:
        assert not reader.indexed()
        assert list(reader.open_steps()) == [step(4)]
    assert recover(crashed, tmp_path) == 0
    assert whole(crashed)


def test_who_looks_for_a_key_makes_the_index(path: Path) -> None:
    """The first look for a key makes the index, and an end that comes later takes the place of the one before."""

    async def main() -> None:
        async with open_checkpoint(path) as checkpoint:
            await checkpoint.close_operation(ended(state=State.FAILED), keep_steps=False)
            assert await checkpoint.row_of(key_of(1)) == ended(state=State.FAILED)
            await checkpoint.close_operation(ended(), keep_steps=False)
            with checkpoint.reader() as reader:
                assert reader.indexed()
                assert list(reader.rows()) == [ended()]

    asyncio.run(main())


def test_a_later_run_has_the_index_from_the_start(path: Path) -> None:
    """A checkpoint that is opened again has the index while it is written."""

    async def main() -> None:
        async with open_checkpoint(path) as checkpoint:
            await checkpoint.intend(step())
        async with open_checkpoint(path) as checkpoint:
            with checkpoint.reader() as reader:
                assert reader.indexed()

    asyncio.run(main())


def test_without_temporary_files_the_index_is_sorted_in_memory(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system has no room to sort the index in a file, as here pretended, it is sorted in memory."""
    crashed = tmp_path / "crashed.db"
    asyncio.run(first_run(path, crashed))
    make, stores = tables.index_keys, []

    def without_room(connection: sqlite3.Connection) -> None:
        stores.append(connection.execute("PRAGMA temp_store").fetchone()[0])
        if stores[-1] != 2:
            raise sqlite3.OperationalError("database or disk is full")
        make(connection)

    monkeypatch.setattr(tables, "index_keys", without_room)
    assert recover(crashed, tmp_path) == 0
    assert stores == [0, 2]
    assert whole(crashed)


def test_a_checkpoint_of_an_earlier_version_goes_on(path: Path, tmp_path: Path) -> None:
    """A checkpoint whose table has a primary key in the place of the index is whole, and is written as any other."""

    async def main() -> None:
        async with open_checkpoint(path) as checkpoint:
            await checkpoint.intend(step(4))

    asyncio.run(main())
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (made,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'operation'").fetchone()
        others = connection.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name = 'operation' AND name > 'operation_by_key'"
        ).fetchall()
        connection.execute("DROP TABLE operation")
        for sql in (made.replace("key BLOB,", "key BLOB PRIMARY KEY,", 1), *(sql for (sql,) in others)):
            connection.execute(sql)
    with opened(path) as reader:
        assert reader.damage() is None

    async def again() -> None:
        async with open_checkpoint(path) as checkpoint:
            for state in (State.FAILED, State.DONE):
                for line in (1, 2, 3):
                    await checkpoint.close_operation(ended(line, state=state), keep_steps=False)

    asyncio.run(again())
    assert whole(path)
