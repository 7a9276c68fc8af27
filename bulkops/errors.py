"""Every error that bulkops raises on purpose, and the exit code it ends a run with.

BulkopsError
├── UsageError            2    flags, settings or environment that cannot be used
├── JobError              2    the job file; carries every problem found, with line and field
├── OperationFailed            one operation ends as failed; the run goes on
├── InDoubt                    one operation is held; the run goes on
├── Stop                       the run ends early, work that is left stays pending
│   ├── KeyRefused        4
│   ├── Halted            5
│   ├── Unreachable       7
│   ├── Spent             7
│   ├── CheckpointError   74
│   └── Interrupted       130 / 143
└── Locked                75
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class BulkopsError(Exception):
    """The parent of all; never raised itself."""

    exit_code = 1


class UsageError(BulkopsError):
    """A flag, a setting or the environment cannot be used; nothing was sent."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a job file: where it stands, and what to do about it."""

    file: str
    line: int | None
    field: str | None
    message: str

    def __str__(self) -> str:
        """Say it in one line, place first."""
        place = self.file if self.line is None else f"{self.file}, line {self.line}"
        return f"{place}: {self.message}" if self.field is None else f"{place}: `{self.field}` {self.message}"


class JobError(BulkopsError):
    """The job file has problems; nothing was sent."""

    exit_code = 2

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class OperationFailed(BulkopsError):
    """This operation cannot be done; the others go on.

    `code` is a word for programs, `message` a sentence for people; `status` and `request_id` are the answer's.
    """

    def __init__(
        self, code: str, message: str, *, status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.request_id = request_id
        self.attempts = 0
        """How many attempts at the request it took to find that out."""


class Overdue(OperationFailed):
    """What was awaited did not settle before its deadline."""


class InDoubt(BulkopsError):
    """A request may or may not have taken effect; its operation is held until somebody decides."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.attempts = 0
        self.sure = False
        """It did take effect; what it made is not known."""
        self.repeated: str | None = None
        """The id that its answer named, as the answer to another request did."""


class Stop(BulkopsError):
    """The run ends before its end; what is left stays pending and a later run goes on with it."""

    exit_code = 7


class KeyRefused(Stop):
    """The server does not accept the key."""

    exit_code = 4


class Halted(Stop):
    """A failure threshold was reached."""

    exit_code = 5


class Unreachable(Stop):
    """The server could not be reached for too long."""

    exit_code = 7


class Spent(Stop):
    """The account has nothing left to pay with; the key is good."""

    exit_code = 7


class Interrupted(Stop):
    """A signal asked the run to end."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class CheckpointError(Stop):
    """The checkpoint cannot be read or written; nothing is sent after it."""

    exit_code = 74


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """Yield what was raised, without the groups around it."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


class Locked(BulkopsError):
    """Another run holds the lock."""

    exit_code = 75
