"""What a report says, in words and tables; how it looks is for the template."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bulkops.model import State
from bulkops.reporting.history import MOST_RUNS
from bulkops.reporting.html.advice import advice
from bulkops.reporting.html.axes import span_words
from bulkops.reporting.words import duration, per

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulkops.model import Json
    from bulkops.reporting.history import Run
    from bulkops.reporting.html.ended import Ended
    from bulkops.reporting.meter import Tally

MOST_DOUBTS = 20
_IN_ORDER = (*(state for state in State if state is not State.NOT_STARTED), State.NOT_STARTED)


@dataclass(frozen=True, slots=True)
class Table:
    """A table; its first `words` columns are words, the others numbers."""

    head: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]
    words: int = 1


@dataclass(frozen=True, slots=True)
class Known:
    """All that a report is made of. `doubts` are lines of `in_doubt.jsonl`; `summary` is that of the last run."""

    job: str
    runs: Sequence[Run]
    ended: Ended
    doubts: Sequence[Mapping[str, Json]] = ()
    under_way: bool = False
    now: float = 0.0


@dataclass(slots=True)
class Story:
    """The parts of the report in their order; what there is nothing to say about is empty."""

    job: str
    sentence: str
    rest: str
    goes_on: str
    next: str | None
    counts: list[tuple[str, int]]
    total: int
    facts: list[tuple[str, str, str]]
    kinds: Table
    failures: list[dict[str, Json]] = field(default_factory=list)
    doubts: list[Mapping[str, Json]] = field(default_factory=list)
    more_doubts: int = 0
    endpoints: Table | None = None
    runs: list[dict[str, Json]] = field(default_factory=list)
    earlier_runs: int = 0
    slowest: Table | None = None
    version: str = ""
    made: str = ""
    scale: float = 1.0


def tell(known: Known, tally: Tally) -> Story:
    """Return what is to be said; `tally` is what all runs have counted."""
    totals = _totals(known)
    counts = _counts(known, totals)
    told, following = _sentence(known, counts)
    sentence, _, rest = told.partition("). ")
    last = known.runs[-1].beginning if known.runs else {}
    return Story(
        job=str(last.get("job") or known.job),
        sentence=f"{sentence})." if rest else sentence,
        rest=rest,
        goes_on="For real" if " For real: " in _told(known) else "Continue",
        next=following,
        counts=[(words(state), counts[state]) for state in _IN_ORDER if counts[state] or state is State.DONE],
        total=sum(counts.values()),
        facts=_facts(known, tally),
        kinds=_kinds(known, totals, counts),
        failures=[_failure(group) for group in sorted(known.ended.groups.values(), key=lambda g: -g.count)],
        doubts=list(known.doubts[:MOST_DOUBTS]),
        more_doubts=max(0, len(known.doubts) - MOST_DOUBTS),
        endpoints=_endpoints(tally),
        runs=[_run(run) for run in reversed(known.runs[-MOST_RUNS:])],
        earlier_runs=max(0, len(known.runs) - MOST_RUNS),
        slowest=_slowest(known.ended),
        version=str(last.get("version") or ""),
        made=moment(known.now),
        scale=float(last.get("time_scale") or 1.0),
    )


def words(state: State) -> str:
    """Return the state as people say it."""
    return state.value.replace("_", " ")


def moment(seconds: float) -> str:
    """Return a moment (epoch seconds) as people read it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%-d %b %Y, %H:%M:%S UTC")


def _totals(known: Known) -> Counter[str]:
    """Return how many operations the job has by kind: as the last run of all of it said, or more if more ended."""
    whole = [run for run in known.runs if not run.beginning.get("part")]
    told = whole[-1].beginning.get("by_kind") if whole else None
    totals = Counter({str(kind): n for kind, n in (told or {}).items() if isinstance(n, int)})
    for kind, states in known.ended.counts.items():
        totals[kind] = max(totals[kind], states.total())
    return totals


def _counts(known: Known, totals: Counter[str]) -> Counter[State]:
    counts: Counter[State] = Counter()
    for states in known.ended.counts.values():
        counts.update(states)
    counts[State.NOT_STARTED] = totals.total() - counts.total()
    return counts


def _sentence(known: Known, counts: Mapping[State, int]) -> tuple[str, str | None]:
    """Return what happened, and the command that continues."""
    done = f"done {counts[State.DONE]:,} of {sum(counts.values()):,}"
    if not known.runs:
        return f"{done}; no run has told of itself in this folder.", None
    run = known.runs[-1]
    if run.ending is not None:
        # The command has a line of its own.
        said = _told(known).partition(" Continue: ")[0].partition(" For real: ")[0]
        return said or f"{done}.", run.ending.get("next")
    following = run.beginning.get("next")
    if known.under_way:
        return f"{done} so far; running since {moment(run.started)}.", None
    cut = f"The last run was cut off without a last word; it was last heard of {moment(run.last)}."
    return f"{done}. {cut}", following


def _told(known: Known) -> str:
    """Return the last line of the last run; nothing when it has none."""
    ending = known.runs[-1].ending if known.runs else None
    return str((ending or {}).get("told") or "")


def _facts(known: Known, tally: Tally) -> list[tuple[str, str, str]]:
    runs = known.runs
    if not runs:
        return []
    seconds = sum(run.seconds for run in runs)
    facts = [("took", duration(seconds), f"in {len(runs):,} runs" if len(runs) > 1 else "")]
    sampled = [run for run in runs if run.samples]
    sent = tally.sent.total()
    if sampled:
        last = sampled[-1].samples[-1]
        limit = "none known" if last.limit is None else f"{last.limit:,} {per(last.period)}"
        facts.append(("limit", limit, _source(sampled[-1])))
        peak = max(sample.peak for run in sampled for sample in run.samples)
        facts.append(("used", _used(sampled, sent), f"at most {peak:,} {per(last.period)}"))
        if others := max(sample.others for run in sampled for sample in run.samples):
            facts.append(
                ("others on the key", f"{others:,} {per(last.period)}", "at most, as the headers show it")
            )
    # Of earlier runs only their end is known.
    sent += sum(int((run.ending or {}).get("requests") or 0) for run in runs if not run.samples)
    retried = sum(run.retries for run in runs)
    polls = tally.sent["poll"]
    parts = [f"{polls:,} of them looks"] if polls and len(sampled) == len(runs) else []
    parts += [f"{retried:,} sent again"] if retried else []
    facts.append(("requests", f"{sent:,}", ", ".join(parts)))
    pauses = [pause for run in runs for pause in run.pauses]
    # A pause ends with its run at the latest, as in the chart.
    rested = sum(max(0.0, min(it.end, run.seconds) - it.begin) for run in runs for it in run.pauses)
    reasons = Counter(pause.reason for pause in pauses)
    because = ", ".join(f"{count:,} after {reason}" for reason, count in reasons.items())
    facts.append(("pauses", f"{len(pauses):,}", f"{duration(rested)} in all, {because}" if pauses else ""))
    return facts


def _source(run: Run) -> str:
    """Return where the limit came from; of one that is a part of what its source names, the whole too."""
    last, told = run.samples[-1], run.beginning.get("limit")
    whole = told.get("requests") if isinstance(told, dict) and told.get("source") == last.source else None
    part = isinstance(whole, int) and last.limit is not None and last.limit < whole
    return f"{f'of {whole:,}, ' if part else ''}source: {last.source}"


def _used(runs: Sequence[Run], sent: int) -> str:
    """Return which share of what the limits allowed was sent, each for as long as it held."""
    allowed = 0.0
    for run in runs:
        last = run.samples[-1]
        if last.limit is None:
            return "unknown"
        seconds = sum(each.seconds for each in run.samples)
        held = sum((each.limit or last.limit) * each.seconds / each.period for each in run.samples)
        # Within less than a period the limit allows as much as within a whole one.
        allowed += held * max(1.0, last.period / seconds) if seconds else last.limit
    return f"{min(1.0, sent / allowed) * 100:.0f} %"


def _kinds(known: Known, totals: Mapping[str, int], counts: Mapping[State, int]) -> Table:
    shown = [state for state in _IN_ORDER if counts[state]]
    rows = []
    for kind, total in sorted(totals.items()):
        states = Counter(known.ended.counts.get(kind, {}))
        states[State.NOT_STARTED] = total - states.total()
        rows.append((kind, *(states[state] for state in shown), total))
    return Table(("kind", *map(words, shown), "total"), rows)


def _failure(group: Json) -> dict[str, Json]:
    more = group.count - len(group.names)
    return {
        "kind": group.kind,
        "code": group.code,
        "status": group.status,
        "count": group.count,
        "message": group.message,
        "help": advice(group.code, group.status),
        "names": group.names,
        "more": more,
    }


def _endpoints(tally: Tally) -> Table | None:
    rows = [
        (endpoint, each.count, *(span_words(each.percentile(share) or 0.0) for share in (0.5, 0.9, 0.99)))
        for endpoint, each in sorted(tally.latency.items(), key=lambda item: -item[1].count)
    ]
    return Table(("endpoint", "answers", "p50", "p90", "p99"), rows) if rows else None


def _run(run: Run) -> dict[str, Json]:
    plan = run.beginning.get("plan")
    plan = plan if isinstance(plan, dict) else {}
    counted = run.total()
    code = None if run.ending is None else run.ending.get("exit_code")
    planned = plan.get("seconds")
    return {
        "began": moment(run.started),
        "part": run.beginning.get("part"),
        "took": duration(run.seconds),
        "planned_time": None if planned is None else duration(float(planned)),
        "work": counted.sent["work"] if run.samples else None,
        "planned_work": plan.get("requests"),
        "polls": counted.sent["poll"] if run.samples else None,
        "planned_polls": plan.get("polls"),
        "ended": "no last word" if code is None else f"exit code {code}",
    }


def _slowest(ended: Ended) -> Table | None:
    rows = [(name, kind, duration(milliseconds / 1000)) for milliseconds, name, kind in ended.slowest]
    return Table(("operation", "kind", "took"), rows, words=2) if rows else None
