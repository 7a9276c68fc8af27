"""JSON merge patch: the table of RFC 7396, appendix A, and what has to hold for everything else."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.errors import OperationFailed
from bulkops.merging import Added, added_to, adds, merge_patch

APPENDIX_A: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(("target", "patch", "result"), APPENDIX_A)
def test_the_table_of_the_rfc(target: Any, patch: Any, result: Any) -> None:
    """Each row of the RFC's own table comes out as printed."""
    assert merge_patch(target, patch) == result


@given(json, json)
def test_neither_side_is_changed(target: Any, patch: Any) -> None:
    """A merge changes neither the target nor the patch, and merging twice is merging once."""
    before = deepcopy((target, patch))
    merged = merge_patch(target, patch)
    assert (target, patch) == before
    assert merge_patch(merged, patch) == merged


def test_a_list_is_added_to_what_is_there() -> None:
    """Values that are there already are not added again, whatever the order of their keys; the order stays."""
    body = {"a": {"ids": Added(("y", "z", {"k": 1, "l": 2}))}, "b": [1]}
    there = {"a": {"ids": ["x", "y", {"l": 2, "k": 1}], "other": 1}, "b": [9]}
    assert adds(body)
    assert added_to(body, there) == {"a": {"ids": ["x", "y", {"l": 2, "k": 1}, "z"]}, "b": [1]}


def test_a_list_that_is_not_there_is_the_added_one() -> None:
    """Where nothing is, or null, the list is what is added; doubles in it count once."""
    assert added_to({"a": Added((1, 1, 2))}, {}) == {"a": [1, 2]}
    assert added_to({"a": {"b": Added((1,))}}, {"a": None}) == {"a": {"b": [1]}}
    assert not adds({"a": [1], "b": {"c": "d"}})


def test_nothing_is_added_to_what_is_no_list() -> None:
    """The failure names the place."""
    with pytest.raises(OperationFailed, match=r"nothing can be added to `a\.b`: it is no list"):
        added_to({"a": {"b": Added((1,))}}, {"a": {"b": "text"}})
