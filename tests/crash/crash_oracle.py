"""Who is right: the server's log of what happened, against what the tool says of every operation."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.crash.crash_processes import Made

Row: TypeAlias = dict[str, Any]
"""A line of results.jsonl."""
CREATES = frozenset(
    {"agent.create", "conversation.create", "document.upload", "document.create_text", "tool.create"}
)
"""The effects that must not happen twice; the others can be repeated."""
OVER = frozenset({"done", "failed", "blocked", "skipped", "in_doubt"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one line of a job makes at the server.

    `kind` and `name` are those of its effect, None where it makes nothing; `name` may hold `${copy}`, and is the
    id of the agent that line `of` makes where that is given. `waits` are the lines that it waits for.
    """

    line: int
    kind: str | None = None
    name: str = ""
    copies: int = 1
    of: int | None = None
    waits: tuple[int, ...] = ()


@dataclass(slots=True)
class Violations:
    """What must be empty. Each entry says what is wrong with which operation or effect."""

    duplicates: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.duplicates) + len(self.lost) + len(self.wrong)

    def __iadd__(self, other: Violations) -> Violations:  # noqa: PYI034 - final in all but name
        """Add those of another job."""
        self.duplicates += other.duplicates
        self.lost += other.lost
        self.wrong += other.wrong
        return self


@dataclass(slots=True)
class _Thing:
    """All that is known of the effects of one kind and name."""

    operations: int = 0
    happened: list[str] = field(default_factory=list)
    claimed: list[str] = field(default_factory=list)
    doubtful: int = 0

    def check(self, what: str, found: Violations) -> None:
        """Note what does not fit together."""
        surplus = len(self.happened) - self.operations
        found.duplicates += [what] * max(0, surplus)
        unknown = len(set(self.happened) - set(self.claimed)) - self.doubtful
        found.lost += [f"{what} happened, and nobody knows"] * max(0, unknown - max(0, surplus))
        wrong = [one for one in self.claimed if one not in self.happened]
        wrong += [one for one, count in Counter(self.claimed).items() if count > 1]
        found.wrong += [f"{what} is said to be {one}" for one in wrong]


def judge(wanted: Sequence[Wanted], rows: Sequence[Row], effects: Sequence[Made]) -> Violations:
    """Compare, after the last run, what was wanted, what the tool says, and what happened.

    - duplicates: more effects than operations that want them.
    - lost: an operation without an end although nothing holds it up; an effect of which the tool knows nothing,
      neither by its id nor by an operation in doubt that it could belong to.
    - wrong: an id that the server never gave to such a thing, or gave to somebody else; done without an id.
    """
    found = Violations()
    by_line: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_line[row["line"]].append(row)
    things: dict[tuple[str, str], _Thing] = defaultdict(_Thing)
    for effect in effects:
        if effect.kind in CREATES:
            things[effect.kind, effect.name].happened.append(effect.id)
    for want in wanted:
        _check_ends(want, by_line, found)
        for copy in range(1, want.copies + 1):
            if want.kind is not None and (name := _name(want, copy, by_line)) is not None:
                _hear(want, copy, by_line, things[want.kind, name], found)
    for (kind, name), thing in things.items():
        thing.check(f"{kind} {name}", found)
    return found


def _check_ends(want: Wanted, by_line: dict[int, list[Row]], found: Violations) -> None:
    ended = [row for row in by_line[want.line] if row["status"] in OVER]
    held = any(row["status"] == "in_doubt" for line in want.waits for row in by_line[line])
    if len(ended) != want.copies and not held:
        found.lost.append(f"line {want.line} has {len(ended)} ends of {want.copies}")


def _name(want: Wanted, copy: int, by_line: dict[int, list[Row]]) -> str | None:
    if want.of is None:
        return want.name.replace("${copy}", str(copy))
    made = [one["id"] for row in by_line[want.of] for one in row["created"]]
    return made[0] if made else None


def _hear(want: Wanted, copy: int, by_line: dict[int, list[Row]], thing: _Thing, found: Violations) -> None:
    """Add what the tool says of one operation to what is known of the thing that it makes."""
    thing.operations += 1
    for row in by_line[want.line]:
        if row.get("copy", 1) != copy:
            continue
        made = [one["id"] for one in row["created"]]
        thing.claimed += made
        thing.doubtful += row["status"] == "in_doubt" and not made
        if row["status"] == "done" and not made:
            found.wrong.append(f"line {want.line} is done and has no id")
