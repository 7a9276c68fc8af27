"""What a bad disk changes in a checkpoint is found before anything is sent."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from bulkops.checkpoint import StepState, open_reader, tables
from bulkops.checkpoint.recovering import recover
from bulkops.checkpoint.rescue import CLEAN
from bulkops.checkpoint.store import open_checkpoint
from bulkops.errors import CheckpointError
from bulkops.model import State
from tests.checkpoint.checkpoint_rows import ended, key_of, step
from tests.crash.crash_sizes import note, size

if TYPE_CHECKING:
    from pathlib import Path


async def filled(path: Path) -> None:
    """Fill a checkpoint with some of everything, and close it."""
    content = random.Random(3)
    async with open_checkpoint(path) as checkpoint:
        await checkpoint.set_meta("origin", "reference https://example.org")
        for line in range(60):
            state = list(State)[1:][line % 5]
            kind = "agent.clone" if line % 3 else "document.upload"
            raw = None if state is State.DONE else b'{"op": "agent.clone", "line": %d}' % line
            for index in range(1 + line % 2):
                row = ended(
                    line, index, state=state, kind=kind, raw=raw, record=content.randbytes(150 + 40 * line)
                )
                await checkpoint.close_operation(row, keep_steps=False)
        for line in range(60, 100):
            await checkpoint.intend(step(line, state=list(StepState)[line % 4], entity=f"agent_{line}"))
        await checkpoint.pin(b"line", b"request", content.randbytes(6000))


def unclean(path: Path) -> bytes:
    """Return the bytes of a filled checkpoint whose last run did not end as it should."""
    asyncio.run(filled(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        tables.put_meta(connection, CLEAN, "no")
    return path.read_bytes()


def seen(path: Path) -> Any:
    """Return all that readers see of a checkpoint; the error where they see none."""
    try:
        reader = open_reader(path)
        assert reader is not None
        with reader:
            return (
                reader.all_meta(),
                list(reader.rows()),
                list(reader.rows([State.FAILED])),
                sorted(reader.states(), key=repr),
                list(reader.open_steps()),
                reader.counts_by_kind(),
                reader.row_of(key_of(3)),
                reader._connection.execute("SELECT line_key, request, reply FROM pin").fetchall(),
            )
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not what was written
        return repr(error)


def flipped(whole: bytes, chance: random.Random) -> bytes:
    """Return bytes with one bit, one byte, or a stretch of them changed, as bad disks do."""
    content = bytearray(whole)
    place = chance.randrange(len(content))
    match chance.randrange(4):
        case 0:
            content[place] ^= 1 << chance.randrange(8)
        case 1:
            content[place] = chance.randrange(256)
        case 2:
            content[place : place + 16] = bytes(len(content[place : place + 16]))
        case _:
            sector = place // 512 * 512
            content[sector : sector + 512] = chance.randbytes(512)
    return bytes(content)


def put(path: Path, content: bytes) -> None:
    """Put a file in place, without what SQLite left beside the one before."""
    for name in ("checkpoint.db-wal", "checkpoint.db-shm"):
        path.with_name(name).unlink(missing_ok=True)
    path.write_bytes(content)


# What is left of a stream that met a row which is none complains when it is swept up.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_change_is_found(path: Path, tmp_path: Path) -> None:
    """Of random changes on the disk, after an unclean end, every one that changes what a reader sees is found."""
    whole = unclean(path)
    before = seen(path)
    chance = random.Random(7)
    changes = found = 0
    while changes < size(300, 5000):
        put(path, flipped(whole, chance))
        if seen(path) == before:
            continue
        changes += 1
        try:
            recover(path, tmp_path)
        except CheckpointError:
            found += 1
    note("damage that changes data", changes=changes, found=found)
    assert found == changes
    put(path, whole)
    assert recover(path, tmp_path) == 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE operation SET state = 1 WHERE state = 2",
        "UPDATE operation SET record = replace(record, x'31', x'32')",
        "UPDATE operation SET raw = NULL",
        "UPDATE kind SET name = 'agent.delete' WHERE code = 1",
        "UPDATE step SET state = 2 WHERE state = 1",
        "UPDATE step SET request = x'00'",
        "UPDATE pin SET reply = x''",
        "UPDATE meta SET value = 'reference https://example.com' WHERE key = 'origin'",
        "CREATE TABLE more (x)",
        "DROP INDEX operation_by_state",
    ],
)
def test_wrong_rows_are_found(path: Path, tmp_path: Path, change: str) -> None:
    """A row that is well formed but not what was written is found by its sum; so are other tables."""
    unclean(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(change)

    with pytest.raises(CheckpointError, match=r"is damaged: .*Nothing was sent\..*`A damaged checkpoint`"):
        recover(path, tmp_path)


def test_clean_end_is_not_checked(path: Path, tmp_path: Path) -> None:
    """After a clean end nothing is read but the words about the run: a cron job starts at once."""
    asyncio.run(filled(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert tables.meta(connection)[CLEAN] == "yes"
        connection.execute("UPDATE operation SET raw = x'00'")
    assert recover(path, tmp_path) == 0


def test_end_by_error_is_not_clean(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a run is at it, and after a write has failed, the checkpoint does not count as cleanly closed."""

    def mark() -> str | None:
        reader = open_reader(path)
        assert reader is not None
        with reader:
            return reader.meta(CLEAN)

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async def main() -> None:
        async with open_checkpoint(path) as checkpoint:
            assert mark() == "no"
            monkeypatch.setattr("bulkops.checkpoint.writer.commit", fail)
            await checkpoint.intend(step())

    with pytest.raises(CheckpointError):
        asyncio.run(main())
    assert mark() == "no"
