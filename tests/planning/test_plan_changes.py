"""What differs between what is there and what would be."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bulkops.merging import merge_patch
from bulkops.planning.changes import ABSENT, Difference, differences

values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from("ab"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=6,
)


def test_differences_name_path_old_and_new() -> None:
    """Objects are gone into, lists are not; what is not there on one side is said to be absent."""
    old = {"a": {"b": 1, "c": [1, 2]}, "gone": 0, "same": "x"}
    new = {"a": {"b": 2, "c": [1, 3]}, "same": "x", "more": None}
    assert list(differences(old, new)) == [
        Difference(("a", "b"), 1, 2),
        Difference(("a", "c"), [1, 2], [1, 3]),
        Difference(("gone",), 0, ABSENT),
        Difference(("more",), ABSENT, None),
    ]


def test_a_truth_is_no_number() -> None:
    """True is not 1, while 1.0 is."""
    assert [each.path for each in differences({"a": 1}, {"a": True})] == [("a",)]
    assert list(differences({"a": 1}, {"a": 1.0})) == []


@given(st.dictionaries(st.sampled_from("xyz"), values), st.dictionaries(st.sampled_from("xyz"), values))
def test_what_differs_is_what_a_patch_changes(old: dict[str, Any], patch: dict[str, Any]) -> None:
    """Putting the new values in their places makes of the old what the patch makes of it."""
    new = merge_patch(old, patch)
    made: dict[str, Any] = merge_patch(old, {})
    for each in differences(old, new):
        place = made
        for key in each.path[:-1]:
            place[key] = dict(place[key])
            place = place[key]
        if each.new == ABSENT:
            del place[each.path[-1]]
        else:
            place[each.path[-1]] = each.new
    assert made == new
