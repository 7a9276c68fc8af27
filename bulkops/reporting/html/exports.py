"""The report of exports: what is in the data set day by day, what is pending, what is missing and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bulkops.reporting.html.page import rendered
from bulkops.reporting.html.story import Table, moment
from bulkops.reporting.words import number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulkops.model import Json

MOST_DAYS: Final = 400
MOST_LEFT: Final = 100
_HEADS: Final = ("seen", "webhook", "listing", "named", "exported", "pending", "missing", "given_up")
_COUNTED: Final = {"exported": "done", "pending": "pending", "missing": "failed", "given_up": "skipped"}
_HELP: Final = {
    "missing": "These are known and could not be had. The next export asks for them again; "
    "--accept-missing gives up what the API does not have.",
    "pending": "These were not over when they were asked for. The next export takes them first.",
}


@dataclass(frozen=True, slots=True)
class Left:
    """What is not exported: at most a hundred of it, and how much more there is."""

    name: str
    title: str
    help: str
    table: Table
    more: int
    file: str


@dataclass(frozen=True, slots=True)
class Story:
    """What the page tells."""

    job: str
    sentence: str
    rest: str
    total: int
    counts: Sequence[tuple[str, str, int]]
    """Each with the class that gives it its colour."""
    facts: Sequence[tuple[str, str, str]]
    days: Table
    earlier: bool
    left: Sequence[Left]
    version: str
    made: str


def page(out: str, summary: Mapping[str, Json], left: Mapping[str, Sequence[Json]], *, version: str) -> str:
    """Return the page for a folder of exports, of its `summary.json` and the rows of its lists by their names."""
    return rendered("exports.html", story=_tell(out, summary, left, version))


def _tell(out: str, summary: Mapping[str, Json], left: Mapping[str, Sequence[Json]], version: str) -> Story:
    days = summary["days"]
    sums = {head: sum(day[head] for day in days) for head in _HEADS}
    mark = summary["watermark"]
    facts = [
        (
            "last export",
            number(summary["exported"], "conversation"),
            f"{number(summary['requests'], 'request')}",
        ),
        ("new versions", f"{summary['new_versions']:,}", ""),
    ]
    if mark is not None:
        facts.append((f"watermark {mark['name']}", mark["at"] or "not set yet", ""))
    missing = sums["missing"]
    return Story(
        job=out,
        sentence=f"{number(missing, 'conversation')} of {sums['seen']:,} missing"
        if missing
        else f"All of {number(sums['seen'], 'conversation')} that ended are exported",
        rest=f"{number(sums['pending'], 'conversation')} had not ended yet." if sums["pending"] else "",
        total=sums["seen"],
        counts=[
            (looks, head.replace("_", " "), sums[head])
            for head, looks in _COUNTED.items()
            if head == "exported" or sums[head]
        ],
        facts=facts,
        days=_days(days),
        earlier=len(days) > MOST_DAYS,
        left=[_left(name, left[name]) for name in ("missing", "pending") if left[name]],
        version=version,
        made=moment(summary["ended_at"]),
    )


def _days(days: Sequence[Mapping[str, Json]]) -> Table:
    shown = [head for head in _HEADS if head in ("seen", "exported", "missing") or any(d[head] for d in days)]
    earlier, last = days[:-MOST_DAYS], days[-MOST_DAYS:]
    rows = [("no date" if d["day"] == "unknown" else d["day"], *(d[head] for head in shown)) for d in last]
    if earlier:
        rows.insert(0, (f"until {earlier[-1]['day']}", *(sum(d[head] for d in earlier) for head in shown)))
    return Table(("day", *(head.replace("_", " ") for head in shown)), rows)


def _left(name: str, rows: Sequence[Json]) -> Left:
    table = Table(
        ("conversation", "began", "why"),
        [
            (row["conversation_id"], row["created_at"] or "not known", row["reason"])
            for row in rows[:MOST_LEFT]
        ],
        words=3,
    )
    return Left(name, name.capitalize(), _HELP[name], table, max(0, len(rows) - MOST_LEFT), f"{name}.jsonl")
