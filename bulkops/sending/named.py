"""The ids that answers have named: none may be named twice."""

from __future__ import annotations

from collections import defaultdict

KEPT = 32_768
"""So many ids at least are remembered, the latest: answers that are out of step are so by a few."""
_SHELVES = 1_024
_MARK_BYTES = 6
_MARKS = 1 << 8 * _MARK_BYTES


class Named:
    """Remembers the latest ids, up to two times `KEPT`, in about 7 bytes each.

    Of an id 58 bits are kept: in a run of a million, two are taken for one with a chance of less than one in a million.
    """

    def __init__(self) -> None:
        # Short rows of bytes, each searched from its begin: a set of numbers would take ten times the memory.
        self._young: defaultdict[int, bytearray] = defaultdict(bytearray)
        self._old = self._young
        self._count = 0

    def add(self, entity: str) -> bool:
        """Remember an id; return whether it was not known."""
        number = hash(entity)
        place = number % _SHELVES
        mark = (number // _SHELVES % _MARKS).to_bytes(_MARK_BYTES)
        # Not `in`, which would try the needle as a number first: ten times the price.
        if self._young[place].find(mark) >= 0 or self._old[place].find(mark) >= 0:
            return False
        if self._count == KEPT:
            self._old, self._young, self._count = self._young, defaultdict(bytearray), 0
        self._young[place] += mark
        self._count += 1
        return True
