"""Cycles."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulkops.jobfile import depth, find_cycle


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


@given(st.dictionaries(st.integers(0, 9), st.lists(st.integers(0, 9), max_size=4)))
def test_the_depth_is_that_of_a_plain_recursion(numbers: dict[int, list[int]]) -> None:
    """For any lines that wait for later ones, the depth is that of the longest way, counted in lines."""
    edges = {str(here): [str(there) for there in waits if there > here] for here, waits in numbers.items()}

    def longest(here: str) -> int:
        return 1 + max(map(longest, edges.get(here, ())), default=0)

    waited_for = [there for waits in edges.values() for there in waits]
    assert depth(edges, waited_for) == max(map(longest, edges), default=1)


def test_the_depth_of_long_chains_and_wide_fans_takes_no_recursion() -> None:
    """A chain of 200,000 lines, and a line that waits for all of them, are walked in a moment."""
    size = 200_000
    chain = {str(number): [str(number + 1)] for number in range(size)}
    assert depth(chain, ["1"]) == size + 1
    assert depth({"all": list(chain), **chain}, ["all"]) == size + 3
    assert depth({"all": list(chain)}, list(chain)) == 2


def test_a_tag_is_no_link_of_a_chain() -> None:
    """Who waits for a tag waits for the deepest of its lines, and at least for one."""
    assert depth({}, ["@docs"]) == 2
    assert depth({"@docs": ["b"], "b": ["a"]}, ["@docs", "a"]) == 3
