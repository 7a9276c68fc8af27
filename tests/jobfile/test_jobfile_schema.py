"""The schema for editors: it takes whatever the reader takes, and shows the common mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bulkops.jobfile import Header, JobFile, LineProblems, RawLine, parse_line, said_once
from bulkops.jobfile.each import RowTemplate
from bulkops.jobfile.header_checks import wrong_header
from bulkops.jobfile.marks import MARKS
from bulkops.jobfile.problems import LineError
from bulkops.jobfile.schema import line_schema
from bulkops.jobfile.sources import _kind_of
from bulkops.operation import fields_of
from bulkops.operations import KINDS
from tests.docs.docs_texts import blocks, read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.model import Json

JOBS = sorted((Path(__file__).parents[2] / "jobs").glob("*.jsonl"))
ANY_JOB = Draft202012Validator(line_schema())
NO_HEADER = Draft202012Validator(line_schema({}))
CLONE = {"op": "agent.clone", "agent_id": "agent_1"}
GET = {"op": "agent.get", "agent_id": "agent_1"}
UPLOAD = {"op": "document.upload", "file": "a.md"}


def of_job(said: Mapping[str, Json]) -> Draft202012Validator:
    """Return the schema of the lines of a job whose header says this."""
    return Draft202012Validator(line_schema(said))


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_it_is_a_schema(kind: str | None) -> None:
    """What is printed keeps the draft that it names."""
    for said in (None, {}, {"templates": {"t": {}}, "defaults": {"agent.get": {"agent_id": "x"}}}):
        Draft202012Validator.check_schema(line_schema(said, kind))


def test_it_knows_every_reserved_key() -> None:
    """The schema has the reserved keys that the reader has."""
    assert line_schema()["$defs"]["marks"]["properties"].keys() | {"op"} == MARKS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_valid(kind: str) -> None:
    """The example of every kind is a line of it, and of no other kind; so it is in the line of an `$each`."""
    line = dict(KINDS[kind].example)
    for schema in (line_schema(), line_schema({}), line_schema(None, kind), line_schema({}, kind)):
        Draft202012Validator(schema).validate(line)
    other = next(op for op in KINDS if op != kind)
    assert not Draft202012Validator(line_schema(None, other)).is_valid(line)
    NO_HEADER.validate({"$each": {"csv": "rows.csv"}, "line": line})


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.stem)
def test_example_jobs_are_valid(job: Path) -> None:
    """Every line of every example job is valid, with and without a look at its header."""
    with JobFile.open(job) as file:
        own = of_job(said_once(file))
        for line in file.lines():
            ANY_JOB.validate(orjson.loads(line.raw))
            own.validate(orjson.loads(line.raw))


def test_jobs_of_the_texts_are_valid() -> None:
    """So is every line of the jobs that the README shows."""
    lines = [
        line
        for block in blocks(read("README.md"))
        if block.kind == "jsonl"
        for line in block.text.splitlines()
    ]
    assert len(lines) > 10
    for line in lines:
        ANY_JOB.validate(orjson.loads(line))


WRONG: list[Any] = [
    [],
    {},
    {"op": "agent.gte", "agent_id": "agent_1"},
    {"op": None, "agent_id": "agent_1"},
    {**GET, "agentid": "agent_1"},
    {**GET, "copies": 2},
    {**GET, "agent_id": 7},
    {**GET, "agent_id": None},
    {**GET, "agent_id": "no id"},
    {**GET, "id": "a#b"},
    {**GET, "id": "${env:A}"},
    {**GET, "id": "a", "custom_id": "b"},
    {**GET, "needs": "a"},
    {**GET, "needs": ["@@tag"]},
    {**GET, "tags": ["@tag"]},
    {**GET, "tags": [1]},
    {**GET, "use": 1},
    {**GET, "account": "${env:A}"},
    {**GET, "on_error": "stop"},
    {**GET, "meta": "text"},
    {**CLONE, "copies": 0},
    {**CLONE, "copies": 1.5},
    {**CLONE, "copies": "2"},
    {**CLONE, "set": []},
    {**CLONE, "name": ""},
    {**UPLOAD, "deadline": "5 minutes"},
    {**UPLOAD, "index": "e5_mistral_7b"},
    {**UPLOAD, "index": {"modell": "e5_mistral_7b"}},
    {"op": "agent.simulate", "expect": {"pass_rate": 80}},
    {"use": "t", "agnet_id": "agent_1"},
    {"agent_id": "agent_1"},
    {"$job": {"nmae": "x"}},
    {"$job": {"base_url": "https://example.com"}},
    {"$job": {"defaults": {"agent.gte": {}}}},
    {"$job": {"defaults": {"agent.clone": {"copies": "many"}}}},
    {"$job": {"defaults": {"agent.clone": {"id": "x"}}}},
    {"$job": {"templates": {"t": {"colour": "red"}}}},
    {"$job": {"templates": {"t": {"op": "agent.gte"}}}},
    {"$job": {"vars": {"a-b": 1}}},
    {"$job": {}, **GET},
    {"$each": "rows.csv", "line": GET},
    {"$each": {"csv": "rows.csv", "jsonl": "rows.jsonl"}, "line": GET},
    {"$each": {"jsonl": "rows.jsonl", "delimiter": ";"}, "line": GET},
    {"$each": {"csv": "rows.csv", "delimiter": ";;"}, "line": GET},
    {"$each": {"csv": "rows.csv", "types": {"n": "int"}}, "line": GET},
    {"$each": {"glob": "*.md", "where": {"suffix": []}}, "line": GET},
    {"$each": {"csv": "rows.csv"}},
    {"$each": {"csv": "rows.csv"}, "line": {**GET, "agentid": "x"}},
    {"$each": {"csv": "rows.csv"}, "line": {**GET, "tags": ["a#b"]}},
    {"$each": {"csv": "rows.csv"}, "line": {"agent_id": "x"}},
    {"$each": {"csv": "rows.csv"}, "line": GET, "id": "x"},
]


@pytest.mark.parametrize("line", WRONG, ids=str)
def test_common_mistakes_are_shown(line: Json) -> None:
    """An unknown key, a wrong type, a word that is none: the schema refuses them without knowing the job."""
    assert not ANY_JOB.is_valid(line)


def test_a_missing_field_is_shown_where_the_header_is_known() -> None:
    """A field that neither the line nor the defaults give is missing, unless the line uses a template."""
    nothing = {"op": "agent.get"}
    assert not NO_HEADER.is_valid(nothing)
    assert not NO_HEADER.is_valid({"$each": {"csv": "rows.csv"}, "line": nothing})
    assert not of_job({"defaults": {"agent.get": {"agent_id": None}}}).is_valid(nothing)
    ANY_JOB.validate(nothing)
    of_job({"defaults": {"agent.get": {"agent_id": "agent_1"}}}).validate(nothing)
    of_job({"templates": {"t": {"agent_id": "agent_1"}}}).validate({**nothing, "use": "t"})


def test_templates_are_known_by_name_where_the_header_is_known() -> None:
    """A template that the header does not have is refused, alone and in a list; in an `$each` a row may name it."""
    schema = of_job({"templates": {"office": {"op": "agent.get"}, "gone": None}})
    for use in ("office", ["office"], [], None):
        schema.validate({**GET, "use": use})
    schema.validate({"use": "office"})
    schema.validate({"$each": {"csv": "rows.csv"}, "line": {"use": "${row:kind}"}})
    for use in ("offices", ["office", "german"], "gone"):
        assert not schema.is_valid({**GET, "use": use})


RIGHT: list[Any] = [
    {**GET, "agent_id": "${ref:a#agent_id}"},
    {**GET, "name": None, "op": "agent.clone"},
    {**CLONE, "copies": "${var:copies}"},
    {**CLONE, "set": "${var:set}"},
    {**UPLOAD, "index": {"model": "${var:model}"}},
    {**UPLOAD, "index": {}},
    {**UPLOAD, "deadline": "${env:MINUTES}m"},
    {"op": "agent.simulate", "expect": {"pass_rate": "${var:rate}"}},
    {**GET, "agent_id": ["${ref:a#b}"]},
    {"$job": {"defaults": {"agent.get": {"tags": "${env:A}"}}}},
    {"use": ["a", "b"], "agent_id": "agent_1"},
    {**GET, "id": None, "custom_id": "x"},
    {
        "$each": {"csv": "rows.csv", "delimiter": None},
        "line": {**GET, "id": "a:${row:id}", "tags": ["${row:t}"]},
    },
    {
        "$each": {"jsonl": "rows.jsonl"},
        "line": {"op": "${row:op}", "agent_id": "${row:agent}", "meta": "${row:m}"},
    },
    {"$job": {"defaults": None, "name": None}},
]


@pytest.mark.parametrize("line", RIGHT, ids=str)
def test_what_is_filled_in_later_is_valid(line: Json) -> None:
    """An expression stands for anything where one may stand, and a part of an object may be said once."""
    ANY_JOB.validate(line)


PLAIN = ("", "a", "x y", "a[2]", "@a", "~a", "5m", "1.5h", "agent_1", "block", "t", "e5")
HOLES = (
    "${env:A}",
    "${var:v}",
    "${var:n}",
    "<${var:n}>",
    "${ref:r#a}",
    "${copy}",
    "$${x}",
    "${row:v}",
    "${row:n}",
)
TEXTS = st.sampled_from(PLAIN + HOLES)
VALUES: st.SearchStrategy[Any] = st.recursive(
    TEXTS | st.integers(-1, 3) | st.just(0.5) | st.booleans() | st.none() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["model", "pass_rate", "a", "${x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@st.composite
def lines(draw: st.DrawFn) -> dict[str, Json]:
    """Draw a line that is not far from right: the example of a kind, with some keys changed, added or left out."""
    kind = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    keys = st.sampled_from([*fields_of(kind), *MARKS, *kind.example])
    line = {**kind.example, **draw(st.dictionaries(keys, VALUES, max_size=2))}
    for key in draw(st.lists(keys, max_size=2)):
        line.pop(key, None)
    return line


@st.composite
def headers(draw: st.DrawFn) -> dict[str, Json]:
    """Draw what a header says: defaults of some kinds, and a template, from lines that are not far from right."""
    parts = [draw(lines()) for _ in range(draw(st.integers(0, 3)))]
    said: dict[str, Json] = {}
    for part in parts:
        op = part.get("op")
        if draw(st.booleans()):
            said.setdefault("templates", {})["t"] = part
        elif isinstance(op, str) and op in KINDS:
            keep = draw(st.sets(st.sampled_from(sorted(part))))
            said.setdefault("defaults", {})[op] = {key: part[key] for key in keep if key != "op"}
    for key in draw(st.sets(st.sampled_from(["name", "vars", "templates", "defaults", "x"]), max_size=1)):
        said[key] = draw(VALUES)
    return said


def taken(line: Json, said: Mapping[str, Json]) -> bool:
    """Tell whether the reader takes a line under a header."""
    header = Header(
        defaults=said.get("defaults") or {},
        templates=said.get("templates") or {},
        vars={"v": {"model": "e5"}, "n": 2},
        may_hold_expressions=True,
    )
    try:
        parse_line(
            RawLine(1, 0, orjson.dumps(line)),
            header,
            {"A": "agent_2"},
            Path("/nowhere"),
            look_for_files=False,
        )
    except LineProblems:
        return False
    return True


def wrong(said: Json) -> bool:
    """Tell whether the reader refuses a header."""
    return next(wrong_header({"$job": said}), None) is not None


@given(lines(), headers())
@example({**GET, "agent_id": {"a": ["${ref:r#a}"]}}, {})
@example({"op": "document.upload", "file": "a", "index": {"x": None}}, {"defaults": {"document.upload": {}}})
def test_what_the_reader_takes_is_valid(line: dict[str, Json], said: dict[str, Json]) -> None:
    """A line that is taken under a header is valid, whether the header is known or not."""
    if not wrong(said) and taken(line, said):
        ANY_JOB.validate(line)
        of_job(said).validate(line)


@given(headers() | VALUES)
def test_headers_that_the_reader_takes_are_valid(said: Json) -> None:
    """A header that is taken is valid."""
    if not wrong(said):
        ANY_JOB.validate({"$job": said})


@given(lines(), VALUES, st.integers(0, 3))
def test_rows_that_the_reader_takes_are_valid(line: dict[str, Json], value: Json, number: int) -> None:
    """The line of an `$each` is valid when a row makes a line of it that is taken."""
    row = {"v": value, "n": number}
    try:
        made = orjson.loads(RowTemplate(line, tuple(row)).fill(row))
    except (LineError, LineProblems):
        return
    if taken(made, {}):
        NO_HEADER.validate({"$each": {"csv": "rows.csv"}, "line": line})


SOURCES = st.dictionaries(
    st.sampled_from(["csv", "jsonl", "glob", "delimiter", "encoding", "types", "where", "op"]),
    st.sampled_from([";", "utf-8", "rows", {"a": "text"}, {"a": ["text", 1]}, {"a": []}]) | VALUES,
    max_size=3,
)


@given(SOURCES)
def test_sources_that_the_reader_takes_are_valid(source: dict[str, Json]) -> None:
    """A source of rows is valid when nothing is wrong with its words."""
    try:
        _kind_of(source)
    except LineError:
        return
    ANY_JOB.validate({"$each": source, "line": GET})


@given(VALUES)
def test_values_that_a_check_takes_are_valid(value: Json) -> None:
    """What the check of any field takes, the schema declared with it takes."""
    for kind in KINDS.values():
        for field in fields_of(kind).values():
            if field.check(value) is None:
                Draft202012Validator(dict(field.schema)).validate(value)
