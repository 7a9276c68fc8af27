"""The ids that answers have named: none may be named twice."""

from __future__ import annotations

from collections import defaultdict

_SHELVES = 16_384
_MARK_BYTES = 6
_MARKS = 1 << 8 * _MARK_BYTES


class Named:
    """Remembers ids in about 7 bytes each.

    Of an id 62 bits are kept: in a run of a million, any two are taken for one by a chance of less than 1 in 100,000.
    """

    def __init__(self) -> None:
        # Short rows of bytes, each searched from its begin: a set of numbers would take ten times the memory.
        self._shelves: defaultdict[int, bytearray] = defaultdict(bytearray)

    def add(self, entity: str) -> bool:
        """Remember an id; return whether it was not known."""
        number = hash(entity)
        shelf = self._shelves[number % _SHELVES]
        mark = (number // _SHELVES % _MARKS).to_bytes(_MARK_BYTES)
        # Not `in`, which would try the needle as a number first: ten times the price.
        if shelf.find(mark) >= 0:
            return False
        shelf += mark
        return True
