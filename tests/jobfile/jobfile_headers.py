"""What the tests of headers share: job files that begin with one, what is wrong with it, and objects to merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import strategies as st

from bulkops.errors import JobError
from bulkops.jobfile import JobFile, read_header

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.jobfile import Given, Header

FLAT = st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 3))
OBJECTS = st.recursive(FLAT, lambda inner: st.dictionaries(st.sampled_from("abc"), st.none() | inner | FLAT))


def read(
    tmp_path: Path, *lines: bytes, environ: dict[str, str] | None = None, given: Given | None = None
) -> tuple[Header, list[bytes]]:
    """Write a job file; return its header and the lines after it."""
    path = tmp_path / "job.jsonl"
    path.write_bytes(b"".join(lines))
    with JobFile.open(path) as file:
        header = read_header(file, environ, given)
        return header, [line.raw for line in file.lines(header.start, header.first)]


def problems(tmp_path: Path, said: Any, **beside: Any) -> list[str]:
    """Return what is wrong with a header, without the file's name."""
    with pytest.raises(JobError) as caught:
        read(tmp_path, orjson.dumps({"$job": said, **beside}))
    assert {problem.line for problem in caught.value.problems} == {1}
    return [f"`{problem.field}` {problem.message}" for problem in caught.value.problems]
