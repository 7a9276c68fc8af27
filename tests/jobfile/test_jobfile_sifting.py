"""Some lines of a file without the others, and its fingerprint."""

from __future__ import annotations

from hashlib import sha256
from itertools import chain
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.jobfile import JobFile, LineSet, fingerprint, sifted

if TYPE_CHECKING:
    from pathlib import Path

contents = st.lists(
    st.sampled_from([b"a", b"bcd", b"\n", b"\r\n", b" ", b"\r", b"efghijkl"]), max_size=30
).map(b"".join)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents, st.sets(st.integers(1, 30)), st.none() | st.integers(1, 30), st.integers(1, 9))
def test_wanted_lines_are_those_of_a_whole_reading(
    tmp_path: Path, content: bytes, numbers: set[int], all_from: int | None, size: int
) -> None:
    """For any file, cut into blocks anyhow: the wanted lines, with number and offset, and no others."""
    path = tmp_path / "job.jsonl"
    path.write_bytes(content)
    wanted = LineSet()
    for number in numbers:
        wanted.add(number)
    if all_from is not None:
        wanted.add_from(all_from)
    blocks = (content[start : start + size] for start in range(0, len(content), size))
    with JobFile.open(path) as job:
        found = list(chain.from_iterable(sifted(job, wanted, blocks=blocks)))
        assert found == [line for line in job.lines() if line.number in wanted]
        assert found == list(chain.from_iterable(sifted(job, wanted)))


def test_a_fingerprint_is_of_the_whole_file(tmp_path: Path) -> None:
    """Size, line ends and digest are those of all bytes, also of a file of several blocks."""
    content = b"x" * 300_000 + b"\n" + b"y" * 300_000
    path = tmp_path / "job.jsonl"
    path.write_bytes(content)
    with JobFile.open(path) as job:
        found = fingerprint(job)
    assert (found.size, found.line_ends, found.complete) == (600_001, 1, False)
    assert found.digest == sha256(content).hexdigest()
