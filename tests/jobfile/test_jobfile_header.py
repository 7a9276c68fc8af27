"""The header: what it may say, and what never."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given as drawn

from bulkops.errors import JobError
from bulkops.jobfile import Given, Header, JobFile, LineProblems, RawLine, parse_line
from bulkops.jobfile.merging import under
from bulkops.merging import merge_patch
from tests.jobfile.jobfile_headers import OBJECTS, problems, read

if TYPE_CHECKING:
    from pathlib import Path


def test_a_header_is_read_and_left_out_of_the_lines(tmp_path: Path) -> None:
    """The header's texts and defaults are read, and the lines begin after it, whatever the ends of lines."""
    defaults = {"agent.clone": {"copies": 2}, "agent.get": {}}
    said = orjson.dumps({"$job": {"name": "n", "about": "a", "account": "eu", "defaults": defaults}})
    for end in (b"\n", b"\r\n", b""):
        header, lines = read(tmp_path, b"\n\n", said, end, *([b"{}\n", b"[]"] if end else []))
        assert (header.name, header.about, header.account) == ("n", "a", "eu")
        assert header.defaults == {"agent.clone": {"copies": 2}}
        assert header.first == 4
        assert lines == ([b"{}", b"[]"] if end else [])


@pytest.mark.parametrize(
    "first", [b"", b"\n", b'{"op":"agent.get"}\n', b"[]\n", b"broken\n", b'{"job":{}}\n']
)
def test_without_a_header_all_lines_are_lines(tmp_path: Path, first: bytes) -> None:
    """A first line that is no header, even one that cannot be read, is left for where lines are parsed."""
    header, lines = read(tmp_path, first)
    assert header == Header()
    assert lines == [line for line in first.split(b"\n") if line]


def test_a_broken_header_is_an_error(tmp_path: Path) -> None:
    """A header that is not JSON is reported with its line."""
    with pytest.raises(JobError, match=r"job.jsonl, line 1: the line is not JSON"):
        read(tmp_path, b'{"$job": {"name": }}')


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    """Unknown keys, later ones and wrong types are all reported, each with its remedy."""
    found = problems(tmp_path, {"nam": "x", "version": 1, "about": 3, "defaults": []}, op="x")
    assert found == [
        "`op` stands beside `$job`; move it into the header's object or to a line of its own",
        "`$job.nam` is not known in a header; did you mean `name`?",
        "`$job.version` is not available in this version; take it out",
        "`$job.about` has to be a text that is not empty",
        '`$job.defaults` has to be an object, such as {"agent.clone": {"copies": 2}}',
    ]
    assert problems(tmp_path, "x") == ['`$job` has to be an object, such as {"$job": {"name": "spring"}}']


@pytest.mark.parametrize("key", ["base_url", "host", "api_key", "key", "API_KEY", "xi-api-key", "url"])
def test_hosts_and_keys_are_refused_without_showing_them(tmp_path: Path, key: str) -> None:
    """A header never names a host or a key; the error names the place for them and not the value."""
    (found,) = problems(tmp_path, {key: "sk_secret"})
    assert "may name an account, never a host or a key; put both into the accounts file" in found
    assert "sk_secret" not in found


def test_defaults_are_checked(tmp_path: Path) -> None:
    """Defaults of unknown kinds, unknown fields, and values of no use are errors that name the nearest."""
    found = problems(
        tmp_path,
        {
            "defaults": {
                "agent.clon": {},
                "agent.get": 3,
                "agent.clone": {"copys": 2, "id": "x", "copies": 0, "tags": ["a"], "on_error": "stop"},
                "document.upload": {"index": {"model": "${env:MODEL}"}, "meta": {}},
            }
        },
    )
    assert found == [
        "`$job.defaults.agent.clon` is no known kind; did you mean `agent.clone`?",
        "`$job.defaults.agent.get` has to be an object with fields of that kind",
        "`$job.defaults.agent.clone.copys` cannot be a default of agent.clone; did you mean `copies`?",
        (
            "`$job.defaults.agent.clone.id` cannot be a default of agent.clone; "
            "known are account, agent_id, copies, expect, file, from, if_exists, map, meta, name, on_error, set, "
            "tags, unset"
        ),
        "`$job.defaults.agent.clone.copies` has to be a whole number from 1 to 100000",
        "`$job.defaults.agent.clone.on_error` has to be one of block, continue, halt",
    ]


def test_vars_fill_fields_in_and_keep_their_type(tmp_path: Path) -> None:
    """A var stands wherever a variable of the environment may, also where a value has to be known beforehand."""
    (tmp_path / "faq.md").write_text("x")
    said = {
        "vars": {"n": 3, "who": "Ann ${env:TOWN}", "set": {"a": [None, "$${x}"]}, "file": "faq"},
        "defaults": {"agent.clone": {"copies": "${var:n}", "set": "${var:set}"}},
    }
    header, _ = read(tmp_path, orjson.dumps({"$job": said}), environ={"TOWN": "${var:n}"})
    clone = parse_line(
        RawLine(2, 0, b'{"op":"agent.clone","agent_id":"a","name":"${var:who} ${copy}/${var:n}"}'),
        header,
        {},
        tmp_path,
    )
    built: Any = clone.operation(lambda _: None, 2)
    assert (clone.count, built.name, built.set) == (3, "Ann ${var:n} 2/3", {"a": [None, "${x}"]})
    upload = parse_line(
        RawLine(3, 0, b'{"op":"document.upload","file":"${var:file}.md"}'), header, {}, tmp_path
    )
    assert upload.fields["file"] == str(tmp_path / "faq.md")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"op": "agent.clone", "agent_id": "a", "copies": "${var:who}"}, "`copies` has to be a whole number"),
        ({"op": "agent.get", "agent_id": "${var:wo}"}, "did you mean `who`?"),
        ({"op": "agent.get", "agent_id": "a", "id": "${var:who}"}, "`id` has to be a text of"),
        (
            {"op": "agent.get", "agent_id": "a", "tags": ["${var:who}"]},
            "`tags` holds a tag that is not a text",
        ),
        ({"op": "agent.get", "agent_id": "a", "account": "${var:who}"}, "`account` has to be written out"),
    ],
)
def test_where_vars_are_of_no_use(tmp_path: Path, line: Any, message: str) -> None:
    """A value of the wrong type, a name that is not declared, and a var that stands in no field are named."""
    header, _ = read(tmp_path, b'{"$job":{"vars":{"who":"Ann"}}}')
    with pytest.raises(LineProblems) as caught:
        parse_line(RawLine(2, 0, orjson.dumps(line)), header, {}, tmp_path)
    ((field, found),) = caught.value.found
    assert message in f"`{field}` {found}"


def test_vars_that_cannot_be_are_named(tmp_path: Path) -> None:
    """Names that are none, vars without a value, and what cannot be known beforehand are reported at once."""
    assert problems(tmp_path, {"vars": [1]}) == [
        '`$job.vars` has to be an object, such as {"agent": "agent_abc123"}'
    ]
    assert problems(tmp_path, {"vars": {"a-b": 1, "1": 1, "": 1}}) == [
        f"`$job.vars.{name}` is no name of a var: write letters, digits and _, no digit in front"
        for name in ("a-b", "1", "")
    ]
    found = problems(
        tmp_path,
        {
            "vars": {
                "none": None,
                "other": {"x": ["${var:none}"]},
                "result": "${ref:a#b}",
                "copy": "${copy}",
                "unset": "${env:UNSET}",
                "key": "${env:ELEVENLABS_API_KEY}",
            }
        },
    )
    assert found == [
        "`$job.vars.none` has no value; give it one here, or with --var none=…",
        "`$job.vars.other.x.0` holds ${var:none}, and a var cannot hold another; write the value itself",
        "`$job.vars.result` has to be known beforehand; only ${env:NAME} may stand in a var",
        "`$job.vars.copy` has to be known beforehand; only ${env:NAME} may stand in a var",
        "`$job.vars.unset` needs the variable UNSET, which is not set; set it in the environment and start again",
        "`$job.vars.key` asks for ELEVENLABS_API_KEY; the API key never becomes part of a job, so take it out",
    ]


def test_the_digest_of_a_header_is_that_of_its_values(tmp_path: Path) -> None:
    """What is given, and what the environment holds, is a part of the digest; what only people read is not."""
    said = orjson.dumps({"$job": {"about": "a", "vars": {"x": "${env:X}"}}})

    def digest(raw: bytes, env: str, **given: str) -> str:
        return read(tmp_path, raw, environ={"X": env}, given=Given(given))[0].digest

    same = digest(said, "1")
    assert same == digest(said, "1") == digest(said, "2", x="1") == digest(said.replace(b'"a"', b'"b"'), "1")
    assert len({same, digest(said, "2"), digest(said, "1", x="3"), Header().digest}) == 4


def test_defaults_stand_under_the_line(tmp_path: Path) -> None:
    """A line's own fields win, objects merge, null removes a default, other nulls are sent as written."""
    header, (raw,) = read(
        tmp_path,
        b'{"$job":{"defaults":{"agent.clone":{"name":"N ${copy}","copies":5,"tags":["t"],'
        b'"set":{"a":{"x":1,"y":2}}}}}}\n',
        b'{"op":"agent.clone","agent_id":"a","copies":null,"set":{"a":{"x":null},"b":null}}',
    )
    path = tmp_path / "job.jsonl"
    with JobFile.open(path) as file:
        raw_line = file.line_at(header.start, header.first)
    assert raw_line.raw == raw
    line = parse_line(raw_line, header, {}, tmp_path)
    assert line.count == 1
    assert line.tags == ("t",)
    built: Any = line.operation(lambda _: None, 7)
    assert (built.name, built.set) == ("N 7", {"a": {"y": 2}, "b": None})


@pytest.mark.parametrize(("name", "searched"), [("N", False), ("N ${copy}", True), ("\u0024{copy}", True)])
def test_only_defaults_with_expressions_have_lines_searched(
    tmp_path: Path, name: str, *, searched: bool
) -> None:
    """Lines are searched for what the defaults may hold, not for the sign that every header has."""
    header, _ = read(tmp_path, orjson.dumps({"$job": {"defaults": {"agent.clone": {"name": name}}}}))
    assert header.may_hold_expressions is searched


@drawn(OBJECTS, OBJECTS)
def test_defaults_merge_like_a_merge_patch(defaults: dict[str, Any], line: dict[str, Any]) -> None:
    """But for nulls that meet no default, the outcome is that of RFC 7396; nothing is changed in place."""
    before = (orjson.dumps(defaults), orjson.dumps(line))
    assert without_nulls(under(defaults, line)) == without_nulls(merge_patch(defaults, line))
    assert (orjson.dumps(defaults), orjson.dumps(line)) == before


def without_nulls(value: Any) -> Any:
    """Leave out what is null, in all objects."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value
