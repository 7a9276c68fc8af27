"""Which line waits for which: finding those that wait for each other for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


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
