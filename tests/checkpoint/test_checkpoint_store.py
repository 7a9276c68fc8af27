"""What holds for the checkpoint on disk alone: durability, failure, privacy, one writer."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bulkops.checkpoint import open_reader, tables
from bulkops.checkpoint.batches import commit
from bulkops.checkpoint.opening import open_writable
from bulkops.checkpoint.rescue import CLEAN
from bulkops.checkpoint.store import open_checkpoint
from bulkops.errors import CheckpointError
from bulkops.model import State
from tests.checkpoint.checkpoint_rows import ended, key_of, step

if TYPE_CHECKING:
    from bulkops.checkpoint.batches import Batch
    from bulkops.checkpoint.store import SqliteCheckpoint

ROOT = Path(__file__).parents[2]

INTEND_FOREVER = """
import asyncio, itertools, sys
from pathlib import Path
from bulkops.checkpoint.store import open_checkpoint
from tests.checkpoint.checkpoint_rows import step

async def worker(checkpoint, lines):
    for line in lines:
        await checkpoint.intend(step(line))
        print(line, flush=True)

async def main():
    async with open_checkpoint(Path(sys.argv[1])) as checkpoint:
        lines = itertools.count(int(sys.argv[2]))
        await asyncio.gather(*(worker(checkpoint, lines) for _ in range(16)))

asyncio.run(main())
"""

FILL_THE_DISK = """
import asyncio, resource, sys
from pathlib import Path
from bulkops.checkpoint.store import open_checkpoint
from bulkops.errors import CheckpointError
from tests.checkpoint.checkpoint_rows import ended, step

async def main():
    async with open_checkpoint(Path(sys.argv[1])) as checkpoint:
        await checkpoint.intend(step(0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        big = [checkpoint.intend(step(line, reply=bytes(300_000))) for line in range(1, 30)]
        ends = await asyncio.gather(*big, return_exceptions=True)
        assert all(isinstance(end, CheckpointError) for end in ends), ends
        print(ends[0])
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        later = [checkpoint.intend(step(99)), checkpoint.flush(), checkpoint.steps_of(b""),
                 checkpoint.close_operation(ended(99), keep_steps=False), checkpoint.reopen(b"")]
        ends = await asyncio.gather(*later, return_exceptions=True)
        assert all(isinstance(end, CheckpointError) for end in ends), ends
        try:
            checkpoint.note(step(99))
        except CheckpointError:
            print("nothing afterwards")

try:
    asyncio.run(main())
except CheckpointError as error:
    print(error)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a Python process that runs this code."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def size_of(path: Path) -> int:
    """Return the size of a file."""
    return path.stat().st_size


def modes_in(folder: Path) -> dict[str, int]:
    """Return the permissions of the files in a folder."""
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


def remembered(path: Path) -> set[bytes]:
    """Return the keys of the operations with open steps."""
    reader = open_reader(path)
    assert reader is not None
    with reader:
        return {row.key for row in reader.open_steps()}


def test_intents_survive_kills(path: Path) -> None:
    """Every intent whose call returned is found after kill -9, fifteen times in a row on one checkpoint."""
    promised: set[bytes] = set()
    for turn in range(15):
        process = start(INTEND_FOREVER, path, turn * 1_000_000)
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(1 + turn * 20)]
        process.kill()
        # Not `communicate`: it reads past the lines that `readline` has buffered, and would begin in the middle of one.
        said += process.stdout.readlines()
        process.communicate()
        promised |= {key_of(int(line)) for line in said if line.endswith("\n")}

        assert promised <= remembered(path)
    assert len(promised) > 15


def test_full_disk_stops_for_good(path: Path) -> None:
    """After a failed write all waiters hear it, nothing is taken any more, and what was durable stays."""
    out, err = start(FILL_THE_DISK, path).communicate(timeout=30)

    assert err == ""
    message, rest, last = out.splitlines()
    assert all(
        word in message for word in ("cannot be written", "I/O error", "Nothing more is sent", "space")
    )
    assert "run the same command again" in message
    assert rest == "nothing afterwards"
    assert last.startswith(message)
    assert remembered(path) == {key_of(0)}


def test_failed_commit_is_not_repeated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that failed is not tried again, and neither it nor what was queued behind it is written."""
    tried: list[Batch] = []

    def fail(connection: sqlite3.Connection, batch: Batch) -> None:
        if batch.commands:
            tried.append(batch)
            raise sqlite3.OperationalError("disk I/O error")
        commit(connection, batch)

    monkeypatch.setattr("bulkops.checkpoint.writer.commit", fail)

    async def main() -> None:
        async with open_checkpoint(path) as checkpoint:
            waiting = [checkpoint.intend(step(line)) for line in range(2000)]
            ends = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(end, CheckpointError) for end in ends)

    with pytest.raises(CheckpointError):
        asyncio.run(main())
    assert len(tried) == 1
    assert remembered(path) == set()


def test_last_write_of_all_may_fail(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only the word that all ended well cannot be written, closing says so at once."""
    put_meta = tables.put_meta

    def fail(connection: sqlite3.Connection, key: str, value: str) -> None:
        if (key, value) == (CLEAN, "yes"):
            raise sqlite3.OperationalError("disk I/O error")
        put_meta(connection, key, value)

    monkeypatch.setattr(tables, "put_meta", fail)
    with pytest.raises(CheckpointError, match="disk I/O error"):
        asyncio.run(asyncio.wait_for(nothing(path), 10))


def test_failure_leaves_log_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed write the log is not even copied into the database: the files stay as they are."""
    log = path.with_name("checkpoint.db-wal")

    def fail(_: sqlite3.Connection, batch: Batch) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    def content() -> bytes:
        return path.read_bytes() + log.read_bytes()

    before = []

    async def main() -> None:
        async with open_checkpoint(path) as checkpoint:
            await checkpoint.intend(step())
            before.append(content())
            monkeypatch.setattr("bulkops.checkpoint.writer.commit", fail)
            await checkpoint.flush()

    with pytest.raises(CheckpointError):
        asyncio.run(main())
    assert before == [content()]


def test_failed_note_is_heard_at_the_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A note that could not be written, though nobody waited for it, makes closing raise."""

    def fail(_: sqlite3.Connection, batch: Batch) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async def main() -> None:
        async with open_checkpoint(path) as checkpoint:
            monkeypatch.setattr("bulkops.checkpoint.writer.commit", fail)
            checkpoint.note(step())

    with pytest.raises(CheckpointError, match="cannot be written"):
        asyncio.run(main())


def test_files_are_private(path: Path) -> None:
    """Database, log and index are for their owner alone, and so is the folder that was made for them."""

    async def main() -> dict[str, int]:
        async with open_checkpoint(path) as checkpoint:
            await checkpoint.intend(step())
            return modes_in(path.parent)

    old = os.umask(0o022)
    try:
        modes = asyncio.run(main())
    finally:
        os.umask(old)
    assert modes == dict.fromkeys(["checkpoint.db", "checkpoint.db-wal", "checkpoint.db-shm"], 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_given_folder_keeps_its_mode(path: Path) -> None:
    """A folder that exists keeps the mode that its owner gave it."""
    path.parent.mkdir()
    path.parent.chmod(0o750)

    async def main() -> None:
        async with open_checkpoint(path):
            pass

    asyncio.run(main())
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("wal_autocheckpoint", 0),
        ("journal_size_limit", 64 * 2**20),
        ("mmap_size", 0),
    ],
)
def test_pragmas_are_set(path: Path, pragma: str, value: object) -> None:
    """The writing connection really has the settings that durability rests on."""
    with closing(open_writable(path)) as connection:
        assert connection.execute(f"PRAGMA {pragma}").fetchone() == (value,)


def test_one_connection_writes(path: Path) -> None:
    """While readers and waiters come and go, one descriptor alone is open for writing the database."""

    def writing() -> int:
        found = 0
        for entry in Path("/proc/self/fd").iterdir():
            info = Path(f"/proc/self/fdinfo/{entry.name}")
            if entry.exists() and entry.readlink() == path:
                flags = int(info.read_text().splitlines()[1].split()[1], 8)
                found += flags & os.O_ACCMODE != os.O_RDONLY
        return found

    async def main() -> None:
        async with open_checkpoint(path) as checkpoint:
            await asyncio.gather(*(checkpoint.intend(step(line)) for line in range(50)))
            with checkpoint.reader() as one, checkpoint.reader() as other:
                assert next(one.open_steps()) == next(other.open_steps())
                assert writing() == 1
        assert writing() == 0

    if not Path("/proc/self/fdinfo").is_dir():
        pytest.skip("this system has no /proc")
    asyncio.run(main())


def test_reader_cannot_write(path: Path) -> None:
    """A reader's connection refuses to write, and copies no log."""

    async def main() -> None:
        async with open_checkpoint(path) as checkpoint:
            await checkpoint.intend(step())
            size = size_of(path)
            with checkpoint.reader() as reader:
                for statement in ("DELETE FROM step", "PRAGMA wal_checkpoint"):
                    with pytest.raises(sqlite3.OperationalError):
                        reader._connection.execute(statement).fetchall()
            assert size_of(path) == size

    asyncio.run(main())


def test_reader_reads_while_writer_writes(path: Path) -> None:
    """What was durable when a reader opened is in its streams, while the writer goes on unhindered."""

    async def write(checkpoint: SqliteCheckpoint, lines: range) -> None:
        for line in lines:
            await checkpoint.close_operation(ended(line), keep_steps=False)

    async def main() -> None:
        async with open_checkpoint(path) as checkpoint:
            await write(checkpoint, range(300))
            with checkpoint.reader() as reader:
                rows = reader.rows()
                first = next(rows)
                await write(checkpoint, range(300, 600))
                assert [first, *rows] == [ended(line) for line in range(300)]
                assert sum(reader.counts().values()) == 600

    asyncio.run(main())


def test_abandoned_stream_holds_nothing(path: Path) -> None:
    """A stream that is left early keeps no old state of the database alive."""

    async def main() -> None:
        async with open_checkpoint(path) as checkpoint:
            for line in range(500):
                checkpoint.note(step(line))
            await checkpoint.flush()
            with checkpoint.reader() as reader:
                next(reader.open_steps())
                await checkpoint.intend(step(1000))
                assert len(list(reader.open_steps())) == 501

    asyncio.run(main())


def test_log_stays_short(path: Path) -> None:
    """The log is copied into the database as it grows, so that neither it nor a restart takes long."""

    async def main() -> int:
        async with open_checkpoint(path) as checkpoint:
            for start in range(0, 20_000, 500):
                rows = [ended(line, record=bytes(2000)) for line in range(start, start + 500)]
                closing_all = (checkpoint.close_operation(row, keep_steps=False) for row in rows)
                await asyncio.gather(*closing_all)
            return size_of(path.with_name("checkpoint.db-wal"))

    assert asyncio.run(main()) < 16 * 2**20


def test_closing_leaves_one_file(path: Path) -> None:
    """A checkpoint that was closed is one file, with everything in it, also what was only noted."""

    async def main() -> None:
        async with open_checkpoint(path) as checkpoint:
            for line in range(3000):
                checkpoint.note(step(line))

    asyncio.run(main())
    assert [each.name for each in path.parent.iterdir()] == ["checkpoint.db"]
    assert len(remembered(path)) == 3000


def test_error_in_the_block_keeps_everything(path: Path) -> None:
    """Leaving with an error, or cancelled, writes what was queued and ends the thread."""

    async def fails() -> None:
        async with open_checkpoint(path) as checkpoint:
            checkpoint.note(step(1))
            raise KeyError

    async def hangs(ready: asyncio.Event) -> None:
        async with open_checkpoint(path) as checkpoint:
            checkpoint.note(step(2))
            ready.set()
            await asyncio.Event().wait()

    async def main() -> None:
        with pytest.raises(KeyError):
            await fails()
        ready = asyncio.Event()
        task = asyncio.create_task(hangs(ready))
        await ready.wait()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert remembered(path) == {key_of(1), key_of(2)}
    assert "bulkops-checkpoint" not in {thread.name for thread in threading.enumerate()}


def test_closed_checkpoint_refuses(path: Path) -> None:
    """A checkpoint that was closed takes nothing any more, and says so."""

    async def main() -> None:
        async with open_checkpoint(path) as checkpoint:
            pass
        with pytest.raises(CheckpointError, match="is closed"):
            checkpoint.note(step())

    asyncio.run(main())


async def nothing(path: Path) -> None:
    """Open and close."""
    async with open_checkpoint(path):
        pass


def test_newer_format_is_refused(path: Path) -> None:
    """A checkpoint of a newer format is refused by writer and reader, with what to do, and stays as it is."""
    asyncio.run(nothing(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
    before = path.read_bytes()

    with pytest.raises(CheckpointError, match=r"newer bulkops \(format 99.*Update bulkops"):
        asyncio.run(nothing(path))
    with pytest.raises(CheckpointError, match="newer bulkops"):
        open_reader(path)
    assert before == path.read_bytes()


def test_earlier_format_is_refused(path: Path) -> None:
    """A checkpoint of an earlier format is refused with what to do, and stays as it is."""
    asyncio.run(nothing(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = '1' WHERE key = 'format'")
    before = path.read_bytes()

    with pytest.raises(CheckpointError, match=r"earlier bulkops \(format 1.*--run-dir"):
        asyncio.run(nothing(path))
    assert before == path.read_bytes()


@pytest.mark.parametrize("kind", ["text", "other database"])
def test_other_files_are_refused(path: Path, kind: str) -> None:
    """A file that is no checkpoint is refused by writer and reader and stays as it is."""
    path.parent.mkdir()
    if kind == "text":
        path.write_text("not a database at all\n" * 100)
    else:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE meta (key, value)")
    before = path.read_bytes()

    with pytest.raises(CheckpointError, match="checkpoint"):
        asyncio.run(nothing(path))
    with pytest.raises(CheckpointError, match="checkpoint"):
        open_reader(path)
    assert before == path.read_bytes()


def test_creation_cut_short_is_finished(path: Path) -> None:
    """A file that a crash left empty is nothing to a reader, and becomes a checkpoint at the next start."""
    path.parent.mkdir()
    path.touch(mode=0o600)
    assert open_reader(path) is None
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
    assert open_reader(path) is None

    asyncio.run(nothing(path))
    assert remembered(path) == set()


def test_no_file_is_no_reader(path: Path) -> None:
    """Where there is no checkpoint, reading finds none and makes none."""
    assert open_reader(path) is None
    assert not path.parent.exists()


def test_unwritable_folder_is_said(tmp_path: Path) -> None:
    """Where no checkpoint can be made, opening says so in words."""
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be written"):
        asyncio.run(nothing(tmp_path / "file" / "job.run" / "checkpoint.db"))


READ_ONLY = """
import os, sys
from pathlib import Path
import bulkops.checkpoint.copying  # now: the other user may not read the interpreter's folder
from bulkops.checkpoint import open_reader
if os.geteuid() == 0:
    os.setgroups([])
    os.setuid(65534)
with open_reader(Path(sys.argv[1])) as reader:
    print(len(list(reader.open_steps())))
    print(Path(reader._copy.name).stat().st_mode & 0o777 == 0o700)
print(reader._copy is not None and not Path(reader._copy.name).exists())
"""


def test_read_only_media(path: Path, shared_folder: Path) -> None:
    """Where nothing can be written beside it, a private copy is read, log included, and removed."""
    process = start(INTEND_FOREVER, path, 0)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate()
    wanted = len(remembered(path))
    for name in ("checkpoint.db", "checkpoint.db-wal"):
        (shared_folder / name).write_bytes((path.parent / name).read_bytes())
        (shared_folder / name).chmod(0o444)
    shared_folder.chmod(0o555)

    out, err = start(READ_ONLY, shared_folder / "checkpoint.db").communicate(timeout=30)
    assert (out.split(), err) == ([str(wanted), "True", "True"], "")


def test_reading_imports_no_event_loop() -> None:
    """Importing the package, and with it all that reads, imports no asyncio, anyio, ssl or httpx."""
    code = (
        "import sys, bulkops.checkpoint, bulkops.checkpoint.locking;"
        "print([name for name in ('asyncio', 'anyio', 'ssl', 'httpx') if name in sys.modules])"
    )
    assert start(code).communicate() == ("[]\n", "")


def test_a_stuck_disk_does_not_stop_the_loop(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a commit takes its time, the event loop goes on with other things."""

    def slow(connection: sqlite3.Connection, batch: Batch) -> None:
        time.sleep(0.2)
        commit(connection, batch)

    async def main() -> int:
        ticks = 0
        async with open_checkpoint(path) as checkpoint:
            monkeypatch.setattr("bulkops.checkpoint.writer.commit", slow)
            waiting = asyncio.ensure_future(checkpoint.intend(step()))
            while not waiting.done():
                await asyncio.sleep(0.005)
                ticks += 1
        return ticks

    assert asyncio.run(main()) > 5


def test_commits_are_shared(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What arrives during a commit is the next one, all of it together, up to 1024 records."""
    sizes: list[int] = []
    gate = threading.Event()

    def counted(connection: sqlite3.Connection, batch: Batch) -> None:
        gate.wait(10)
        sizes.append(len(batch.commands))
        commit(connection, batch)

    async def main() -> None:
        async with open_checkpoint(path) as checkpoint:
            monkeypatch.setattr("bulkops.checkpoint.writer.commit", counted)
            first = asyncio.ensure_future(checkpoint.intend(step(0)))
            await asyncio.sleep(0.1)
            others = [asyncio.ensure_future(checkpoint.intend(step(line))) for line in range(1, 1501)]
            await asyncio.sleep(0)
            gate.set()
            await asyncio.gather(first, *others)

    asyncio.run(main())
    assert sizes == [1, 1024, 476]


def test_counting_reads_an_index_only(path: Path) -> None:
    """Counting looks at an index only, however wide the rows are."""
    asyncio.run(nothing(path))
    with closing(sqlite3.connect(path)) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT state, kind, count(*) FROM operation GROUP BY state, kind"
        ).fetchall()
    assert "USING COVERING INDEX operation_by_state" in plan[0][3]


def test_exit_by_signal_leaves_a_sound_file(path: Path) -> None:
    """After kill -9 in the middle of writing, SQLite finds no fault in the file."""
    process = start(INTEND_FOREVER, path, 0)
    assert process.stdout is not None
    for _ in range(200):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_row_of_a_failed_line_keeps_its_text(path: Path) -> None:
    """A row in a state other than done comes with the original line, byte for byte."""
    row = ended(state=State.FAILED, raw='{"name":"Zoë"}'.encode())

    async def main() -> None:
        async with open_checkpoint(path) as checkpoint:
            await checkpoint.close_operation(row, keep_steps=False)

    asyncio.run(main())
    reader = open_reader(path)
    assert reader is not None
    with reader:
        assert [row] == list(reader.rows({State.FAILED}))


def test_a_checkpoint_that_a_power_cut_left_half_made_remembers_nothing(tmp_path: Path) -> None:
    """With the journal of its making beside it, a torn first page is a checkpoint yet to be made, not a broken one."""
    path = tmp_path / "checkpoint.db"
    path.write_bytes(bytes(512) + b"torn" * 128)
    with pytest.raises(CheckpointError):
        open_reader(path)
    path.with_name("checkpoint.db-journal").write_bytes(bytes(512))
    assert open_reader(path) is None
