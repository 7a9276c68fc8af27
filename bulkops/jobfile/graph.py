"""Which line waits for which: finding those that wait for each other for ever, and the longest chain of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.jobfile.marks import TAG_MARK

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping


def find_cycle(edges: Mapping[str, Collection[str]]) -> list[str] | None:
    """Return the ids of one cycle, each waiting for the next and the last for the first; None without one.

    `edges` leads from an id to those it waits for; ids that are no keys wait for nothing. Takes time in
    proportion to the edges, and no recursion.
    """
    finished: set[str] = set()
    for start in edges:
        if start not in finished:
            cycle = _cycle_from(start, edges, finished)
            if cycle is not None:
                return cycle
    return None


def depth(edges: Mapping[str, Collection[str]], waited_for: Iterable[str]) -> int:
    """Return how many lines the longest chain has in which each waits for the next; 1 where nothing is waited for.

    `edges` are those of `find_cycle`, without a cycle; lines for which nothing waits may be missing. What begins with
    `@` is no line but all that have a tag. Takes time in proportion to the edges, and no recursion.
    """
    depths: dict[str, int] = {}
    longest = 0
    for start in waited_for:
        way = [start]
        while way:
            here = way[-1]
            deeper = [] if here in depths else [there for there in edges.get(here, ()) if there not in depths]
            if deeper:
                way += deeper
                continue
            way.pop()
            if here not in depths:
                line = not here.startswith(TAG_MARK)
                depths[here] = line + max((depths[there] for there in edges.get(here, ())), default=not line)
        longest = max(longest, depths[start])
    return 1 + longest


def _cycle_from(start: str, edges: Mapping[str, Collection[str]], finished: set[str]) -> list[str] | None:
    """Walk depth first; `way` holds the ids from `start` to here in order, each with what is left of it."""
    way: dict[str, Iterator[str]] = {start: iter(edges[start])}
    while way:
        here = next(reversed(way))
        for there in way[here]:
            if there in way:
                ids = list(way)
                return ids[ids.index(there) :]
            if there in edges and there not in finished:
                way[there] = iter(edges[there])
                break
        else:
            way.popitem()
            finished.add(here)
    return None
