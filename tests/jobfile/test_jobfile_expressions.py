"""Expressions: how they are read, and how they are filled in, once."""

from __future__ import annotations

import copy as copying
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.jobfile import LineError, LineProblems, Ref, pick
from bulkops.jobfile.expressions import may_hold_expressions, prepare
from bulkops.jobfile.holes import resolve

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
TRICKY = st.text(alphabet="${}copyref:env#A", max_size=20)


def filled(
    value: Any,
    answers: Any = None,
    environ: dict[str, str] | None = None,
    copy: int = 1,
    vars: dict[str, Any] | None = None,
) -> Any:
    """Prepare and resolve in one go."""
    return resolve(prepare(value, environ or {}, "body", vars or {}).value, lambda _: answers, copy)


def problem(value: Any, environ: dict[str, str] | None = None) -> str:
    """Return the only problem of a value."""
    with pytest.raises(LineProblems) as caught:
        prepare(value, environ or {}, "body", {"agent": "a", "scope": 1})
    ((field, message),) = caught.value.found
    return f"`{field}` {message}"


@given(JSON.filter(lambda value: b"$" not in orjson.dumps(value)))
def test_without_expressions_nothing_changes(value: Any) -> None:
    """A value without expressions comes out as it went in."""
    prepared = prepare(value, {}, "body")
    assert not prepared.dynamic
    assert resolve(prepared.value, lambda _: None, 1) == value


@given(TRICKY | st.text())
def test_filled_in_text_is_never_expanded(text: str) -> None:
    """Text from a result or the environment stands in the outcome as it is, whatever it looks like."""
    assert filled("${ref:a#b}", text) == text
    assert filled("<${ref:a#b}>${copy}", text) == f"<{text}>1"
    assert filled("${env:A}", environ={"A": text}) == text
    assert filled("$${env:A}$${env:A}", environ={"A": text}) == "${env:A}${env:A}"
    assert filled("$ ${env:A}{x}${ref:a#b}${env:A}", text, {"A": text}) == f"$ {text}{{x}}{text}{text}"
    assert filled({"x": "${var:v}"}, vars={"v": [text]}) == {"x": [text]}
    assert filled("<${var:v}>${copy}${var:v}", vars={"v": text}) == f"<{text}>1{text}"


@given(JSON)
def test_alone_an_expression_keeps_the_type(value: Any) -> None:
    """A text that is one reference or var becomes the value itself; inside a text it becomes text."""
    assert filled({"x": ["${ref:a#b}"]}, value) == {"x": [value]}
    assert filled({"x": ["${var:v}"]}, vars={"v": value}) == {"x": [value]}
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    assert filled("a ${ref:a#b}", value) == f"a {text}"
    assert filled("a ${var:v}", vars={"v": value}) == f"a {text}"
    assert filled("$${var:v}${var:v}", vars={"v": value}) == f"${{var:v}}{text}"


@given(st.text(), st.integers(1, 9))
def test_a_literal_can_be_written(text: str, copy: int) -> None:
    """`$${` writes a plain `${`, for any text."""
    assert filled(text.replace("${", "$${"), copy=copy) == text


def test_an_empty_variable_beside_a_reference_is_text() -> None:
    """Two expressions make a text, even when one of them is empty."""
    assert filled("${env:E}${ref:a#b}", 5, {"E": ""}) == "5"


def test_braces_of_the_vendor_pass() -> None:
    """`{{…}}` belongs to the vendor and passes untouched."""
    value = {"prompt": "Hi {{user_name}}, $5 {{secret__key}} $$ {x} $", "{{k}}${copy}": 1}
    prepared = prepare(value, {}, "body")
    assert prepared.value == value
    assert not prepared.dynamic


def test_references_are_collected() -> None:
    """All references of a value are known before any has a value, and equal ones once."""
    prepared = prepare(
        {"a": "${ref:t#id} ${ref:t#id}", "b": ["${ref:x y[3]#e.details.0.ok}", "${copy}"]}, {}, "f"
    )
    assert prepared.refs == {Ref("t", None, ("id",)), Ref("x y", 3, ("e", "details", "0", "ok"))}
    assert sorted(map(str, prepared.refs)) == ["${ref:t#id}", "${ref:x y[3]#e.details.0.ok}"]
    assert prepared.copies


def test_nothing_is_changed_in_place() -> None:
    """Neither the value of the line nor the result that is filled in is touched."""
    value = {"a": ["${ref:a#b}", {"c": "x${copy}"}]}
    before = copying.deepcopy(value)
    prepared = prepare(value, {}, "body")
    answer = {"deep": [1]}
    first = resolve(prepared.value, lambda _: answer, 1)
    assert resolve(prepared.value, lambda _: answer, 2) == {"a": [{"deep": [1]}, {"c": "x2"}]}
    assert first == {"a": [{"deep": [1]}, {"c": "x1"}]}
    assert value == before
    assert answer == {"deep": [1]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "${reff:a#b}",
            "holds ${reff:a#b}; known are ${ref:ID#path}, ${var:NAME}, ${env:NAME}, ${file:PATH} and ${copy} ",
        ),
        ("${copy }", "known are"),
        ("${}", "known are"),
        ("${ref}", "known are"),
        ("${env}", "known are"),
        ("${copy:1}", "known are"),
        (
            "${var:agnt}",
            "which the header does not declare (did you mean `agent`?); add it to `vars` there, with a value, or",
        ),
        ("${var:x}", "does not declare (known are agent, scope); add it to `vars`"),
        ("${var:}", "holds ${var:}, which the header does not declare"),
        ("${var}", "known are"),
        ("${row:x}", "only the `line` of an `$each` has rows"),
        ("${file:}", "write the path of a file"),
        ("${ref:a#b", "holds `${` without its `}`; write $${ for a plain ${"),
        ("${ref:a${copy}#b}", "without its `}`"),
        ("${ref:a}", "holds ${ref:a}; write ${ref:ID#path}, or ID[N] for one copy"),
        ("${ref:#b}", "write ${ref:ID#path}"),
        ("${ref:a#}", "write ${ref:ID#path}"),
        ("${ref:a#b..c}", "write ${ref:ID#path}"),
        ("${ref: a#b}", "write ${ref:ID#path}"),
        ("${ref:@tag#b}", "write ${ref:ID#path}"),
        ("${ref:a[0]#b}", "write ${ref:ID#path}"),
        ("${ref:a[100001]#b}", "write ${ref:ID#path}"),
        ("${ref:a[x]#b}", "write ${ref:ID#path}"),
        ("${env:A B}", "a variable's name has letters, digits and _ only"),
        ("${env:NONE}", "needs the variable NONE, which is not set; set it in the environment"),
        ("${env:BROKEN}", "needs the variable BROKEN, whose value is not UTF-8; correct it"),
        ("${env:ELEVENLABS_API_KEY}", "the API key never becomes part of a job, so take it out"),
    ],
)
def test_wrong_expressions_are_named(text: str, message: str) -> None:
    """A wrong expression is an error with its field, what it is, and how to write it."""
    found = problem({"a": [text]}, {"BROKEN": "\udcff", "ELEVENLABS_API_KEY": "k"})
    assert found.startswith("`body.a.0` ")
    assert message in found


def test_all_wrong_expressions_are_found() -> None:
    """Every text of a value with a wrong expression is reported."""
    with pytest.raises(LineProblems) as caught:
        prepare({"a": "${x}", "b": {"c": "${env:NONE}"}, "d": {"$collect": 1}}, {}, "body")
    assert [field for field, _ in caught.value.found] == ["body.a", "body.b.c", "body.d.$collect"]


def test_escaped_signs_are_noticed() -> None:
    """An expression is noticed in the bytes of a line also when its signs are written as escapes."""
    assert may_hold_expressions(b'{"a":"\\u0024{copy}"}')
    assert may_hold_expressions(b'{"a":"$\\u007bcopy}"}')
    assert not may_hold_expressions(b'{"a":"{copy}"}')


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", "x"),
        ("e.details.0.passed", True),
        ("e.details.1", None),
        ("n.0", "zero"),
        ("e", {"details": ...}),
    ],
)
def test_pick_follows_keys_and_numbers(path: str, value: Any) -> None:
    """Keys lead into objects, numbers from zero into lists; a key that looks like a number is a key."""
    result = {"id": "x", "e": {"details": [{"passed": True}, None]}, "n": {"0": "zero"}}
    picked = pick(result, Ref("a", None, tuple(path.split("."))))
    assert picked == (result["e"] if path == "e" else value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("agent.foo", "`agent.foo` is not in the result of line X[2]; it has: a, b"),
        ("nope", "`nope` is not in the result of line X[2]; it has: agent, list, text, empty"),
        ("list.2", "`list.2` is not in the result of line X[2]; there is a list, numbered 0 to 1"),
        ("list.-1", "numbered 0 to 1"),
        ("list.²", "numbered 0 to 1"),
        ("list." + "9" * 5000, "numbered 0 to 1"),
        ("text.x.y", "`text.x` is not in the result of line X[2]; there is a plain value, nothing inside"),
        ("empty.x", "there is nothing inside"),
    ],
)
def test_pick_says_what_is_there_instead(path: str, message: str) -> None:
    """A path that leads nowhere is an error that says how far it led and what is there."""
    result = {"agent": {"a": 1, "b": 2}, "list": [1, 2], "text": "t", "empty": {}}
    with pytest.raises(LineError) as caught:
        pick(result, Ref("X", 2, tuple(path.split("."))))
    assert message in str(caught.value)


def test_what_nests_too_deep_cannot_become_text() -> None:
    """A result that nests deeper than can be written is an error of the line, and no crash."""
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    with pytest.raises(LineError, match="nests too deep"):
        filled("x ${ref:a#b}", deep)
