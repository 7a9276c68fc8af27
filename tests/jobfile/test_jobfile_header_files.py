"""A header file: it stands under the job's own header, and is refused with its own name."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given as drawn

from bulkops.errors import JobError
from bulkops.jobfile import Given
from bulkops.jobfile.merging import under
from tests.jobfile.jobfile_headers import OBJECTS, read

if TYPE_CHECKING:
    from bulkops.jobfile import Header


def over(tmp_path: Path, file: Any, own: Any, **given: str) -> Header:
    """Return the header of a job that is given a header file; bytes are written as they are."""
    beside = tmp_path / "common.json"
    beside.write_bytes(file if isinstance(file, bytes) else orjson.dumps({"$job": file}))
    first = b"" if own is None else orjson.dumps({"$job": own}) + b"\n"
    header, lines = read(tmp_path, first, b'{"op":"agent.list"}', given=Given(given, beside))
    assert lines == [b'{"op":"agent.list"}']
    return header


def refused(tmp_path: Path, file: Any, own: Any = None) -> list[tuple[str, int | None, str]]:
    """Return what is wrong with a header file and the job's own header: name of the file, line, field and message."""
    with pytest.raises(JobError) as caught:
        over(tmp_path, file, own)
    return [
        (
            Path(each.file).name,
            each.line,
            each.message if each.field is None else f"`{each.field}` {each.message}",
        )
        for each in caught.value.problems
    ]


def test_the_own_header_stands_over_the_file(tmp_path: Path) -> None:
    """Objects merge, null takes away what the file says, and what only the file says counts."""
    file = {
        "name": "n",
        "account": "eu",
        "vars": {"a": 1, "b": {"x": 1}, "c": "low"},
        "defaults": {"agent.clone": {"copies": 2, "set": {"x": 1}}, "agent.get": {"tags": ["t"]}},
        "templates": {"t": {"op": "agent.get"}, "u": {"op": "agent.list"}},
    }
    own = {
        "about": "a",
        "account": None,
        "vars": {"a": 2, "b": {"y": 2}},
        "defaults": {"agent.clone": {"copies": None, "set": {"y": 2}}, "agent.get": None},
        "templates": {"t": {"agent_id": "x"}, "u": None},
    }
    header = over(tmp_path, file, own)
    assert (header.name, header.about, header.account, header.first) == ("n", "a", None, 2)
    assert header.vars == {"a": 2, "b": {"x": 1, "y": 2}, "c": "low"}
    assert header.defaults == {"agent.clone": {"set": {"x": 1, "y": 2}}}
    assert header.templates == {"t": {"op": "agent.get", "agent_id": "x"}}
    alone = over(tmp_path, orjson.dumps({"$job": file}, option=orjson.OPT_INDENT_2), None)
    assert (alone.account, alone.vars, alone.first) == ("eu", file["vars"], 1)


@drawn(OBJECTS, OBJECTS)
def test_headers_merge_as_a_line_does_with_its_defaults(file: dict[str, Any], own: dict[str, Any]) -> None:
    """For any objects, a default of the job's header stands over that of the file like a line's field over both."""
    with TemporaryDirectory() as folder:
        header = over(
            Path(folder),
            {"defaults": {"agent.create": {"body": file}}},
            {"defaults": {"agent.create": {"body": own}}},
        )
    assert header.defaults == {"agent.create": {"body": under(file, own)}}


def test_a_var_without_a_value_takes_that_of_the_file(tmp_path: Path) -> None:
    """What the job's header declares as null is given by the file, and over both by the command."""
    assert over(tmp_path, {"vars": {"a": 1}}, {"vars": {"a": None}}).vars == {"a": 1}
    assert over(tmp_path, {"vars": {"a": None}}, {"vars": {"a": 1}}).vars == {"a": 1}
    assert over(tmp_path, {"vars": {"a": 1}}, {"vars": {"a": None}}, a="2").vars == {"a": 2}


def test_what_the_file_says_is_a_part_of_the_digest(tmp_path: Path) -> None:
    """Other defaults, templates or vars in the file make another digest."""
    said: list[Any] = [
        {},
        {"defaults": {"agent.get": {"tags": ["t"]}}},
        {"templates": {"t": {"op": "agent.get"}}},
        {"vars": {"a": 1}},
    ]
    assert len({over(tmp_path, file, None).digest for file in said}) == 4


def test_wrong_header_files_are_named(tmp_path: Path) -> None:
    """What is wrong with the file and with the job's own header is told at once, each with its place."""
    wrong = {"vars": {"1": 1}, "host": "evil.example", "templates": {"t": {"op": "agent.gt"}}}
    assert refused(tmp_path, wrong, {"nam": "x"}) == [
        ("job.jsonl", 1, "`$job.nam` is not known in a header; did you mean `name`?"),
        (
            "common.json",
            None,
            "`$job.vars.1` is no name of a var: write letters, digits and _, no digit in front",
        ),
        (
            "common.json",
            None,
            (
                "`$job.host` cannot stand in a job file: it may name an account, never a host or a key; put both into "
                "the accounts file or the environment (ELEVENLABS_API_KEY)"
            ),
        ),
        (
            "common.json",
            None,
            "`$job.templates.t.op` is 'agent.gt', which is no known kind; did you mean `agent.get`?",
        ),
    ]


def test_vars_are_wrong_where_their_value_stands(tmp_path: Path) -> None:
    """A var that cannot be is told with the file that says its value."""
    found = refused(
        tmp_path,
        {"vars": {"a": "${env:UNSET}", "b": None, "c": "${var:a}"}},
        {"vars": {"a": None, "c": "${ref:a#b}"}},
    )
    assert [(file, line, said.partition(" ")[0]) for file, line, said in found] == [
        ("common.json", None, "`$job.vars.a`"),
        ("common.json", None, "`$job.vars.b`"),
        ("job.jsonl", 1, "`$job.vars.c`"),
    ]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "the header is not JSON"),
        (b'{"$job":\n{"name" "x"}}', "line 2 column 9"),
        (b'{"$job":{}}\n{"op":"agent.list"}', "line 2 column 1"),
        (b"[]", "the file holds no header; write one object, such as"),
        (b'{"vars":{}}', "the file holds no header"),
        (b'{"$job":{"vars":{"a":1,\n"a":2}}}', "`$job.vars.a` stands twice in the same object"),
        (b'{"$job":{}} ' + b" " * 2**23, "the header is longer than 8 MiB"),
    ],
)
def test_files_that_hold_no_header(tmp_path: Path, raw: bytes, message: str) -> None:
    """A file that is not one JSON object with a header is refused with the place of the error."""
    ((file, line, found),) = refused(tmp_path, raw)
    assert (file, line) == ("common.json", None)
    assert message in found


def test_a_header_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is refused with its name."""
    with pytest.raises(JobError, match=r"gone\.json: there is no such file"):
        read(tmp_path, b"{}", given=Given(header=tmp_path / "gone.json"))
