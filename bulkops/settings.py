"""Settings: frozen values, each taken from the first that gives it: flag, environment, job header, account, default."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from math import ceil
from typing import TYPE_CHECKING

from bulkops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bulkops.api.profile import Profile, Tier

MOST_IN_FLIGHT = 1024
USUAL_IN_FLIGHT = 16
ROUNDING = 1e-9
"""A fifth of a hundred is no more than twenty, whatever floating point says."""


class Secret:
    """A text that shows itself to nobody: printed, logged or pickled it is `***`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text; only the wire and the redacting filters have a reason to."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return (Secret, ("***",))


@dataclass(frozen=True, slots=True)
class Reserve:
    """What is left to others: a share of the limit, or so many per second; the larger counts."""

    share: float = 0.0
    per_second: float = 0.0

    def spared(self, limit: int, period: float) -> int:
        """Return what is left of a limit; one request at least."""
        return max(1, limit - ceil(max(limit * self.share, period * self.per_second) - ROUNDING))


NO_RESERVE = Reserve()


@dataclass(frozen=True, slots=True)
class Account:
    """A key, where it may be used, and how fast."""

    name: str
    base_url: str
    key: Secret
    tier: Tier
    tier_source: str = "default"
    """Where the tier came from, in words: a flag, the environment, the accounts file, the default."""
    fixed: bool = False
    """The user gave a rate of their own: the server may lower it, not raise it."""
    reserve: Reserve = NO_RESERVE
    """What is left to others on the same key."""
    exclusive: bool = False
    """The user says that nobody else uses the key."""
    poll_share: float | None = None
    """What looks at awaited things get of the turns while other requests wait; None leaves it to the run."""

    @property
    def usable(self) -> Tier:
        """The tier less what is left to others."""
        limit = self.tier.limit
        return (
            self.tier
            if limit is None
            else replace(self.tier, limit=self.reserve.spared(limit, self.tier.period))
        )


@dataclass(frozen=True, slots=True)
class Halt:
    """End the run when too much fails: so many failed operations, or such a share of those that ended.

    A share counts only from `sample` ended operations on.
    """

    count: int | None = None
    share: float | None = None
    sample: int = 100

    def reached(self, failed: int, ended: int) -> bool:
        """Tell whether the run has to end."""
        if self.count is not None:
            return failed >= self.count
        return self.share is not None and ended >= self.sample and failed >= self.share * ended


class Policy(Enum):
    """What is done about an operation in doubt."""

    RECONCILE = "reconcile"
    """Ask the API what became of it; hold it where the API cannot tell."""
    RETRY = "retry"
    """Send it again; it may then be there twice."""
    SKIP = "skip"
    """Give it up."""
    ASK = "ask"
    """Ask the API, and the user where the API cannot tell."""


@dataclass(frozen=True, slots=True)
class Policies:
    """The policy for each kind of operation, and for all others."""

    default: Policy = Policy.RECONCILE
    of_kind: Mapping[str, Policy] = field(default_factory=dict)

    def of(self, kind: str) -> Policy:
        """Return the policy for a kind."""
        return self.of_kind.get(kind, self.default)


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier run by its `results.jsonl`: the name of its own account, and ours by what it called them."""

    results: Path
    own: str
    accounts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a run goes about its work. All times in seconds, of the clock that the server's periods run on."""

    api: Profile
    account: Account
    """The run's own: that of lines which name none."""
    others: Mapping[str, Account] = field(default_factory=dict)
    """The other accounts that lines name, by their names."""
    in_flight: int = USUAL_IN_FLIGHT
    halt: Halt | None = None
    max_requests: int | None = None
    """So many requests a run sends at most, looks and retries included."""
    max_duration: float | None = None
    """So long a run sends, in seconds of our own clock; what is in flight then is finished."""
    drain: float = 30.0
    attempt_deadline: float = 120.0
    """From the turn to the last byte of the answer; an upload gets longer by its size."""
    give_up_after: float = 300.0
    """So long an unreachable server is waited for."""
    time_scale: float = 1.0
    """How many times as fast the server's clock runs; other than 1 only with the emulator."""
    in_doubt: Policies = field(default_factory=Policies)
    settle: float = 60.0
    """So long after a request was in doubt it counts as having had no effect when the API does not list it."""
    stamps: frozenset[str] = frozenset()
    """How what is made bears a token, by which it is known again, in the words of `--stamp`."""
    most_awaited: int = 10_000
    """So many operations may wait for something to settle before no new ones are begun."""
    upload_rate: float = 100_000.0
    """The slowest upload that is still given time, in bytes per second."""
    upload_root: Path | None = None
    """Only files below this folder are uploaded; None for any that the user may read."""
    earlier: tuple[Earlier, ...] = ()
    """Earlier runs: what they uploaded need not be uploaded again."""
    undoing: tuple[Path, ...] = ()
    """The checkpoints of jobs that took back these runs, or this one: what they deleted is not there any more."""

    @property
    def accounts(self) -> dict[str, Account]:
        """All accounts of the run by name, its own first."""
        return {self.account.name: self.account, **self.others}

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not 1 <= self.in_flight <= MOST_IN_FLIGHT:
            raise UsageError(f"-j takes a number from 1 to {MOST_IN_FLIGHT}, not {self.in_flight}")
        if self.max_requests is not None and self.max_requests < 1:
            raise UsageError(
                f"--max-requests takes a number from 1, not {self.max_requests}; without it there is no such bound"
            )
        if self.max_duration is not None and self.max_duration <= 0:
            raise UsageError(
                "--max-duration takes a time greater than 0, such as 90m or 2h; without it there is no such bound"
            )


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run lives: `JOB.run/` beside the job file."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """The checkpoint's file."""
        return self.path / "checkpoint.db"


def run_folder(job: Path, *, emulated: bool = False, given: Path | None = None) -> RunFolder:
    """Return the run folder of a job file; a rehearsal against the emulator has one of its own."""
    if given is not None:
        return RunFolder(given)
    return RunFolder(job.parent / f"{job.stem}{'.emulated' if emulated else ''}.run")
