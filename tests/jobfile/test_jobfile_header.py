"""The header: what it may say, and what never."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.errors import JobError
from bulkops.jobfile import Header, JobFile, parse_line, read_header
from bulkops.jobfile.header import under
from bulkops.merging import merge_patch

if TYPE_CHECKING:
    from pathlib import Path

FLAT = st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 3))
OBJECTS = st.recursive(FLAT, lambda inner: st.dictionaries(st.sampled_from("abc"), st.none() | inner | FLAT))


def read(tmp_path: Path, *lines: bytes) -> tuple[Header, list[bytes]]:
    """Write a job file; return its header and the lines after it."""
    path = tmp_path / "job.jsonl"
    path.write_bytes(b"".join(lines))
    with JobFile.open(path) as file:
        header = read_header(file)
        return header, [line.raw for line in file.lines(header.start, header.first)]


def problems(tmp_path: Path, said: Any, **beside: Any) -> list[str]:
    """Return what is wrong with a header, without the file's name."""
    with pytest.raises(JobError) as caught:
        read(tmp_path, orjson.dumps({"$job": said, **beside}))
    assert {problem.line for problem in caught.value.problems} == {1}
    return [f"`{problem.field}` {problem.message}" for problem in caught.value.problems]


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
    found = problems(tmp_path, {"nam": "x", "vars": {}, "about": 3, "defaults": []}, op="x")
    assert found == [
        "`op` stands beside `$job`; move it into the header's object or to a line of its own",
        "`$job.nam` is not known in a header; did you mean `name`?",
        "`$job.vars` is not available in this version; take it out",
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
            "known are account, agent_id, copies, meta, name, on_error, set, tags"
        ),
        "`$job.defaults.agent.clone.copies` has to be a whole number from 1 to 100000",
        "`$job.defaults.agent.clone.on_error` has to be one of block, continue, halt",
    ]


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


@given(OBJECTS, OBJECTS)
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
