"""What is remembered: one row per operation that has ended, one per step that may have had an effect."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from bulkops.model import value

if TYPE_CHECKING:
    from bulkops.model import State


class StepState(IntEnum):
    """What is known about an effectful step of an operation."""

    INTENT = 1
    """It was about to be sent. Found by a later run, it may have taken effect: in doubt."""
    NO_EFFECT = 2
    """The last attempt had no effect, proven; another one may follow."""
    DONE = 3
    """It took effect and its reply is remembered."""
    UNKNOWN = 4
    """It may have taken effect, and nobody can tell from here: in doubt."""
    MADE = 5
    """It took effect, and the id of what it made is not known: in doubt, and never to be sent again."""


@value
class StepRow:
    """One effectful request of one operation; `number` counts them from zero within the operation.

    `reply` is the JSON of the answer (or of what is known), `entity` the id it made. `reason` says in words
    why the state is not DONE, or marks one that is taken up again. `request` is a digest of what was asked. `at`
    is the wall clock's time of the last change; `since` is when the attempt began by the server's clock, 0 where
    that was not known yet. `evidence` is the JSON that says on what a finding about it rests.
    """

    key: bytes
    number: int
    endpoint: str
    attempt: int
    state: StepState
    entity: str | None = None
    reply: bytes | None = None
    reason: str | None = None
    at: float = 0.0
    request: bytes = b""
    since: float = 0.0
    evidence: bytes | None = None


@value
class OperationRow:
    """One operation that has ended or is held.

    `key` is its identity, `operation_key(line_key, index)`, `line_key` that of its line, `digest` that of the
    line's bytes when it ended. `record` is its line of `results.jsonl`; `raw` the original line, kept
    only while it is not done.
    """

    key: bytes
    line_key: bytes
    line: int
    index: int
    id: str | None
    kind: str
    state: State
    digest: bytes
    record: bytes
    raw: bytes | None = None
    passed: bool | None = None


class StateRow(NamedTuple):
    """The end of an operation without its texts: its state, and the bytes (`digest`) and number of its line then."""

    # A named tuple, since millions are read.
    key: bytes
    state: State
    digest: bytes
    line: int


class LineChecks(NamedTuple):
    """How the operations of one line that check something came out; `record` is that of the first of them."""

    line_key: bytes
    passed: int
    total: int
    record: bytes
