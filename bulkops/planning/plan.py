"""The plan: what a run of a job file takes up, and what the engine has to know to do it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulkops.checkpoint import KeyIndex, Occurrences, digest, line_key, operation_key
from bulkops.errors import JobError, Stop, UsageError
from bulkops.jobfile import LineProblems, LineSet, parse_line, sifted
from bulkops.jobfile.problems import nearest, shown
from bulkops.model import State, value
from bulkops.pace.tiers import bucket_for
from bulkops.planning.course import Course
from bulkops.planning.duplicates import Duplicates
from bulkops.planning.groups import BLOCKING, Groups

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from bulkops.api.profile import Tier
    from bulkops.errors import Problem
    from bulkops.jobfile import Fingerprint, Header, JobFile, Line, RawLine
    from bulkops.planning.known import Known
    from bulkops.planning.standing import Standing


MOST_DELETES_TOLD = 3


@value
class Selection:
    """What is chosen of a job: which operations a run takes up besides those that have not started, and how.

    Blocked ones are always looked at again: what they wait for may be done by now. `in_doubt` names the kinds
    whose operations in doubt are taken up, whatever is done about them then. `changed` says what happens
    when done operations are no longer in the file: None refuses, `keep` and `rerun` go on, and `rerun` also does
    lines with an id again that were changed since they were done. `before`: what is changed is read before that, so
    that it can be taken back. `closely`: somebody only looks, and also wants to know what stands there several
    times, which takes 16 bytes a line.
    """

    failed: bool = False
    in_doubt: frozenset[str] = frozenset()
    changed: str | None = None
    before: bool = True
    closely: bool = False


@value
class Planned:
    """One operation of a line: the unit of state, identity, outcome and count."""

    key: bytes
    line_key: bytes
    line: Line
    index: int

    @property
    def name(self) -> str | None:
        """The id that people know it by, None for lines without one."""
        return named(self.line.id, self.index, self.line.count)

    def cause(self, state: State, job: JobFile) -> str | None:
        """Return why what waits for it cannot go when it has ended so; None where it can."""
        if state not in BLOCKING or self.line.on_error == "continue":
            return None
        return f"{self.name or job.place(self.line.number)} is {state.value}"


def edited_words(number: int) -> str:
    """Return what people are told about done operations whose line was edited."""
    return (
        f"{number:,} done operation{'' if number == 1 else 's'} with an id read differently from what was done; "
        "they count as done (--changed rerun does them again)"
    )


def deletes_words(plan: Plan) -> str:
    """Return what people are told about what is left to delete: how much, and the first of it."""
    number = plan.deletes
    names = ", ".join(shown(name) for name in plan.deleted)
    thing = next(iter(plan.deleted_kinds)) if len(plan.deleted_kinds) == 1 else "thing"
    plural = "" if number == 1 else "es" if thing.endswith("x") else "s"
    return f"{number:,} {thing}{plural} ({names}{', …' if number > len(plan.deleted) else ''})"


def named(line_id: str | None, index: int, count: int) -> str | None:
    """Return the id of one operation of a line: `ID`, or `ID[N]` counted from one where there are several."""
    return line_id if line_id is None or count == 1 else f"{line_id}[{index + 1}]"


@dataclass(slots=True)
class Load:
    """What is left to send to an account: requests, and looks at what is awaited."""

    requests: int = 0
    looks: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.requests + self.looks

    def seconds(self, tier: Tier) -> float | None:
        """Return how long that takes at the even pace of a tier; None when the tier has no number."""
        if tier.limit is None:
            return None
        bucket = bucket_for(tier.limit, tier.period)
        return max(0.0, self.total - bucket.burst) / bucket.per_second


@dataclass(slots=True)
class Plan:
    """What a run of a job file would do.

    `operations` (by kind) and `states` (by kind and state) count the whole file, `left` what this run takes up.
    `requests` and `looks`
    (at what is awaited, each thing once, and as many in one request as the API allows: the least) are what is left to
    send; a listing counts as one request.
    `upload_bytes` is the size of the files that are left to upload.
    """

    job: JobFile
    header: Header
    selection: Selection
    standing: Standing
    environ: Mapping[str, str]
    folder: Path
    """Where relative paths of uploads start."""
    lines: int = 0
    lines_by_kind: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    states: Counter[tuple[str, State]] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    looks: int = 0
    requests_by_kind: Counter[str] = field(default_factory=Counter)
    requests_by_endpoint: Counter[str] = field(default_factory=Counter)
    awaited: Counter[str] = field(default_factory=Counter)
    """How many things are awaited, by the names of the watches."""
    loads: dict[str, Load] = field(default_factory=dict)
    """What of that goes to accounts that lines name."""
    upload_bytes: int = 0
    deletes: int = 0
    """How many operations are left that delete something."""
    deleted: list[str] = field(default_factory=list)
    deleted_kinds: set[str] = field(default_factory=set)
    """The first of what they delete: ids, or those of the lines that will know them."""
    largest_upload: int = 0
    course: Course = field(default_factory=Course)
    """What is left in its order."""
    duplicates: Duplicates | None = field(init=False)
    """What stands there several times; None where nobody wanted to know."""
    gone: str = ""
    """A digest of the operations of the checkpoint that are not in the file any more; empty when there are none."""
    edited: int = 0
    """Done operations whose line, known by its id, now reads differently from what was done."""
    groups: Groups = field(default_factory=Groups)
    """What lines wait for."""
    undocumented: list[Problem] = field(default_factory=list)
    """Where results are asked for what the documented answers do not have, though they might."""
    traps: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """What lines are likely not to mean, by field and words: the first line, and how many there are."""
    collected: dict[str, bytearray] = field(default_factory=dict)
    """By tag, the keys of the operations whose results are collected, one after the other in the order of lines."""
    depth: int = 1
    """How many lines the longest chain has in which each waits for the one before."""
    copies: dict[str, int] = field(default_factory=dict)
    """How many operations the lines have that have an id and more than one."""
    occurrences: Occurrences = field(default_factory=Occurrences)
    accounts: dict[str, int] = field(default_factory=dict)
    """The accounts that lines name, and the first line that does."""
    unnamed: bool = False
    """Whether a line names no account, and so goes to the run's own."""
    again: KeyIndex = field(default_factory=KeyIndex)
    """The operations that have ended before and are taken up again."""
    work: LineSet = field(default_factory=LineSet)
    """The numbers of the lines with an operation that this run does."""
    known: Known | None = None
    """What the next run may know without reading the file line by line; None when it has to."""
    fingerprint: Fingerprint | None = None
    """That of the whole file, where it was taken along the way."""

    def __post_init__(self) -> None:
        """Look for what stands there several times, if somebody wants to know."""
        self.duplicates = Duplicates() if self.selection.closely else None

    @property
    def total(self) -> int:
        """How many operations the job file has."""
        return self.operations.total()

    def count(self, state: State) -> int:
        """Return how many operations of the job file are in a state before this run."""
        return sum(number for (_, of), number in self.states.items() if of is state)

    def load(self, account: str, own: str) -> Load:
        """Return what is left to send to an account; `own` is the name of the run's own, that of all other lines."""
        if account != own:
            return self.loads.get(account, Load())
        elsewhere = [load for name, load in self.loads.items() if name != own]
        return Load(
            self.requests - sum(load.requests for load in elsewhere),
            self.looks - sum(load.looks for load in elsewhere),
        )

    def raw_batches(self) -> Iterator[list[RawLine]]:
        """Yield the job's lines in blocks, without the header."""
        return self.job.batches(self.header.start, self.header.first)

    def batches_with_work(self) -> Iterator[list[RawLine]]:
        """Yield the lines with work in blocks; all lines where equal ones are told apart by their order."""
        if self.occurrences.repeated:
            return self.raw_batches()
        return sifted(self.job, self.work, self.header.start, self.header.first)

    def parse(self, raw: RawLine) -> Line:
        """Return a line of the job that was found good before; Stop when its environment is not what it was."""
        try:
            return parse_line(raw, self.header, self.environ, self.folder, known_good=True)
        except LineProblems as found:
            problem = self.job.problem(raw.number, *found.found[0])
            raise Stop(f"{problem}; it was good when the run began, so correct it and run again") from None

    def takes_up(self, key: bytes, line: Line) -> bool:
        """Tell whether this run does an operation."""
        match self.standing.of(key):
            case State.NOT_STARTED | State.BLOCKED:
                return True
            case State.FAILED:
                return self.selection.failed or not self.standing.unchanged(key, digest(line.raw))
            case State.IN_DOUBT:
                return line.op in self.selection.in_doubt
            case State.DONE:
                edited = self.selection.changed == "rerun" and line.id is not None
                return edited and not self.standing.unchanged(key, digest(line.raw))
            case State.SKIPPED:
                return False

    def before(self, key: bytes) -> State:
        """Return the state of an operation as lines that wait for it see it when the run begins."""
        return State.NOT_STARTED if key in self.again else self.standing.of(key)

    def planned(self, line: Line, key: bytes) -> Sequence[Planned]:
        """Return the operations of a line."""
        if line.count == 1:
            return (Planned(operation_key(key, 0), key, line, 0),)
        return [Planned(operation_key(key, index), key, line, index) for index in range(line.count)]

    def key_of(self, line_id: str | None, raw: bytes) -> bytes:
        """Return the identity of a line; those without id have to be asked for in file order, each once."""
        key = line_key(line_id, raw, 0)
        if line_id is None and (occurrence := self.occurrences.next(key)):
            return line_key(None, raw, occurrence)
        return key

    def check_accounts(self, known: Collection[str]) -> None:
        """Raise JobError for lines that name an account which the user does not have."""
        if problems := self.wrong_accounts(known):
            raise JobError(problems)

    def wrong_accounts(self, known: Collection[str]) -> list[Problem]:
        """Return what is wrong with lines that name an account which the user does not have."""
        problems = []
        for name, number in self.accounts.items():
            if name not in known:
                hint = nearest(name, known)
                what = (
                    f"the account {name!r} is none of yours; {hint}{'' if hint.endswith('?') else '.'} Write one of "
                    "them, add it to the accounts file, or call one by it in the header's `accounts`"
                )
                problems.append(self.job.problem(number, None, what))
        return problems

    def note_deletes(self, line: Line, number: int) -> None:
        """Note that so many operations of a line are left that delete something."""
        self.deletes += number
        self.deleted_kinds.add((line.kind.deletes or "").removesuffix("_id"))
        if len(self.deleted) < MOST_DELETES_TOLD:
            name = line.fields.get(line.kind.deletes or "")
            self.deleted.append(name if isinstance(name, str) else line.id or f"line {line.number}")

    def trap_words(self) -> Iterator[tuple[int, str]]:
        """Yield what lines are likely not to mean: how many of them, and a sentence."""
        for (where, what), (first, count) in self.traps.items():
            more = f" (and {count - 1:,} more)" if count > 1 else ""
            yield count, f"{self.job.problem(first, where, what)}{more}"

    def check_deletes(self, most: int | None) -> None:
        """Raise UsageError when more is left to delete than that."""
        if most is not None and most < 0:
            raise UsageError(f"--max-delete takes a number from 0, not {most}")
        if most is not None and self.deletes > most:
            raise UsageError(
                f"the job deletes {deletes_words(self)}, and --max-delete is {most:,}; nothing was sent."
                " Look at it, then give a higher one"
            )

    def start_over(self) -> None:
        """Forget every count, for a second pass."""
        self.unnamed = False
        self.lines = self.upload_bytes = self.edited = self.deletes = 0
        self.deleted.clear()
        self.deleted_kinds.clear()
        self.course = Course()
        self.duplicates = Duplicates() if self.selection.closely else None
        for counts in (self.lines_by_kind, self.requests_by_kind, self.requests_by_endpoint, self.awaited):
            counts.clear()
        self.loads.clear()
        self.operations.clear()
        self.states.clear()
        self.left.clear()
        self.again = KeyIndex()
        self.work = LineSet()
