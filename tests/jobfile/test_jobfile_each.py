"""Rows become lines: `$each` over CSV, JSON lines and files."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.errors import JobError
from bulkops.jobfile import LineProblems, open_job
from bulkops.jobfile.each import RowTemplate
from bulkops.jobfile.expressions import prepare
from bulkops.jobfile.holes import resolve
from bulkops.jobfile.reading import BLOCK

if TYPE_CHECKING:
    from bulkops.model import Json

LINE = {"op": "agent.get", "id": "a:${row:id}", "agent_id": "${row:id}"}


def write(folder: Path, *lines: Any) -> Path:
    """Write a job file."""
    path = folder / "job.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines))
    return path


def written_out(path: Path) -> list[Any]:
    """Return the lines of a job with each `$each` written out."""
    with open_job(path) as job:
        return [orjson.loads(line.raw) for line in job.lines()]


def refusal(path: Path) -> list[str]:
    """Return everything that is wrong with an `$each` of a job, with the folder of the test left out."""
    with pytest.raises(JobError) as refused, open_job(path):
        pass
    return [str(problem).replace(f"{path.parent}/", "") for problem in refused.value.problems]


def over_csv(folder: Path, text: str | bytes, line: Any = None, **options: Any) -> Path:
    """Write a job with one `$each` over a CSV file of this content."""
    (folder / "rows.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    return write(folder, {"$each": {"csv": "rows.csv", **options}, "line": line or LINE})


def test_each_row_becomes_a_line(tmp_path: Path) -> None:
    """A row of a CSV file makes a line, in its place among the lines of the job, which stay byte for byte."""
    (tmp_path / "rows.csv").write_text("id,name\nx,X\n\ny,Y\n")
    before, after = b'{"op" :"agent.list"}', b'{"op":"agent.get","agent_id":"b"}'
    path = write(tmp_path, before, b"", {"$each": {"csv": "rows.csv"}, "line": LINE}, after)
    with open_job(path) as job:
        raws = [line.raw for line in job.lines()]
    assert [raws[0], raws[-1]] == [before, after]
    assert [orjson.loads(raw)["id"] for raw in raws[1:-1]] == ["a:x", "a:y"]


def test_a_job_without_each_is_itself(tmp_path: Path) -> None:
    """A job without `$each` is read from its own file, also where the word stands in a text."""
    path = write(tmp_path, {"op": "agent.create", "body": {"name": "$each", "x": '"$each"'}})
    with open_job(path) as job:
        assert [line.raw for line in job.lines()] == [path.read_bytes()]
        assert job.unchanged


@pytest.mark.parametrize("place", range(7))
def test_an_each_across_two_blocks(tmp_path: Path, place: int) -> None:
    """An `$each` is seen wherever the blocks that are read happen to end in it."""
    (tmp_path / "rows.csv").write_text("id\nx\n")
    each = orjson.dumps({"$each": {"csv": "rows.csv"}, "line": LINE})
    path = write(tmp_path, b" " * (BLOCK - 2 - place), each)
    assert path.read_bytes()[BLOCK - place : BLOCK + 7 - place] == b'"$each"'
    assert [line["id"] for line in written_out(path)] == ["a:x"]


def test_quoted_cells(tmp_path: Path) -> None:
    """Commas, quotes, line ends and other alphabets within quotes belong to the cell; a byte order mark does not."""
    text = '\ufeffid,name\r\n1,"a, ""b""\nÄ\u2028"\r\n'
    (line,) = written_out(
        over_csv(tmp_path, text, {"op": "agent.create", "body": {"name": "${row:name}", "i": "${row:id}"}})
    )
    assert line["body"] == {"name": 'a, "b"\nÄ\u2028', "i": "1"}


def test_options_of_csv(tmp_path: Path) -> None:
    """A delimiter and an encoding can be named, and columns that are no text; an empty cell of such a one is null."""
    text = "id;n;b;j;f\nä;3;TRUE;[1];0.5\nö;;;;\n".encode("cp1252")
    types = {"n": "integer", "b": "boolean", "j": "json", "f": "number"}
    body = {"all": ["${row:id}", "${row:n}", "${row:b}", "${row:j}", "${row:f}"]}
    path = over_csv(
        tmp_path, text, {"op": "agent.create", "body": body}, delimiter=";", encoding="cp1252", types=types
    )
    assert [line["body"]["all"] for line in written_out(path)] == [
        ["ä", 3, True, [1], 0.5],
        ["ö", None, None, None, None],
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "rows.csv: the file is empty; its first line has to name the columns"),
        ("id,id\n", "rows.csv, line 1: the column 'id' is named twice; give each column a name of its own"),
        ("id,\n", "rows.csv, line 1: a column has no name; give each column a name of its own"),
        (
            "id,b\n1,2\n3\n",
            "rows.csv, line 3: the row has 1 cells, and the first line names 2 columns; correct the row",
        ),
        (
            "id\n1,2\n",
            "rows.csv, line 2: the row has 2 cells, and the first line names 1 columns; correct the row",
        ),
        (
            'id\n"1\n2\n',
            "rows.csv, line 3: cannot be read as CSV (unexpected end of data; a cell has 8 MiB at most)",
        ),
        (b"id\n\xe4\n", "rows.csv, line 2: is not utf-8 here; save it as UTF-8, or say what it is"),
        (
            "id;name\n1;x\n",
            "job.jsonl, line 1: `line.id` asks for ${row:id}, and the rows have no such column; known are id;name; is",
        ),
        (
            "name\n1\n",
            "job.jsonl, line 1: `line.id` asks for ${row:id}, and the rows have no such column; known are name",
        ),
    ],
)
def test_bad_csv(tmp_path: Path, text: str | bytes, said: str) -> None:
    """What is wrong with a CSV file is told with its line, or the field that asks for it, and what to do."""
    assert refusal(over_csv(tmp_path, text))[0].startswith(said)


def test_all_bad_rows_are_told(tmp_path: Path) -> None:
    """Every wrong row is told, those of other sources as well, in one go."""
    (tmp_path / "rows.jsonl").write_text('{"id": 1}\n[]\n{"id": 2, "id": 3}\n{"other": 1}\n')
    over_csv(tmp_path, "id,n\n1\n2,x\n3,4\n")
    path = write(
        tmp_path,
        {"$each": {"csv": "rows.csv", "types": {"n": "integer"}}, "line": LINE},
        {"$each": {"jsonl": "rows.jsonl"}, "line": LINE},
    )
    assert [said.split(";")[0] for said in refusal(path)] == [
        "rows.csv, line 2: the row has 1 cells, and the first line names 2 columns",
        "rows.csv, line 3: the row has 'x' in 'n', which is no integer",
        "job.jsonl, line 2: `line.id` asks for `id`, which is not in the row",
        "rows.jsonl, line 2: the line is a list",
        "rows.jsonl, line 3: `id` stands twice in the same object",
    ]


def test_rows_of_json(tmp_path: Path) -> None:
    """A value of a JSON row keeps its type where its expression stands alone; a path leads into it."""
    rows = [{"id": 7, "tags": ["a"], "of": {"x.y": 1, "list": [{"z": None}]}}]
    (tmp_path / "rows.jsonl").write_bytes(b"\xef\xbb\xbf" + orjson.dumps(rows[0]) + b"\n\n")
    body = {
        "id": "${row:id}",
        "t": "${row:tags}",
        "text": "<${row:id}>${row:tags}",
        "z": "${row:of.list.0.z}",
    }
    path = write(
        tmp_path,
        {
            "$each": {"jsonl": "rows.jsonl"},
            "line": {"op": "agent.create", "tags": "${row:tags}", "body": body},
        },
    )
    (line,) = written_out(path)
    assert line == {
        "op": "agent.create",
        "tags": ["a"],
        "body": {"id": 7, "t": ["a"], "text": '<7>["a"]', "z": None},
    }


def test_only_the_wanted_rows(tmp_path: Path) -> None:
    """`where` keeps the rows that have the value, or one of the values, of each column that it names."""
    rows = [
        {"kind": kind, "n": {"of": n}} for kind in ("agent", "tool", "document") for n in (0, 1, True, None)
    ]
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    line = {"op": "agent.create", "body": {"all": ["${row:kind}", "${row:n.of}"]}}

    def kept(**where: Any) -> list[Any]:
        each = {
            "jsonl": "rows.jsonl",
            "where": {key.replace("_", "."): value for key, value in where.items()},
        }
        return [made["body"]["all"] for made in written_out(write(tmp_path, {"$each": each, "line": line}))]

    assert kept(kind=["agent", "tool"], n_of=1) == [["agent", 1], ["tool", 1]]
    assert kept(kind="tool", n_of=[None, True]) == [["tool", True], ["tool", None]]
    assert kept(kind="none") == []
    with open_job(
        write(tmp_path, {"$each": {"jsonl": "rows.jsonl", "where": {"kind": "tool"}}, "line": line})
    ) as job:
        assert job.place(2) == "line 1, row 2 of the wanted rows of rows.jsonl"


def test_files_of_a_pattern(tmp_path: Path) -> None:
    """A pattern yields files in the order of their paths, with their parts, and no folders."""
    for name in ("docs/b.md", "docs/a/x y.tar.gz", "docs/a/c.txt", "docs/d.md/e.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    body = ["${row:path}", "${row:name}", "${row:stem}", "${row:suffix}", "${row:folder}"]
    path = write(
        tmp_path, {"$each": {"glob": "docs/**/*.*"}, "line": {"op": "agent.create", "body": {"all": body}}}
    )
    assert [line["body"]["all"] for line in written_out(path)] == [
        ["docs/a/c.txt", "c.txt", "c", ".txt", "docs/a"],
        ["docs/a/x y.tar.gz", "x y.tar.gz", "x y.tar", ".gz", "docs/a"],
        ["docs/b.md", "b.md", "b", ".md", "docs"],
        ["docs/d.md/e.txt", "e.txt", "e", ".txt", "docs/d.md"],
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"$each": "rows.csv", "line": LINE}, '`$each` has to name a source: {"csv": "customers.csv"}'),
        ({"$each": {}, "line": LINE}, "`$each` has to name one source"),
        ({"$each": {"csv": "a", "glob": "b"}, "line": LINE}, "`$each` has to name one source"),
        ({"$each": {"cvs": "a"}, "line": LINE}, "`$each.cvs` is no source; did you mean `csv`?"),
        ({"$each": {"rows": "a"}, "line": LINE}, "`$each.rows` is no source; known are csv, glob, jsonl, op"),
        ({"$each": {"csv": "a"}, "lines": LINE}, "`lines` cannot stand beside `$each`; did you mean `line`?"),
        ({"$each": {"csv": ""}, "line": LINE}, "`$each.csv` has to be a text that is not empty"),
        (
            {"$each": {"csv": "none.csv"}, "line": LINE},
            "`$each.csv` names 'none.csv': there is no such file; check the path",
        ),
        (
            {"$each": {"jsonl": "."}, "line": LINE},
            "`$each.jsonl` names '.': is a directory; name the job file in it",
        ),
        ({"$each": {"glob": "*.none"}, "line": {"op": "x"}}, "`$each.glob` matches no file in "),
        (
            {"$each": {"op": "agent.lists"}, "line": LINE},
            "`$each.op` is no listing; did you mean `agent.list`?",
        ),
        (
            {"$each": {"csv": "rows.csv", "delimeter": ";"}, "line": LINE},
            "`$each.delimeter` is not known; did you mean `delimiter`?",
        ),
        (
            {"$each": {"csv": "rows.csv", "delimiter": ";;"}, "line": LINE},
            "`$each.delimiter` has to be one character",
        ),
        (
            {"$each": {"csv": "rows.csv", "encoding": "rot13"}, "line": LINE},
            "`$each.encoding` has to name an encoding of text",
        ),
        (
            {"$each": {"csv": "rows.csv", "encoding": ""}, "line": LINE},
            "`$each.encoding` has to name an encoding of text",
        ),
        (
            {"$each": {"csv": "rows.csv", "types": {"id": ["text"]}}, "line": LINE},
            "`$each.types.id` has to be one of text, integer",
        ),
        (
            {"$each": {"csv": "rows.csv", "types": {"id": "int"}}, "line": LINE},
            "`$each.types.id` has to be one of text, integer",
        ),
        (
            {"$each": {"csv": "rows.csv", "types": {"ids": "text"}}, "line": LINE},
            "`$each.types.ids` is no column of it; did you mean `id`?",
        ),
        ({"$each": {"csv": "rows.csv", "where": "id"}, "line": LINE}, "`$each.where` has to be an object"),
        (
            {"$each": {"csv": "rows.csv", "where": {"ids": "1"}}, "line": LINE},
            "`$each.where.ids` is no column of it; did you mean `id`?",
        ),
        (
            {"$each": {"csv": "rows.csv", "where": {"id": {"a": 1}}}, "line": LINE},
            "`$each.where.id.a` is not known; known are before, contains, not, prefix, since, suffix",
        ),
        (
            {"$each": {"csv": "rows.csv", "where": {"id": {}}}, "line": LINE},
            "`$each.where.id` has to be a plain value, a list of those it may be, or what is asked of it",
        ),
        (
            {"$each": {"csv": "rows.csv", "where": {"id": {"prefix": 1}}}, "line": LINE},
            "`$each.where.id.prefix` has to be a text",
        ),
        (
            {"$each": {"csv": "rows.csv", "where": {"id": {"since": True}}}, "line": LINE},
            "`$each.where.id.since` has to be a number, a text, or a time",
        ),
        ({"$each": {"csv": "rows.csv"}}, "`line` has to be an object"),
        (
            {"$each": {"csv": "rows.csv"}, "line": LINE, "id": "x"},
            "`id` cannot stand beside `$each`; move it into its `line`",
        ),
        (
            {"$each": {"csv": "rows.csv"}, "line": {"$each": {}}},
            "`line.$each` cannot stand within an `$each`; take it out",
        ),
        (
            {"$each": {"csv": "rows.csv"}, "line": {"op": "x ${row:id"}},
            "`line.op` holds `${row:` without its `}`; close it",
        ),
    ],
)
def test_bad_directives(tmp_path: Path, written: Any, said: str) -> None:
    """What is wrong with an `$each` is told with its line and field."""
    over_csv(tmp_path, "id\n1\n")
    assert refusal(write(tmp_path, b"", written))[0].startswith(f"job.jsonl, line 2: {said}")


def test_lines_are_told_where_they_were_written(tmp_path: Path) -> None:
    """A line of the written-out job is told by the line of the job that made it, and the row."""
    (tmp_path / "rows.csv").write_text("id\nx\ny\n")
    each = {"$each": {"csv": "rows.csv"}, "line": LINE}
    path = write(tmp_path, b"{}", b"", each, b"{}", each, b"", b"{}", b"{}")
    with open_job(path) as job:
        places = [job.place(line.number) for line in job.lines()]
        assert str(job.problem(3, "body.name", "is wrong")).endswith(
            "job.jsonl, line 3: `line.body.name` is wrong (row 2 of rows.csv)"
        )
        assert str(job.problem(4, None, "is wrong")).endswith("job.jsonl, line 4: is wrong")
    rows = ["row 1 of rows.csv", "row 2 of rows.csv"]
    assert places == [
        "line 1",
        *(f"line 3, {row}" for row in rows),
        "line 4",
        *(f"line 5, {row}" for row in rows),
        "line 7",
        "line 8",
    ]


TEXTS = st.text(alphabet=st.sampled_from('${}ref:#a\\"row '), max_size=12)
VALUES: st.SearchStrategy[Any] = st.recursive(
    TEXTS | st.integers(-9, 9) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@given(TEXTS, TEXTS, VALUES)
def test_what_a_row_says_is_never_an_expression(first: str, second: str, value: Json) -> None:
    """Whatever stands in a row arrives as it is, alone and where texts meet, once the line's expressions are read."""
    template = {"op": "x", "alone": "${row:v}", "joined": "<${row:a}${row:b}{ref:a#b}$${env:A}>"}
    line = orjson.loads(RowTemplate(template, ("a", "b", "v")).fill({"a": first, "b": second, "v": value}))

    def read(field: str) -> Json:
        return resolve(prepare(line[field], {}, field).value, lambda _: "WRONG", 1)

    assert read("alone") == value
    assert read("joined") == f"<{first}{second}{{ref:a#b}}${{env:A}}>"


def test_other_expressions_stay(tmp_path: Path) -> None:
    """Expressions of the line that ask for no row are left for later, and the vendor's own braces alone."""
    body = {"name": "${ref:g#x} {{user}} ${env:A} ${row:id} ${copy}"}
    (line,) = written_out(over_csv(tmp_path, "id\n7\n", {"op": "agent.create", "body": body}))
    assert line["body"]["name"] == "${ref:g#x} {{user}} ${env:A} 7 ${copy}"


def test_a_file_is_one_row_however_it_is_reached(tmp_path: Path) -> None:
    """A file that a pattern reaches in several ways, also through a link that leads back, makes one line."""
    (tmp_path / "docs" / "img" / "img").mkdir(parents=True)
    (tmp_path / "docs" / "img" / "img" / "x.md").write_text("text")
    (tmp_path / "docs" / "self").symlink_to(tmp_path / "docs")
    (tmp_path / "docs" / "img" / "also.md").symlink_to(tmp_path / "docs" / "img" / "img" / "x.md")
    for pattern in ("docs/**/img/**/*.md", "docs/**/**/*.md", "**/*.md"):
        line = {"op": "agent.create", "body": {"path": "${row:path}"}}
        found = written_out(write(tmp_path, {"$each": {"glob": pattern}, "line": line}))
        assert [made["body"]["path"] for made in found] == ["docs/img/also.md", "docs/img/img/x.md"]


@pytest.mark.parametrize("next_to", ["${ref:a#b}", "${env:HOME}", "${copy}", "$${"])
def test_a_dollar_before_an_expression(tmp_path: Path, next_to: str) -> None:
    """A `$` of a row right before an expression is refused: both together would be a plain text; not before `$${`."""
    (tmp_path / "rows.csv").write_text("s\nUS$\n")
    path = write(tmp_path, {"$each": {"csv": "rows.csv"}, "line": {"op": "x", "name": "${row:s}" + next_to}})
    if next_to == "$${":
        assert prepare(written_out(path)[0]["name"], {}, "name").value == "US$${"
    else:
        assert "has a `$` of the row right before an expression" in refusal(path)[0]


def test_a_plain_row_expression_is_no_value(tmp_path: Path) -> None:
    """`$${row:` is refused: it is plain text, and whoever writes it wants a dollar sign before a value."""
    path = over_csv(tmp_path, "id\n1\n", {"op": "x", "name": "costs $${row:id}"})
    assert refusal(path)[0].startswith(
        "job.jsonl, line 1: `line.name` holds `$${row:`, which is a plain `${row:`"
    )


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("n\n12345678901234567890123\n", {"types": {"n": "number"}}, "which is no number"),
        ('n\n"1,""b"":2"\n', {"types": {"n": "json"}}, "which is no json"),
        (b"n\n1\n", {"encoding": "utf-16"}, "is not what `encoding` says near here; save it as UTF-8"),
        ("n\n" + "x" * (8 * 2**20 + 1), {}, "a cell has 8 MiB at most"),
        ("\x1b[31mred\n1\n", {"types": {"n": "text"}}, "known are \N{REPLACEMENT CHARACTER}[31mred"),
    ],
)
def test_more_bad_csv(tmp_path: Path, text: str | bytes, options: Any, said: str) -> None:
    """Cells that are not what their type says, other encodings, and names that a terminal must not see are told."""
    line = {"op": "x", "name": "${row:n}"} if not isinstance(text, str) or "red" not in text else {"op": "x"}
    assert said in refusal(over_csv(tmp_path, text, line, **options))[0]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("encoding", "bad"), [("utf-8", b"\xe4"), ("ascii", b"\xff"), ("utf-16-le", b"\x00\xd8")]
)
def test_a_byte_that_is_no_text_is_told_where_it_stands(
    tmp_path: Path, encoding: str, bad: bytes, end: str
) -> None:
    """With the line of the file, as an editor counts them: lines within quotes count, however much follows."""
    good = "".join(f'{number},"two{end}lines"{end}' for number in range(5000))
    text = f"id,b{end}{good}".encode(encoding) + "x,".encode(encoding) + bad + f"{end}{good}".encode(encoding)
    said = refusal(over_csv(tmp_path, text, encoding=encoding))[0]
    assert said.startswith("rows.csv, line 10002: is not ")
    assert " here; save it as UTF-8" in said
    assert "near" not in said


def test_a_mark_in_another_encoding(tmp_path: Path) -> None:
    """A byte order mark is no part of the first column, whatever the encoding."""
    path = over_csv(tmp_path, "\ufeffid\n7\n".encode("utf-16-le"), encoding="utf-16-le")
    assert written_out(path)[0]["id"] == "a:7"


def test_a_column_of_where_that_no_row_has(tmp_path: Path) -> None:
    """A name in `where` that no row of JSON has is refused: it would silently leave all rows out."""
    (tmp_path / "rows.jsonl").write_text('{"id": "1", "kind": "a"}\n{"id": "2"}\n')
    source = {"jsonl": "rows.jsonl", "where": {"kind": "b"}}
    assert written_out(write(tmp_path, {"$each": source, "line": LINE})) == []
    source["where"] = {"knd": "a"}
    assert (
        "`$each.where.knd` is what no row has" in refusal(write(tmp_path, {"$each": source, "line": LINE}))[0]
    )


def test_null_within_a_text(tmp_path: Path) -> None:
    """A null within a text is refused with its row: it would read `null`."""
    (tmp_path / "rows.jsonl").write_text('{"id": null}')
    assert refusal(write(tmp_path, {"$each": {"jsonl": "rows.jsonl"}, "line": LINE})) == [
        "job.jsonl, line 1: `line.id` needs `id` within a text, and it is null; fill it in (row 1 of rows.jsonl)"
    ]


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8"), max_size=6), min_size=2, max_size=2),
        max_size=5,
    )
)
def test_every_table_arrives(rows: list[list[str]]) -> None:
    """Whatever a CSV writer writes is read again cell by cell."""
    import tempfile

    out = io.StringIO()
    csv.writer(out).writerows([["a", "b"], *rows])
    with tempfile.TemporaryDirectory() as folder:
        line = {"op": "x", "body": ["${row:a}", "${row:b}"]}
        path = over_csv(Path(folder), out.getvalue(), line)
        found = [
            resolve(prepare(made["body"], {}, "body").value, lambda _: None, 1) for made in written_out(path)
        ]
    assert found == rows


@given(
    st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=4), min_size=2, max_size=2), max_size=6),
    st.integers(0, 6),
)
def test_the_same_rows_make_the_same_lines(rows: list[list[str]], first: int) -> None:
    """Expansion is deterministic: twice the same bytes, and rows that are appended change none of those before them."""
    import tempfile

    def lines(some: list[list[str]]) -> list[bytes]:
        out = io.StringIO()
        csv.writer(out).writerows([["a", "b"], *some])
        with tempfile.TemporaryDirectory() as folder:
            line = {"op": "agent.get", "agent_id": "${row:a}", "meta": {"b": "${row:b} ${row:a}"}}
            with open_job(over_csv(Path(folder), out.getvalue(), line)) as job:
                return [raw.raw for raw in job.lines()]

    assert lines(rows) == lines(rows)
    assert lines(rows)[: len(rows[:first])] == lines(rows[:first])


def test_a_template_says_all_that_is_wrong_with_it() -> None:
    """All columns that are not there are told at once."""
    with pytest.raises(LineProblems) as refused:
        RowTemplate({"op": "${row:x}", "body": {"a": ["${row:y}"]}}, ("id",))
    assert [field for field, _ in refused.value.found] == ["line.op", "line.body.a.0"]
