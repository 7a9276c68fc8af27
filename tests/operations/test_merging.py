"""JSON merge patch: the table of RFC 7396, appendix A, and what has to hold for everything else."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.errors import OperationFailed
from bulkops.merging import Added, added_to, adds, merge_patch, patch_between, restored, same, unlike

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


without_null = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
objects = st.dictionaries(st.sampled_from("abc"), without_null, max_size=3)
patches = st.dictionaries(st.sampled_from("abc"), json, max_size=3)


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


@given(objects, objects)
def test_the_patch_between_two_objects_makes_one_of_the_other(old: Any, new: Any) -> None:
    """What is found as the difference of two objects without nulls leads from the one to the other."""
    assert same(merge_patch(old, patch_between(old, new)), new)


@given(objects, patches)
def test_what_a_patch_has_changed_is_restored(before: Any, patch: Any) -> None:
    """An object is as it was before when all that a patch names is put back."""
    assert restored(merge_patch(before, patch), patch, before) == before


@given(objects, patches, objects)
def test_only_what_a_patch_names_is_restored(before: Any, patch: Any, more: Any) -> None:
    """What others have set meanwhile stays as it is, where the patch does not name it."""
    now = merge_patch(before, patch) | {f"other {key}": value for key, value in more.items()}
    others = {key: value for key, value in now.items() if key.startswith("other")}
    assert restored(now, patch, before) == before | others


@given(json)
def test_everything_reads_as_itself(value: Any) -> None:
    """Nothing is unlike itself."""
    assert list(unlike(value, deepcopy(value))) == []


@given(objects, objects)
def test_what_reads_like_an_object_has_all_of_it(expected: Any, found: Any) -> None:
    """Where no path differs, laying the expected object over the found one changes nothing."""
    if not list(unlike(expected, found)):
        assert same(merge_patch(found, expected), found)


def test_true_is_not_one() -> None:
    """Values of different types differ, also deep inside."""
    assert list(unlike({"a": {"b": 1}, "c": [True]}, {"a": {"b": True}, "c": [1]})) == ["a.b", "c"]
    assert list(unlike({"a": 1}, {"a": 1.0})) == []
