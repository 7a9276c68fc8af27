from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.model import Created, Failure, State
from bulkops.outputs.saved import Saved
from bulkops.outputs.tables import COLUMNS, LOOKED_AT, cell, guarded, unknown_fields, write_table
from tests.outputs.outputs_rows import row

if TYPE_CHECKING:
    from bulkops.checkpoint.rows import OperationRow
    from bulkops.model import Json


def table(rows: list[OperationRow], select: list[str] | None = None) -> list[dict[str, str]]:
    """Return the rows of the CSV."""
    out = io.StringIO()
    write_table(rows, out, "csv", select)
    return list(csv.DictReader(io.StringIO(out.getvalue())))


@given(
    st.text(alphabet=" \t\r\n\u00a0\u3000\ufeff\u200b", max_size=3),
    st.sampled_from("=+-@\uff1d\uff0b\uff0d\uff20\t\r"),
    st.text(max_size=5).filter(lambda text: not text[:1].isdigit() and text[:1] != "."),
)
def test_no_cell_is_a_formula(blanks: str, sign: str, rest: str) -> None:
    """A sign that begins a formula, also after blanks and in its wide form, gets a `'` in front."""
    assert guarded(blanks + sign + rest) == f"'{blanks}{sign}{rest}"


@given(st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_stay_numbers(number: float) -> None:
    """A number is no formula, whatever its sign."""
    assert guarded(str(number)) == str(number)
    assert float(cell(number)) == number


@pytest.mark.parametrize("text", ["-1+cmd", "-inf", "+1_000", "-\uff11", "- 1", "=1", "-", "+1\n", "@1"])
def test_what_only_looks_like_a_number_is_guarded(text: str) -> None:
    """Only what is a number as a whole is exempt."""
    assert guarded(text) == f"'{text}"


@given(st.text(alphabet="abcXYZ019 _.:/ä'\"", max_size=20))
def test_ordinary_text_stays(text: str) -> None:
    """A text that is no formula is not touched."""
    assert guarded(text) == text


def test_every_cell_is_quoted() -> None:
    """All cells are quoted, headers and numbers too, and lines end with a line feed."""
    out = io.StringIO()
    write_table([row(result={"n": 1})], out, "csv")
    for line in out.getvalue().splitlines():
        assert line.startswith('"')
        assert line.count('","') == len(COLUMNS)
    assert "\r" not in out.getvalue()


def test_a_row_tells_the_whole_outcome() -> None:
    """The fixed columns hold error, files and what was made."""
    failed = row(
        State.FAILED,
        failure=Failure("bad", "=HYPERLINK()", 400, "req_1"),
        created=(Created("document", "d1"), Created("agent", "a1")),
        files=(Saved("lists/x.jsonl", 1, "00"),),
    )
    [told] = table([failed])
    assert told["error_message"] == "'=HYPERLINK()"
    assert (told["http_status"], told["error_code"], told["request_id"]) == ("400", "bad", "req_1")
    assert (told["created"], told["files"]) == ("document:d1 agent:a1", "lists/x.jsonl")
    assert (told["passed"], told["duration_ms"]) == ("", "1500")


def test_results_are_flattened_one_level() -> None:
    """Objects in the result become columns, what is deeper is JSON, and names that are taken get a prefix."""
    result = {
        "agent_id": "a",
        "conf": {"x": 1, "deep": {"y": 2}},
        "tags": ["t"],
        "status": "ready",
        "ok": True,
    }
    [told] = table([row(result=result, meta={"owner": "me"})])
    assert list(told)[len(COLUMNS) :] == [
        "agent_id", "conf.x", "conf.deep", "result.tags", "result.status", "ok", "meta.owner",
    ]  # fmt: skip
    assert (told["conf.x"], told["conf.deep"], told["result.tags"]) == ("1", '{"y":2}', '["t"]')
    assert (told["status"], told["result.status"], told["ok"], told["meta.owner"]) == (
        "done",
        "ready",
        "true",
        "me",
    )


def test_selected_fields_are_the_columns() -> None:
    """`select` names the columns in their order, by any path; what is missing is empty."""
    rows = [row(result={"a": {"b": {"c": 5}}, "status": "ready"}), row(result=None)]
    found = table(rows, ["a.b.c", "none", "id", "result.status"])
    assert list(found[0]) == ["a.b.c", "none", "id", "result.status"]
    assert [(one["a.b.c"], one["none"], one["result.status"]) for one in found] == [
        ("5", "", "ready"),
        ("", "", ""),
    ]


def test_columns_come_from_the_first_thousand_rows() -> None:
    """Fields that appear only later are left out, and that is told."""
    rows = [row(line=n, result={"early": n}) for n in range(LOOKED_AT)]
    out = io.StringIO()
    left_out = write_table([*rows, row(result={"early": 0, "late": 1})], out, "csv")
    assert left_out == ["late"]
    assert len(out.getvalue().splitlines()) == LOOKED_AT + 2


def test_column_names_are_guarded() -> None:
    """A field's name comes from the server and is no formula either."""
    assert "'=cmd" in table([row(result={"=cmd": 1})])[0]


def test_only_the_failed() -> None:
    """`failed_only` leaves everything that is neither done nor skipped."""
    out = io.StringIO()
    ended = [state for state in State if state is not State.NOT_STARTED]
    rows = [row(state, line=n, id=state.value) for n, state in enumerate(ended)]
    write_table(rows, out, "jsonl", failed_only=True)
    ids = [orjson.loads(line)["id"] for line in out.getvalue().splitlines()]
    assert ids == ["failed", "blocked", "in_doubt"]


def test_json_lines_are_the_records() -> None:
    """As JSON lines, results are the records themselves."""
    out = io.StringIO()
    one = row(result={"name": "ä\u2028"})
    write_table([one], out, "jsonl")
    assert out.getvalue() == one.record.decode() + "\n"


def test_json_lines_keep_what_is_selected() -> None:
    """With `select`, a line has the selected fields and nothing else, in that order."""
    out = io.StringIO()
    write_table(
        [row(result={"a": {"b": 1}, "c": 2}), row(State.FAILED)], out, "jsonl", ["a.b", "z", "status"]
    )
    assert [orjson.loads(line) for line in out.getvalue().splitlines()] == [
        {"a.b": 1, "z": None, "status": "done"},
        {"a.b": None, "z": None, "status": "failed"},
    ]


@given(
    st.dictionaries(
        st.text(), st.none() | st.integers(-9, 9) | st.text() | st.dictionaries(st.text(), st.text())
    )
)
def test_any_result_is_a_table(result: dict[str, Json]) -> None:
    """Every result makes a row with as many cells as the header."""
    out = io.StringIO()
    write_table([row(result=result)], out, "csv")
    header, cells = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert len(header) == len(cells)


def test_account_and_tags_are_columns() -> None:
    """A row tells its account, where that is not the run's own, and its tags; they can be selected."""
    rows = [row(tags=("a", "b"), account="eu", result={"tags": "own"}), row(line=2, id="two")]
    told = table(rows)
    assert [(each["account"], each["tags"], each["result.tags"]) for each in told] == [
        ("eu", "a b", "own"),
        ("", "", ""),
    ]
    out = io.StringIO()
    write_table(rows, out, "jsonl", ["account", "tags"])
    assert [orjson.loads(line) for line in out.getvalue().splitlines()] == [
        {"account": "eu", "tags": ["a", "b"]},
        {"account": None, "tags": None},
    ]


def test_a_field_that_no_row_has_is_told() -> None:
    """With the name that was probably meant; what one row has, or leads deeper to, is known."""
    rows = [row(), row(line=2, result={"agent_id": "a", "b": {"c": {"d": None}}}, meta={"x": 1})]
    assert unknown_fields(rows, ["id", "agent_id", "meta.x", "b.c.d", "tags"]) == {}
    assert unknown_fields(rows, ["agentid"]) == {"agentid": "did you mean `agent_id`?"}
    assert unknown_fields([], ["agentid"]) == {}
