"""What a run came to: counts that add up, the exit code, and the summary."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bulkops.errors import BulkopsError
from bulkops.model import State
from bulkops.reporting.compared import Happened, compared
from bulkops.reporting.share import Share
from bulkops.reporting.text import shell_word
from bulkops.reporting.words import rfc3339
from bulkops.settings import run_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bulkops.checkpoint.rows import LineChecks
    from bulkops.errors import Stop
    from bulkops.model import Json
    from bulkops.reporting.compared import Beforehand

WORST_FIRST = (74, 4, 5, 130, 143, 7, 6, 3, 8, 0)
_FIRST_SIGNAL = 128
_IN_DOUBT, _FAILED, _CHECKS, _LEFT = 6, 3, 8, 7
_ROUNDING = 1e-9
_NOT_STARTED = State.NOT_STARTED
"""Looked up once: Python 3.11 takes longer for that than to count an operation."""


class CountError(BulkopsError, AssertionError):
    """The counts do not add up: an operation was lost or counted twice."""


@dataclass(slots=True, kw_only=True)
class Report:
    """The numbers of a run, which grow while it goes on.

    `totals` is how many operations of each kind the plan has. `requests` is all that were sent, `retries` and
    `polls` those of them. `started` and `ended` are epoch seconds. Counts are of the whole job, so they begin
    with what earlier runs did; the other numbers are of this run.
    """

    totals: Mapping[str, int]
    started: float
    ended: float | None = None
    requests: int = 0
    retries: int = 0
    polls: int = 0
    found: int = 0
    """Operations in doubt that turned out to be done."""
    absent: int = 0
    """How often an operation in doubt turned out to have had no effect and was sent again."""
    possible_duplicates: int = 0
    stopped: str | None = None
    own: Share = field(default_factory=Share)
    """What the run's own account had to do with it,"""
    accounts: dict[str, Share] = field(default_factory=dict)
    """and the other accounts, by name."""
    checks_passed: int = 0
    checks_failed: int = 0
    beforehand: Beforehand | None = None
    happened: Happened = field(default_factory=Happened)
    _counts: Counter[tuple[str, State]] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """How many operations the job has."""
        return sum(self.totals.values())

    @property
    def seconds(self) -> float:
        """How long the run took, or zero while it goes on."""
        return 0.0 if self.ended is None else max(0.0, self.ended - self.started)

    def note(self, kind: str, state: State, before: State = _NOT_STARTED) -> None:
        """Count an operation under its new state, and no longer under the one before."""
        if before is not _NOT_STARTED:
            self._counts[kind, before] -= 1
        if state is not _NOT_STARTED:
            self._counts[kind, state] += 1

    def add(self, kind: str, state: State, count: int) -> None:
        """Count operations that ended before this run."""
        self._counts[kind, state] += count if state is not State.NOT_STARTED else 0

    def count_checks(self, lines: Iterable[LineChecks]) -> None:
        """Count how the lines came out that check something."""
        self.checks_passed = self.checks_failed = 0
        for line in lines:
            good = line.passed >= _pass_rate(line.record) * line.total - _ROUNDING
            self.checks_passed += good
            self.checks_failed += not good

    def count(self, state: State) -> int:
        """Return how many operations are in a state; not started is what is left of the total."""
        return sum(self.by_kind(kind)[state] for kind in self._kinds())

    def by_kind(self, kind: str) -> dict[State, int]:
        """Return the counts of a kind by state."""
        counts = {state: self._counts[kind, state] for state in State}
        counts[State.NOT_STARTED] = self.totals.get(kind, 0) - sum(counts.values())
        return counts

    def kinds(self) -> dict[str, dict[State, int]]:
        """Return the counts of every kind."""
        return {kind: self.by_kind(kind) for kind in self._kinds()}

    def agree(self, remembered: Mapping[State, int]) -> None:
        """Raise `CountError` unless the checkpoint of the whole job counts the same.

        By state only: an edited line may have become one of another kind since its operation ended.
        """
        ended = [state for state in State if state is not State.NOT_STARTED]
        ours = {state.value: self.count(state) for state in ended}
        theirs = {state.value: remembered.get(state, 0) for state in ended}
        if ours != theirs:
            raise CountError(f"the run counts {ours}, its checkpoint {theirs}; please report this")

    def verify(self) -> None:
        """Raise `CountError` unless every operation of the plan is in exactly one state."""
        for kind, counts in self.kinds().items():
            if min(counts.values()) < 0:
                told = ", ".join(f"{state.value} {count}" for state, count in counts.items())
                raise CountError(
                    f"the counts of {kind} do not add up to the {self.totals.get(kind, 0)} planned: {told}"
                )

    def _kinds(self) -> list[str]:
        return sorted({*self.totals, *(kind for kind, _ in self._counts)})


@dataclass(frozen=True, slots=True)
class Job:
    """The job as its user names it, to write commands that continue it.

    `options` are those that have to be repeated; `folder` is the run folder, where it is not the usual one. What
    a rehearsal made is gone when it ends, so all that can follow it is the real run.
    """

    path: str
    options: tuple[str, ...] = ()
    folder: Path | None = None
    rehearsal: bool = False
    part: str | None = None
    """The `failed.jsonl` that was run: its lines have been corrected, those of the job have not."""

    def command(self, verb: str, *flags: str) -> str:
        """Return a command on the job, quoted for a shell."""
        # A path that begins with a sign would be taken for a flag.
        named = self.path if self.part is None or "--in-doubt" in flags else self.part
        path = f"./{named}" if named.startswith("-") else named
        options = [
            word for word in self.options if "--in-doubt" not in flags or not word.startswith("--in-doubt=")
        ]
        return " ".join(map(shell_word, ["bulkops", verb, *flags, path, *options]))

    def resolve(self, operation: str) -> str:
        """Return the command that settles one operation in doubt, without what is decided."""
        return shlex.join(["bulkops", "resolve", self.path, operation])

    def file(self, name: str) -> str:
        """Return the path of a file of the run folder, quoted for a shell."""
        return shlex.quote(str((self.folder or run_folder(Path(self.path)).path) / name))


def exit_code(report: Report, stop: Stop | None) -> int:
    """Return the exit code of a run that ended like this: the worst that holds (DESIGN.md, section 6)."""
    holds = {
        _IN_DOUBT: report.count(State.IN_DOUBT),
        _FAILED: report.count(State.FAILED) + report.count(State.BLOCKED),
        _CHECKS: report.checks_failed,
        # What waits for an operation in doubt is not helped by another run: that comes after the doubt.
        _LEFT: report.count(State.NOT_STARTED) if stop or not report.count(State.IN_DOUBT) else 0,
    }
    codes = [code for code, count in holds.items() if count]
    if stop is not None:
        codes.append(stop.exit_code)
    return min(codes, key=_badness, default=0)


def next_command(report: Report, job: Job, code: int) -> str | None:
    """Return the command that continues, or None when there is nothing to continue."""
    if job.rehearsal:
        return job.command("run")
    if code in {_IN_DOUBT, _FAILED, _CHECKS, 0}:
        if report.count(State.IN_DOUBT):
            return job.command("retry", "--in-doubt")
        if report.count(State.FAILED) + report.count(State.BLOCKED):
            return job.command("retry")
        return None
    return job.command("run")


def summary(report: Report, job: Job, code: int) -> dict[str, Json]:
    """Return what `summary.json` holds."""
    return {
        "job": job.path,
        "exit_code": code,
        "stopped": report.stopped,
        "next": next_command(report, job, code),
        "operations": {"total": report.total, **{state.value: report.count(state) for state in State}},
        "by_kind": {
            kind: {"total": report.totals.get(kind, 0), **{state.value: n for state, n in counts.items()}}
            for kind, counts in report.kinds().items()
        },
        "checks": {"passed": report.checks_passed, "failed": report.checks_failed},
        "requests": {"sent": report.requests, "retries": report.retries, "polls": report.polls},
        **{word: told for word, told in report.own.to_json().items() if word != "requests"},
        **(
            {"accounts": {name: s.to_json() for name, s in report.accounts.items()}}
            if report.accounts
            else {}
        ),
        "doubts": {
            "in_doubt": report.count(State.IN_DOUBT),
            "found": report.found,
            "absent": report.absent,
            "possible_duplicates": report.possible_duplicates,
        },
        "plan": compared(report),
        "seconds": round(report.seconds, 3),
        "started_at": rfc3339(report.started),
        "ended_at": None if report.ended is None else rfc3339(report.ended),
    }


def _badness(code: int) -> tuple[int, int]:
    """Order codes, worst first; any signal counts like the two that the table names."""
    known = 130 if code > _FIRST_SIGNAL else code
    return (WORST_FIRST.index(known) if known in WORST_FIRST else 0, code)


def _pass_rate(record: bytes) -> float:
    """Return the share of a line's checks that has to pass; all, unless its result says otherwise."""
    result = orjson.loads(record).get("result") or {}
    expect = result.get("expect")
    rate = expect.get("pass_rate", 1) if isinstance(expect, dict) else 1
    return float(rate)
