"""Parquet is written by a process of its own: its libraries take 70 MB, more than all else that an export needs.

`Parquet` is the side of the export, `main` that of the other process. What goes over are lines of JSON: the path
and the columns of a part, then one for each group of rows; an empty line ends it, and is answered by another one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Self

import orjson

from bulkops.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from bulkops.model import Json
    from bulkops.outputs.dataset import Column

_FEW: Final = ("agent_id", "status", "source", "analysis")
"""The columns in which the same values come again and again; a dictionary of the others is only memory."""


class Parquet:
    """The process that writes, from its first part on; a context manager."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Return itself; the process is started when there is something to write."""
        return self

    def __exit__(self, *raised: object) -> None:
        """End it: without more to read it ends by itself."""
        if self._process is not None:
            with self._process, suppress(BrokenPipeError):
                assert self._process.stdin is not None
                self._process.stdin.close()

    @contextmanager
    def part(self, path: Path, columns: Sequence[Column]) -> Iterator[Groups]:
        """Give what takes the rows of a part, whose file is there and empty."""
        if self._process is None:
            # A session of its own: an interrupt is for the export, which then ends it. Arrow's own pool of memory
            # keeps what it once had.
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
                env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
            )
        groups = Groups(self._process)
        groups.send({"path": str(path.absolute()), "columns": [tuple(column) for column in columns]})
        try:
            yield groups
            groups.end(path)
        except BaseException:
            # Whatever it still writes, nobody wants.
            self._process.kill()
            raise


class Groups:
    """Takes the rows of one part."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def add(self, rows: Sequence[Mapping[str, Json]]) -> None:
        """Write a group of rows; see `dataset.Rows`."""
        self.send(rows)

    def send(self, told: Json) -> None:
        """Tell the process something."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
        except BrokenPipeError:
            self._failed("a part")

    def end(self, path: Path) -> None:
        """Wait until the part is whole. CheckpointError when it could not be written."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._failed(str(path))
        if self._process.stdout.readline() != b"\n":
            self._failed(str(path))

    def _failed(self, what: str) -> None:
        raise CheckpointError(
            f"{what} could not be written: the process that writes Parquet has ended; what it said stands above"
        ) from None


def main(told: BinaryIO, answers: BinaryIO) -> None:
    """Write the parts that are told."""
    for line in told:
        begin = orjson.loads(line)
        _write(begin["path"], begin["columns"], told)
        answers.write(b"\n")
        answers.flush()


def _write(path: str, columns: Sequence[tuple[str, str]], told: BinaryIO) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    pa.set_cpu_count(1)
    types = {
        "text": pa.string(),
        "whole": pa.int64(),
        "number": pa.float64(),
        "moment": pa.timestamp("ms", tz="UTC"),
        "json": pa.string(),
    }
    schema = pa.schema([(name, types[kind]) for name, kind in columns])
    few = [name for name, _ in columns if name in _FEW]
    with parquet.ParquetWriter(path, schema, compression="zstd", use_dictionary=few) as writer:
        for line in told:
            if line == b"\n":
                return
            rows = orjson.loads(line)
            del line
            arrays = [
                pa.array([_VALUES[kind](row.get(name)) for row in rows], types[kind])
                for name, kind in columns
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=len(rows))
    # The export has ended in the middle of a part, which nobody will look for.


def _same(value: Json) -> Json:
    return value


def _milliseconds(value: Json) -> Json:
    return None if value is None else round(value * 1000)


def _text(value: Json) -> Json:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


_VALUES: Final = {"text": _same, "whole": _same, "number": _same, "moment": _milliseconds, "json": _text}


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
