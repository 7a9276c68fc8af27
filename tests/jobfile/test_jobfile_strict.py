"""Strict JSON: what is refused, what is read, and that the fast way decides like the exact one."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.jobfile import LineError, parse_object
from bulkops.jobfile.exact import parse_exactly

TEXTS = st.text(max_size=6) | st.text(alphabet='"\\{}[]:,\n/aé\U0001f600', max_size=8)
NUMBERS = (
    st.integers(-(2**66), 2**66)
    | st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1])
    | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.lists(st.tuples(TEXTS, inner), max_size=4).map(tuple),
    max_leaves=12,
)


def written(value: Any, separators: tuple[str, str], *, ascii_only: bool) -> str:
    """Write JSON; a tuple of pairs becomes an object, in which keys may repeat."""
    comma, colon = separators
    if isinstance(value, tuple):
        pairs = [
            json.dumps(key, ensure_ascii=ascii_only)
            + colon
            + written(item, separators, ascii_only=ascii_only)
            for key, item in value
        ]
        return "{" + comma.join(pairs) + "}"
    if isinstance(value, list):
        return "[" + comma.join(written(item, separators, ascii_only=ascii_only) for item in value) + "]"
    return json.dumps(value, ensure_ascii=ascii_only)


LINES = st.builds(
    lambda pairs, separators, ascii_only: written(tuple(pairs), separators, ascii_only=ascii_only).encode(),
    st.lists(st.tuples(TEXTS, VALUES), max_size=5),
    st.sampled_from([(",", ":"), (", ", ": ")]),
    st.booleans(),
)


def outcome(raw: bytes, *, exact: bool) -> tuple[str, Any]:
    """Return the verdict with the value (as its text, in which 1 and 1.0 differ) or the message."""
    try:
        value = parse_exactly(raw) if exact else parse_object(raw)
    except LineError as error:
        return "refused", str(error)
    return ("read", repr(value)) if isinstance(value, dict) else ("refused", None)


@given(LINES)
def test_fast_and_exact_agree(raw: bytes) -> None:
    """Both ways agree on every object, repeated keys and huge integers included."""
    assert outcome(raw, exact=False) == outcome(raw, exact=True)


@given(LINES, st.data())
def test_fast_and_exact_agree_on_damaged_lines(raw: bytes, data: st.DataObject) -> None:
    """A line with a byte exchanged, put in or left out gets the same verdict and value from both ways."""
    position = data.draw(st.integers(0, len(raw)))
    change = data.draw(
        st.binary(max_size=1) | st.sampled_from([b'"', b"\\", b"{", b"1", b"\\u0022", b"\xef\xbb\xbf"])
    )
    damaged = raw[:position] + change + raw[position + data.draw(st.integers(0, 1)) :]
    fast, exact = outcome(damaged, exact=False), outcome(damaged, exact=True)
    assert fast[0] == exact[0]
    assert exact[1] is None or fast[1] == exact[1]


@given(LINES)
def test_what_is_read_is_what_json_reads(raw: bytes) -> None:
    """A line that is accepted has the value that the standard library reads."""
    verdict, value = outcome(raw, exact=False)
    if verdict == "read":
        assert value == repr(json.loads(raw))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"body":{"a":1,"b":2,"a":3}}', "`body.a` stands twice in the same object; keep one of them"),
        (b'{"a":1,"\\u0061":2}', "`a` stands twice"),
        (b'{"a\\\\":1,"a\\\\":2}', "`a\\` stands twice"),
        (b'{"x":[{"n":18446744073709551616}]}', "`x.0.n` is an integer beyond 64 bits"),
        (b'{"n":-9223372036854775809}', "`n` is an integer beyond 64 bits"),
        (b'{"n":' + b"9" * 5000 + b"}", "`n` is an integer beyond 64 bits"),
        (b'{"n":1e400}', "`n` is a number too large to hold (1e400); write it as a text"),
        (b'{"n":NaN}', "`n` is NaN, which JSON does not have; use null"),
        (b'{"n":-Infinity}', "`n` is -Infinity"),
        (b'{"s":"\\ud800"}', "`s` holds half a character (\\ud800"),
        (b'{"\\udc00":1}', "holds half a character (\\udc00"),
        (b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", "nests deeper than 64 levels; make it flatter"),
        (b'{"a":' + b"[" * 100_000, "nests deeper than 64 levels"),
        (b'{"a":"\xff"}', "byte 7 of the line is not UTF-8; save the file as UTF-8"),
        (b'\xef\xbb\xbf{"a":1}', "starts with a byte order mark; save the file as UTF-8 without BOM"),
        (b'{"a":1', "the line is not JSON (Expecting ',' delimiter, column 7)"),
        (b'{"a":"b', "the line is not JSON (Unterminated string starting, column 6)"),
        (b'[{"op":"x"}]', "the line is a list; it has to be a JSON object"),
        (b"null", "the line is null;"),
        (b"true", "the line is true or false;"),
        (b"3", "the line is a number;"),
        (b'"{}"', "the line is a text;"),
    ],
)
def test_refusals_name_place_and_remedy(raw: bytes, message: str) -> None:
    """Each refusal names the field or position, says what it is, and what to do."""
    with pytest.raises(LineError) as caught:
        parse_object(raw)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"n":18446744073709551615,"m":-9223372036854775808}',
        b'{"a":' + b"[" * 63 + b"]" * 63 + b"}",
        b'{"s":"' + b"[{" * 100 + b'"}',
        b'{"s":"0000000000000000000000000","f":0.12345678901234567890123}',
        b'{"a":{"x":1},"b":{"x":1}}',
        b'{ "s" : "\\"\\\\\\"" , "\\u0022" : "\\u005c" }',
        b'{"s":"\\ud83d\\ude00"}',
    ],
)
def test_suspicious_looks_are_no_fault(raw: bytes) -> None:
    """What only looks like a fault (digits or brackets in texts, the largest integers) is read."""
    assert parse_object(raw) == orjson.loads(raw)


def test_a_text_of_eight_mebibytes_without_its_end_is_refused_quickly() -> None:
    """The exact way takes time in proportion to the line."""
    with pytest.raises(LineError, match="Unterminated string"):
        parse_object(b'{"a":"' + b'x\\"' * (8 * 2**20 // 3))
