"""Writing a spool: private files that only grow, one for each day and size, and what a full disk leaves."""

from __future__ import annotations

import resource
import stat
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from bulkops.errors import UsageError
from bulkops.webhook.checking import delivery_of
from bulkops.webhook.recent import Recent
from bulkops.webhook.spool import POST_CALL, SpoolDamage, day_of, digest_of, files, line_of, parts_of, read
from bulkops.webhook.writer import SpoolWriter
from tests.webhook.webhook_doubles import WEBHOOK, conversations, event, spooled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bulkops.webhook.writer import Delivery

NOON = 1762171200.0
DAY = 86400.0


def delivery(number: int, at: float = NOON) -> Delivery:
    """Return a delivery."""
    return delivery_of(event(number), at, WEBHOOK)


@contextmanager
def writing(spool: Path, rotate: int = 2**20) -> Iterator[SpoolWriter]:
    """Open a spool for writing."""
    writer = SpoolWriter(spool, rotate)
    writer.prepare()
    try:
        yield writer
    finally:
        writer.close()


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_everything_is_private(tmp_path: Path) -> None:
    """Files are 0600 and folders 0700: transcripts are personal data."""
    spool = tmp_path / "spool"
    with writing(spool) as writer:
        writer.append([delivery(1)])
    modes = {stat.S_IMODE(path.stat().st_mode): path.is_dir() for path in [spool, *spool.rglob("*")]}
    assert modes == {0o700: True, 0o600: False}


def test_a_day_and_a_size_have_files_of_their_own(tmp_path: Path) -> None:
    """By the day of receipt in UTC; a file that has reached its size is not added to."""
    with writing(tmp_path, rotate=2000) as writer:
        for number in range(20):
            writer.append([delivery(number)])
        writer.append([delivery(20, NOON + DAY), delivery(21)])
    found = files(tmp_path)
    assert {file.day for file in found} == {day_of(NOON), day_of(NOON + DAY)}
    sizes = [file.path.stat().st_size for file in found if file.day == day_of(NOON)]
    assert len(sizes) > 2
    assert all(2000 <= size < 2400 for size in sizes[:-1])
    assert sorted(conversations(tmp_path)) == sorted(f"conv_{n}" for n in range(22))


def test_writers_do_not_share_files(tmp_path: Path) -> None:
    """Two at once have a file each, and everything is there once."""
    with writing(tmp_path) as one, writing(tmp_path) as other:
        for number in range(10):
            (one if number % 2 else other).append([delivery(number)])
    assert len(files(tmp_path)) == 2
    assert sorted(conversations(tmp_path)) == sorted(f"conv_{n}" for n in range(10))


def test_a_file_that_was_begun_is_never_added_to(tmp_path: Path) -> None:
    """A new process begins new files: what a killed one left stays as it is."""
    with writing(tmp_path) as writer:
        writer.append([delivery(1)])
    (first,) = files(tmp_path)
    before = first.path.read_bytes()
    with writing(tmp_path) as writer:
        writer.append([delivery(2)])
    assert first.path.read_bytes() == before
    assert len(files(tmp_path)) == 2


def test_what_a_full_disk_leaves_is_read_as_what_it_is(tmp_path: Path) -> None:
    """A write that the disk cuts is an error; half a line stays, unread, and what comes later is in another file."""
    with writing(tmp_path) as writer:
        writer.append([delivery(1)])
        size = files(tmp_path)[0].path.stat().st_size
        with file_limit(size * 2 + size // 2), pytest.raises(OSError, match="File too large"):
            writer.append([delivery(n) for n in range(2, 9)])
        (torn,) = files(tmp_path)
        assert not torn.path.read_bytes().endswith(b"\n")
        writer.append([delivery(9)])
    assert len(files(tmp_path)) == 2
    assert conversations(tmp_path) == ["conv_1", "conv_2", "conv_9"]


def test_a_disk_that_takes_nothing_leaves_no_heap_of_files(tmp_path: Path) -> None:
    """However often it is tried, there is one file."""
    with writing(tmp_path) as writer:
        writer.append([delivery(1)])
        size = files(tmp_path)[0].path.stat().st_size
        for _ in range(5):
            with file_limit(size), pytest.raises(OSError, match="File too large"):
                writer.append([delivery(2)])
        writer.append([delivery(2)])
    assert len(files(tmp_path)) == 1
    assert conversations(tmp_path) == ["conv_1", "conv_2"]


def test_readers_beside_the_writer_see_whole_lines_once(tmp_path: Path) -> None:
    """Readers that go on where they were, while files grow and are exchanged, see each event once and no damage."""
    count = 400
    seen: list[list[str]] = [[], []]
    over = threading.Event()

    def follow(mine: list[str]) -> None:
        places: dict[Path, int] = {}
        last = False
        while not last:
            last = over.is_set()
            for file in files(tmp_path):
                for line in read(file.path, places.get(file.path, 0)):
                    places[file.path] = line.offset + line.length
                    mine.append(line.event["data"]["conversation_id"])

    readers = [threading.Thread(target=follow, args=(mine,)) for mine in seen]
    with writing(tmp_path, rotate=4000) as writer:
        for reader in readers:
            reader.start()
        for number in range(0, count, 4):
            writer.append([delivery(number + n) for n in range(4)])
    over.set()
    for reader in readers:
        reader.join()
    for mine in seen:
        assert sorted(mine) == sorted(f"conv_{n}" for n in range(count))
    assert len(files(tmp_path)) > 10


@pytest.mark.parametrize("at", ["nowhere/spool", "file"])
def test_a_spool_that_cannot_be_made_is_told(tmp_path: Path, at: str) -> None:
    """With its path and what to do."""
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(0o600)
    with pytest.raises(UsageError, match=r"cannot be written: .*; name a folder with --spool"):
        SpoolWriter(tmp_path / at, 1).prepare()


def test_a_line_gives_back_what_it_was_made_of() -> None:
    """What stands in a line of ours is found without reading the event."""
    body = event(1)
    line = line_of(NOON + 0.5, "0" * 64, body)
    assert parts_of(line) == (NOON + 0.5, "0" * 64, body)
    assert digest_of(line) == "0" * 64
    assert parts_of(body) is None
    assert digest_of(body) is None


def test_what_came_lately_is_known_after_a_start(tmp_path: Path) -> None:
    """Of the days that were asked for, the newest; of damaged files, what is whole."""
    with writing(tmp_path, rotate=1500) as writer:
        for number in range(10):
            writer.append([delivery(number)])
        writer.append([delivery(10, NOON - 5 * DAY)])
    digests = {line.event["data"]["conversation_id"]: line.sha256 for line in spooled(tmp_path)}
    with files(tmp_path)[-1].path.open("ab") as last:
        last.write(b"nonsense\n" + line_of(NOON, "f" * 64, b"{}")[:-1])
    recent = Recent(1000)
    recent.fill(tmp_path, [day_of(NOON)])
    assert [f"conv_{n}" for n in range(11) if digests[f"conv_{n}"] in recent] == [
        f"conv_{n}" for n in range(10)
    ]
    assert "f" * 64 not in recent
    everything = Recent(1000)
    everything.fill(tmp_path)
    assert digests["conv_10"] in everything
    with pytest.raises(SpoolDamage):
        spooled(tmp_path, POST_CALL)


def test_what_is_remembered_is_bounded() -> None:
    """The newest are known, as many as was said; older ones go, and twice as many are never held."""
    recent = Recent(100)
    for number in range(1000):
        recent.add(f"{number:064x}"[::-1])
    known = [number for number in range(1000) if f"{number:064x}"[::-1] in recent]
    assert known == list(range(1000 - len(known), 1000))
    assert 100 <= len(known) <= 200
