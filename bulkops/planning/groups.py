"""What lines wait for: groups of operations, each of which counts as one."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING

from bulkops.checkpoint import line_key, operation_key, prefix, tag_key
from bulkops.jobfile import TAG_MARK
from bulkops.model import State, value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCKING = (State.FAILED, State.BLOCKED, State.SKIPPED)


@value
class Group:
    """All operations of a line, one of them, or all with a tag, as a run finds them.

    `left` of them have not ended, of which `doubtful` are held in doubt. `cause` is why what waits for them cannot go.
    """

    name: int
    left: int = 0
    doubtful: int = 0
    cause: str | None = None


class Groups:
    """The groups that a job waits for, by place: 12 bytes for each, and more for those that block or are in doubt."""

    def __init__(self, groups: Iterable[Group] = ()) -> None:
        names, left = array("Q"), array("I")
        self._causes: dict[int, str] = {}
        self._doubtful: Counter[int] = Counter()
        for group in groups:
            names.append(group.name)
            left.append(group.left)
            if group.cause is not None:
                self._causes[group.name] = group.cause
            if group.doubtful:
                self._doubtful[group.name] = group.doubtful
        order = sorted(range(len(names)), key=names.__getitem__)
        self._names = array("Q", (names[place] for place in order))
        self._left = array("I", (left[place] for place in order))

    def __len__(self) -> int:
        return len(self._names)

    def place(self, name: int) -> int | None:
        """Return the place of a group, None where nothing waits for it."""
        place = bisect_left(self._names, name)
        return place if place < len(self._names) and self._names[place] == name else None

    def left(self, place: int) -> int:
        """Return how many operations of a group have not ended."""
        return self._left[place]

    def cause(self, place: int) -> str | None:
        """Return why what waits for a group cannot go, None where it can."""
        return self._causes.get(self._names[place])

    def doubtful(self) -> Iterator[int]:
        """Yield the groups with operations that are held in doubt."""
        for name, number in self._doubtful.items():
            place = self.place(name)
            if number and place is not None:
                yield place

    def end(self, place: int, state: State, cause: str | None) -> None:
        """Note that an operation of a group has ended; `cause` where what waits for it cannot go."""
        name = self._names[place]
        if state is State.IN_DOUBT:
            self._doubtful[name] += 1
            return
        if self._left[place]:
            self._left[place] -= 1
        if cause is not None:
            self._causes.setdefault(name, cause)

    def go_on(self, place: int, was: State) -> None:
        """Note that an operation of a group which had ended goes on. If it blocked others, that stays so."""
        if was is State.IN_DOUBT:
            self._doubtful[self._names[place]] -= 1
        else:
            self._left[place] += 1


def name_of(source: str, index: int | None) -> int:
    """Return the name of what is waited for: a line by its id, its operation with this number from 1, or `@TAG`."""
    if source.startswith(TAG_MARK):
        return name_of_tag(source[1:])
    key = line_key(source, b"", 0)
    return prefix(key if index is None else operation_key(key, index - 1))


def name_of_tag(tag: str) -> int:
    """Return the name of the group of all operations with a tag."""
    return prefix(tag_key(tag))
