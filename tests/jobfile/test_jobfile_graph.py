"""Cycles."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulkops.jobfile import find_cycle


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdefg"), max_size=4)))
def test_a_cycle_is_found_exactly_when_there_is_one(edges: dict[str, list[str]]) -> None:
    """What is returned is a cycle; when nothing is, the lines can be put in an order."""
    cycle = find_cycle(edges)
    if cycle is not None:
        assert all(there in edges[here] for here, there in zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        assert len(set(cycle)) == len(cycle)
        return
    left = dict(edges)
    while left:
        free = [node for node, needs in left.items() if not any(need in left for need in needs)]
        assert free
        for node in free:
            del left[node]


def test_the_cycle_is_in_order() -> None:
    """The ids come in the order in which each waits for the next."""
    assert find_cycle({"start": ["a"], "a": ["x", "b"], "b": ["c"], "c": ["a"]}) == ["a", "b", "c"]
    assert find_cycle({"a": ["a"]}) == ["a"]


def test_long_chains_and_wide_fans_are_walked() -> None:
    """A chain of 200,000 lines and a line that waits for as many take no recursion and little time."""
    size = 200_000
    chain = {str(number): [str(number + 1)] for number in range(size)}
    assert find_cycle(chain) is None
    assert find_cycle({"all": list(chain), **chain}) is None
    chain[str(size)] = ["0"]
    cycle = find_cycle(chain)
    assert cycle is not None
    assert len(cycle) == size + 1
