"""Parts of a data set, in each format, read back by others than us."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from bulkops.errors import CheckpointError
from bulkops.outputs.dataset import Column, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COLUMNS = [
    Column("id", "text"),
    Column("n", "whole"),
    Column("x", "number"),
    Column("at", "moment"),
    Column("more", "json"),
]
ROW = {"id": "a", "n": 3, "x": 0.5, "at": 1762171200.25, "more": {"k": ["ä", 1]}}
EMPTY = {"id": None}


def test_json_lines_have_every_column_in_order(tmp_path: Path) -> None:
    """Any JSON is itself, a moment is RFC 3339, and what is not there null."""
    with Writer("jsonl").part(tmp_path / "p.jsonl", COLUMNS) as rows:
        rows.add([ROW])
        rows.add([EMPTY])
    first, second = map(orjson.loads, (tmp_path / "p.jsonl").read_bytes().splitlines())
    assert first == {**ROW, "at": "2025-11-03T12:00:00.250Z"}
    assert list(first) == [column.name for column in COLUMNS]
    assert second == dict.fromkeys(first)


def test_csv_has_a_heading_and_texts_that_are_no_formulas(tmp_path: Path) -> None:
    """Python's reader finds what was written; what is no text is its JSON, and a formula is defused."""
    with Writer("csv").part(tmp_path / "p.csv", COLUMNS) as rows:
        rows.add([ROW, {**ROW, "id": "=1+1", "more": 'plain "text"\nwith a line'}])
        rows.add([EMPTY])
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as file:
        head, *found = csv.reader(file)
    assert head == ["id", "n", "x", "at", "more"]
    assert found[0] == ["a", "3", "0.5", "2025-11-03T12:00:00.250Z", '{"k":["ä",1]}']
    assert (found[1][0], found[1][4]) == ("'=1+1", 'plain "text"\nwith a line')
    assert found[2] == [""] * 5


def test_parquet_has_types_and_a_row_group_for_each_group(tmp_path: Path) -> None:
    """Its own reader finds the types and values; groups of rows are row groups, not files."""
    with Writer("parquet") as writer, writer.part(tmp_path / "p.parquet", COLUMNS) as rows:
        rows.add([ROW, {**ROW, "more": "text"}])
        rows.add([EMPTY])
    file = parquet.ParquetFile(tmp_path / "p.parquet")
    assert file.num_row_groups == 2
    assert [str(field.type) for field in file.schema_arrow] == [
        "string", "int64", "double", "timestamp[ms, tz=UTC]", "string",
    ]  # fmt: skip
    first, second, third = file.read().to_pylist()
    assert first == {
        **ROW,
        "at": datetime(2025, 11, 3, 12, 0, 0, 250_000, tzinfo=UTC),
        "more": '{"k":["ä",1]}',
    }
    assert second["more"] == "text"
    assert set(third.values()) == {None}


@pytest.fixture(scope="module")
def writers() -> Iterator[dict[str, Writer]]:
    """Return a writer for each format, for all examples."""
    with Writer("jsonl") as lines, Writer("csv") as cells, Writer("parquet") as groups:
        yield {"jsonl": lines, "csv": cells, "parquet": groups}


_VALUES = st.fixed_dictionaries(
    {
        "id": st.none() | st.text(),
        "n": st.none() | st.integers(-(2**63), 2**63 - 1),
        "x": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "at": st.none() | st.integers(0, 253_402_300_799_000).map(lambda ms: ms / 1000),
        "more": st.none() | st.text() | st.dictionaries(st.text(), st.integers(0, 9)),
    }
)


@given(rows=st.lists(_VALUES, min_size=1, max_size=5), format=st.sampled_from(["jsonl", "csv", "parquet"]))
def test_any_row_is_written_in_every_format(
    rows: list[dict[str, Any]],
    format: Any,
    tmp_path_factory: pytest.TempPathFactory,
    writers: dict[str, Writer],
) -> None:
    """As many rows come back as were written, and in Parquet their texts and numbers as they were."""
    path = tmp_path_factory.mktemp("part") / f"p.{format}"
    texts = [r for row in rows for r in [row["id"], row["more"]] if isinstance(r, str)]
    if any("\ud800" <= c <= "\udfff" for text in texts for c in text):
        # Half of a pair is in no JSON text that the API could answer with.
        return
    with writers[format].part(path, COLUMNS) as out:
        out.add(rows)
    if format == "parquet":
        found = parquet.read_table(path).to_pylist()
        assert [(r["id"], r["n"], r["x"]) for r in found] == [(r["id"], r["n"], r["x"]) for r in rows]
    elif format == "csv":
        with path.open(encoding="utf-8", newline="") as file:
            assert len(list(csv.reader(file))) == len(rows) + 1
    else:
        assert len(path.read_bytes().splitlines()) == len(rows)


def test_a_part_that_fails_is_not_there(tmp_path: Path) -> None:
    """When its rows cannot be made, neither the part nor anything else stands in the folder."""

    def attempt() -> None:
        with Writer("parquet") as writer, writer.part(tmp_path / "p.parquet", COLUMNS) as rows:
            rows.add([ROW])
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - raised a line above
        attempt()
    assert list(tmp_path.iterdir()) == []


def test_parts_follow_each_other_and_one_that_was_given_up(tmp_path: Path) -> None:
    """One process writes many parts; after one that fails in the middle another writer goes on."""
    with pytest.raises(ValueError), Writer("parquet") as writer, writer.part(tmp_path / "a", COLUMNS) as rows:  # noqa: PT011, PT012 - raised a line below
        rows.add([ROW])
        raise ValueError
    with Writer("parquet") as writer:
        for name in ("b", "c"):
            with writer.part(tmp_path / name, COLUMNS) as rows:
                rows.add([ROW])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "c"]
    assert parquet.read_table(tmp_path / "c").num_rows == 1


def test_what_cannot_be_written_ends_the_export(tmp_path: Path) -> None:
    """When the process that writes fails, the part is not there, and the error says which."""
    wrong = [Column("n", "whole")]
    with (
        pytest.raises(CheckpointError, match="could not be written"),
        Writer("parquet") as writer,
        writer.part(tmp_path / "p.parquet", wrong) as rows,
    ):
        rows.add([{"n": "three"}])
    assert list(tmp_path.iterdir()) == []
