"""`$collect`: what may be written, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from bulkops.jobfile import Collect, LineProblems
from bulkops.jobfile.expressions import prepare
from bulkops.jobfile.holes import resolve
from bulkops.merging import Added
from tests.jobfile.test_jobfile_lines import line, wrong

DOCUMENTS = {"$collect": {"tag": "handbook", "field": "document_id"}}


def filled(value: Any, found: list[Any]) -> Any:
    """Return a value with what is collected in it."""
    return resolve(prepare(value, {}, "body", {"tag": "handbook"}).value, lambda _: found, 1)


def test_what_is_collected_is_a_list() -> None:
    """The object becomes the list of the values, of whatever type they are."""
    assert filled({"ids": DOCUMENTS}, ["a", 1, {"b": []}]) == {"ids": ["a", 1, {"b": []}]}
    assert filled({"ids": DOCUMENTS}, []) == {"ids": []}


def test_within_a_list_it_becomes_part_of_it() -> None:
    """A list of fixed values and of collected ones is one list."""
    assert filled(["x", DOCUMENTS, "y", DOCUMENTS], ["a", "b"]) == ["x", "a", "b", "y", "a", "b"]


def test_what_is_collected_is_not_read_again() -> None:
    """A text that comes from an answer is no expression."""
    assert filled(DOCUMENTS, ["${env:HOME}"]) == ["${env:HOME}"]


def test_a_line_waits_for_the_tag() -> None:
    """A line that collects waits for all lines with the tag; it forgives their failures only where it says so."""
    body = {"a": DOCUMENTS, "b": {"$collect": {"tag": "t", "field": "x.y", "on_failed": "omit"}}}
    parsed = line(op="agent.update", agent_id="agent_1", body=body)
    assert parsed.refs == {
        Collect("handbook", ("document_id",)),
        Collect("t", ("x", "y"), omit=True),
    }
    assert parsed.sources() == {("@handbook", None), ("@t", None)}
    assert (parsed.forgives("@handbook"), parsed.forgives("@t")) == (False, True)
    assert not line(op="agent.update", agent_id="agent_1", body=body, needs=["@t"]).forgives("@t")


def test_a_var_may_say_the_tag() -> None:
    """The tag can be given with a var."""
    prepared = prepare({"$collect": {"tag": "${var:tag}", "field": "a"}}, {}, "body", {"tag": "handbook"})
    assert prepared.refs == {Collect("handbook", ("a",))}


def test_a_union_is_told_apart() -> None:
    """With `merge: union` the list is marked as one that is added to what is there."""
    union = {"$collect": {**DOCUMENTS["$collect"], "merge": "union"}}
    assert filled({"ids": union}, ["a"]) == {"ids": Added(("a",))}


@pytest.mark.parametrize(
    ("said", "field", "message"),
    [
        (1, "", "has to be an object"),
        ({"field": "a"}, ".tag", "has to be a tag of other lines"),
        ({"tag": "@a", "field": "a"}, ".tag", "no @ in front"),
        ({"tag": "${ref:a#b}", "field": "a"}, ".tag", "has to be a tag of other lines"),
        ({"tag": "a"}, ".field", "has to name what is taken of each result"),
        ({"tag": "a", "field": "a..b"}, ".field", "has to name"),
        ({"tag": "a", "field": ["a"]}, ".field", "has to name"),
        ({"tag": "a", "field": "a", "on_fail": "omit"}, ".on_fail", "did you mean `on_failed`?"),
        ({"tag": "a", "field": "a", "on_failed": "skip"}, ".on_failed", "one of block, omit"),
        ({"tag": "a", "field": "a", "merge": True}, ".merge", "one of replace, union"),
    ],
)
def test_what_is_wrong_with_it_is_named(said: Any, field: str, message: str) -> None:
    """Each mistake is told at its place, with the remedy."""
    with pytest.raises(LineProblems) as caught:
        prepare({"ids": {"$collect": said}}, {}, "body", {})
    ((place, text),) = caught.value.found
    assert place == f"body.ids.$collect{field}"
    assert message in text


def test_nothing_stands_beside_it() -> None:
    """It stands for a whole value."""
    with pytest.raises(LineProblems) as caught:
        prepare({**DOCUMENTS, "more": 1}, {}, "body", {})
    assert caught.value.found == [
        ("body.more", "stands beside `$collect`, which stands for a whole list; take it out")
    ]


def test_only_updates_add_to_what_is_there() -> None:
    """A union is refused in kinds that have nothing to add to, and within a list."""
    union = {"$collect": {"tag": "t", "field": "a", "merge": "union"}}
    (message,) = wrong(op="agent.create", body={"a": union})
    assert (
        message
        == "`body` holds a `$collect` with `merge`, which adds to what is there, as only agent.update can; take it out"
    )
    (message,) = wrong(op="agent.update", agent_id="a", body={"a": [union]})
    assert message.startswith('`body.a.0` stands within a list, and `"merge": "union"` means the whole list')
