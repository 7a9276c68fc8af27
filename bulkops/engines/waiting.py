"""The lines that wait for groups of operations, in few bytes: there may be as many as a job has lines."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NONE = -1


class Waiting:
    """Who waits for what: 16 bytes for each line that has waited, 8 for each group that it waited for.

    Those who wait for a group form a chain, the last to come first. A line is known by a number, in the order in which
    they came.
    """

    def __init__(self, groups: int) -> None:
        self._first = array("i", [_NONE]) * groups
        self._next = array("i")
        self._who = array("i")
        self._forgiving: set[int] = set()
        """The links of lines that go on although what they wait for has failed."""
        self._numbers = array("I")
        self._offsets = array("Q")
        self._missing = array("I")
        self._blocked: set[int] = set()

    def line(self, number: int, offset: int) -> int:
        """Take in a line that stands there."""
        self._numbers.append(number)
        self._offsets.append(offset)
        self._missing.append(0)
        return len(self._numbers) - 1

    def add(self, who: int, group: int, *, forgiving: bool) -> None:
        """Have a line wait for a group."""
        self._missing[who] += 1
        if forgiving:
            self._forgiving.add(len(self._who))
        self._who.append(who)
        self._next.append(self._first[group])
        self._first[group] = len(self._who) - 1

    def place(self, who: int) -> tuple[int, int]:
        """Return the number and the offset of a line."""
        return self._numbers[who], self._offsets[who]

    def on(self, group: int) -> Iterator[int]:
        """Yield who waits for a group."""
        link = self._first[group]
        while link != _NONE:
            yield self._who[link]
            link = self._next[link]

    def any(self, group: int) -> bool:
        """Tell whether somebody waits for a group."""
        return self._first[group] != _NONE

    def release(self, group: int) -> list[int]:
        """Have nobody wait for a group any more; return, as they came, those who wait for nothing else."""
        free: list[int] = []
        for who in self.on(group):
            self._missing[who] -= 1
            if not self._missing[who] and who not in self._blocked:
                free.append(who)
        self._first[group] = _NONE
        return free[::-1]

    def block(self, group: int) -> list[int]:
        """Return, as they came and each once, those who wait for a group in vain; who forgives goes on waiting."""
        blocked: list[int] = []
        link, last = self._first[group], _NONE
        while link != _NONE:
            who, after = self._who[link], self._next[link]
            if link in self._forgiving:
                last = link
            else:
                self._missing[who] -= 1
                if who not in self._blocked:
                    self._blocked.add(who)
                    blocked.append(who)
                if last == _NONE:
                    self._first[group] = after
                else:
                    self._next[last] = after
            link = after
        return blocked[::-1]
