"""What the checkpoint says of millions of operations, in 16 bytes for each that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.checkpoint import KeyIndex, prefix
from bulkops.model import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulkops.checkpoint import StateRow

_NOT_STARTED = State.NOT_STARTED
# A job that went well is all done: asked first.
_ORDER = (State.DONE, State.FAILED, State.BLOCKED, State.IN_DOUBT, State.SKIPPED)


class Standing:
    """The states of operations as they were when the run began; those of which no row is given have not started."""

    def __init__(self, rows: Iterable[StateRow]) -> None:
        self._by_state = {state: KeyIndex() for state in _ORDER}
        self._lines = KeyIndex()
        self.places = 0
        """What the `place` of all of them comes to."""
        for key, state, line_digest, line in rows:
            self._by_state[state].add(key)
            if state is not State.BLOCKED:
                self._lines.add(_mixed(key, line_digest))
            self.places += place(key, line)
        for index in (*self._by_state.values(), self._lines):
            index.freeze()
        self._states = [(state, index) for state, index in self._by_state.items() if len(index)]
        self.empty = not self._states
        """Whether nothing has ended yet."""

    def of(self, key: bytes) -> State:
        """Return the state of an operation."""
        for state, index in self._states:
            if key in index:
                return state
        return _NOT_STARTED

    def unchanged(self, key: bytes, line_digest: bytes) -> bool:
        """Tell whether an operation's line has the very bytes it had when the operation ended."""
        return _mixed(key, line_digest) in self._lines

    def count(self, state: State) -> int:
        """Return how many operations are in a state that has ended."""
        return len(self._by_state[state])


def place(key: bytes, line: int) -> int:
    """Return a number for an operation on a line: sums of these are equal where all stand on the same lines."""
    return prefix(key) * line


def _mixed(key: bytes, line_digest: bytes) -> bytes:
    """Return 8 bytes that stand for this operation with a line of these bytes."""
    return (int.from_bytes(key[:8]) ^ int.from_bytes(line_digest)).to_bytes(8)
