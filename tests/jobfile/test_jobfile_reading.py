"""Raw lines: numbers, offsets, blocks, and what cannot be a job file."""

from __future__ import annotations

import os
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.errors import JobError
from bulkops.jobfile import JobFile, RawLine
from bulkops.jobfile.reading import LONGEST_LINE

PIECES = st.lists(
    st.tuples(
        st.binary(max_size=12).map(lambda raw: raw.replace(b"\n", b"")), st.sampled_from([b"\n", b"\r\n"])
    ),
    max_size=12,
)


def expected(data: bytes) -> list[RawLine]:
    """Say what has to be read, the plain way."""
    lines, offset = [], 0
    for number, piece in enumerate(data.split(b"\n"), start=1):
        if piece.strip():
            lines.append(RawLine(number, offset, piece.removesuffix(b"\r")))
        offset += len(piece) + 1
    return lines


@given(PIECES, st.booleans(), st.integers(1, 9))
def test_lines_do_not_depend_on_blocks(pieces: list[tuple[bytes, bytes]], ended: bool, block: int) -> None:  # noqa: FBT001
    """Any lines, split into blocks of any size, give the same numbers, offsets and bytes."""
    data = b"".join(raw + end for raw, end in pieces)
    data = data if ended else data.removesuffix(b"\n")
    with TemporaryDirectory() as folder:
        path = Path(folder, "job.jsonl")
        path.write_bytes(data)
        with JobFile.open(path) as file:
            lines = list(file.lines(block=block))
            assert lines == expected(data)
            assert lines == list(file.lines())
            assert lines == [line for batch in file.batches(block=block) for line in batch]
            for position, line in enumerate(lines):
                assert data[line.offset :].startswith(line.raw)
                assert file.line_at(line.offset, line.number) == line
                assert list(file.lines(line.offset, line.number, block=block)) == lines[position:]
                assert list(file.lines(file.after(line), line.number + 1)) == lines[position + 1 :]


def test_blank_lines_count(tmp_path: Path) -> None:
    """Blank lines are skipped, and the lines after them keep the numbers an editor shows."""
    path = tmp_path / "job.jsonl"
    path.write_bytes(b'\n  \r\n{"a":1}\r\n\n{"b":2}')
    with JobFile.open(path) as file:
        assert [(line.number, line.raw) for line in file.lines()] == [(3, b'{"a":1}'), (5, b'{"b":2}')]


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    """An empty file is read as no lines."""
    path = tmp_path / "job.jsonl"
    path.touch()
    with JobFile.open(path) as file:
        assert list(file.lines()) == []


def test_the_longest_line_is_read_and_a_longer_one_refused(tmp_path: Path) -> None:
    """A line of 8 MiB is read; one more byte is an error with the line's number and the limit."""
    path = tmp_path / "job.jsonl"
    path.write_bytes(b"{}\n" + b"x" * LONGEST_LINE + b"\n" + b"y" * (LONGEST_LINE + 1) + b"\n")
    with JobFile.open(path) as file:
        lines = file.lines()
        assert next(lines).raw == b"{}"
        long = next(lines)
        assert len(long.raw) == LONGEST_LINE
        assert file.line_at(long.offset, long.number) == long
        with pytest.raises(JobError, match="line 3: the line is longer than 8 MiB; split it up"):
            next(lines)
        with pytest.raises(JobError, match="line 3: the line is longer than 8 MiB"):
            file.line_at(file.after(long), 3)


def test_a_huge_line_is_not_read_into_memory(tmp_path: Path) -> None:
    """A line of 1 GiB is refused with memory for little more than the longest line."""
    path = tmp_path / "job.jsonl"
    with path.open("wb") as sparse:
        sparse.truncate(2**30)
    tracemalloc.start()
    try:
        with JobFile.open(path) as file, pytest.raises(JobError, match="longer than 8 MiB"):
            list(file.lines())
        assert tracemalloc.get_traced_memory()[1] < 3 * LONGEST_LINE
    finally:
        tracemalloc.stop()


def test_threads_read_at_once(tmp_path: Path) -> None:
    """Lines are read by offset from many threads while another reads the whole file."""
    path = tmp_path / "job.jsonl"
    path.write_bytes(b"".join(b'{"n": %d}\n' % number for number in range(2000)))
    with JobFile.open(path) as file, ThreadPoolExecutor(8) as threads:
        lines = list(file.lines())
        read = threads.map(lambda line: file.line_at(line.offset, line.number), lines)
        assert list(file.lines(block=100)) == lines
        assert list(read) == lines


def refusal(path: str | Path) -> str:
    """Return the one problem with which opening fails."""
    with pytest.raises(JobError) as caught:
        JobFile.open(path)
    assert len(caught.value.problems) == 1
    return str(caught.value)


def test_what_is_no_job_file_is_refused(tmp_path: Path) -> None:
    """Missing files, directories, pipes and impossible names are errors that say what to do."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert refusal(tmp_path / "none.jsonl").endswith("none.jsonl: there is no such file; check the path")
    assert "is a directory; name the job file in it" in refusal(tmp_path)
    assert "no regular file; a job is read more than once" in refusal(pipe)
    assert "cannot be read (Too many levels" in refusal(loop)
    assert "cannot be read (embedded null byte)" in refusal("job\0.jsonl")
    assert "bell�.jsonl: there is no" in refusal("bell\a.jsonl")


def test_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without the permission to read is an error that names the remedy."""

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    assert "not allowed to read it; change its permissions (chmod u+r)" in refusal(tmp_path / "job.jsonl")


def test_a_failing_disk_is_an_error_of_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that fails half-way is reported with its reason."""
    path = tmp_path / "job.jsonl"
    path.write_bytes(b"{}\n")

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    with JobFile.open(path) as file:
        monkeypatch.setattr("os.pread", fail)
        with pytest.raises(JobError, match=re.escape("cannot be read (Input/output error)")):
            list(file.lines())


def test_the_folder_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths of a job start at the folder in which its file was named, links not followed."""
    (tmp_path / "real.jsonl").touch()
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "job.jsonl").symlink_to(tmp_path / "real.jsonl")
    monkeypatch.chdir(tmp_path)
    with JobFile.open("jobs/job.jsonl") as file:
        assert file.folder == tmp_path / "jobs"
        assert file.name == "jobs/job.jsonl"
