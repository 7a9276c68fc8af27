"""Vars: what the user gives in place of what the header says."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from bulkops.errors import UsageError
from bulkops.jobfile.variables import values_of
from tests.jobfile.test_jobfile_expressions import JSON

KEY = {"ELEVENLABS_API_KEY": "sk_secret"}


def value(own: Any, text: str) -> Any:
    """Return what a var is that the header declares as its own value, when a text is given."""
    return values_of({"x": own}, {"x": text}, KEY, "$job.vars")["x"]


@drawn(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_given_is_text_as_it_stands(text: str) -> None:
    """In place of a text or of nothing, any text is taken as it is, whatever it looks like."""
    for own in (None, "", "${env:UNSET}"):
        assert value(own, text) == text


@drawn(JSON.filter(lambda it: it is not None and not isinstance(it, str)))
def test_what_is_declared_as_json_is_given_as_json(given: Any) -> None:
    """Where the header's own value is no text, JSON of the same type is read, and nothing in it is an expression."""
    text = orjson.dumps(given).decode()
    own: Any = type(given)() if not isinstance(given, float) else 1
    assert value(own, text) == orjson.loads(text)
    assert value([1], '["${env:UNSET}"]') == ["${env:UNSET}"]


@pytest.mark.parametrize(
    ("own", "text", "message"),
    [
        (1, "five", "--var x: has to be a number, as in the header, and 'five' is not"),
        (1.5, "true", "has to be a number"),
        (True, "1", "has to be true or false, as in the header, and '1' is not"),
        ([1], '{"a":1}', "has to be a list of JSON"),
        ({}, "[]", "has to be a JSON object"),
        ({}, '{"a":1,"a":2}', "has to be a JSON object"),
        (1, "null", "has to be a number"),
        (1, "NaN", "has to be a number"),
        (1, "\x1b[2J", r"and '\x1b[2J' is not"),
        ("", "\udcff", "--var x: is not UTF-8; correct it"),
        (
            "",
            "Bearer sk_secret",
            "--var x: holds the API key, which never becomes part of a job; take it out",
        ),
    ],
)
def test_what_cannot_be_given(own: Any, text: str, message: str) -> None:
    """Another type, bad JSON and the API key are refused, with what is expected and nothing that a terminal obeys."""
    with pytest.raises(UsageError) as caught:
        value(own, text)
    assert message in str(caught.value)
    assert "sk_secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("declared", "hint"), [({"agent": 1, "n": 2}, "did you mean `agent`?"), ({}, "it declares none")]
)
def test_what_is_given_has_to_be_declared(declared: Any, hint: str) -> None:
    """A var that the header does not declare is refused with the nearest name and how to declare it."""
    with pytest.raises(UsageError) as caught:
        values_of(declared, {"agnt": "x"}, {}, "$job.vars")
    assert f"--var agnt: the job's header declares no such var; {hint}" in str(caught.value)
    assert '{"$job": {"vars": {"agnt": null}}}' in str(caught.value)


def test_what_is_given_wins_unread() -> None:
    """The header's own value is not looked at where another is given: its variables need not be set."""
    assert values_of({"x": "${env:UNSET}", "y": 1}, {"x": "a"}, {}, "v") == {"x": "a", "y": 1}
