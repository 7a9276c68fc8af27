"""What `events.jsonl` tells of all runs of a job: when each began and ended, its samples, its pauses."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import orjson

from bulkops.reporting.meter import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bulkops.model import Json

MOST_RUNS = 12
"""Of so many runs, the latest ones, the samples are kept; of earlier ones only how they ended."""
_WANTED = frozenset(
    {b"run_started", b"run_finished", b"sample", b"paused", b"lengthened", b"stopped", b"retry"}
)
_HEAD = b'{"type":"'


@dataclass(frozen=True, slots=True)
class Sample:
    """What was counted in `seconds` up to `end` (both from the begin of its run), and the limit then.

    `peak` is the most that was sent in any period that ended in this time, `others` the most that others on the key
    were seen to send in one.
    """

    end: float
    seconds: float
    limit: int | None
    period: float
    source: str
    peak: int
    others: int
    tally: Tally

    @property
    def begin(self) -> float:
        """When it begins."""
        return self.end - self.seconds


@dataclass(slots=True)
class Pause:
    """A pause of everybody: from when to when (seconds from the begin of its run), and why."""

    begin: float
    end: float
    reason: str


@dataclass(slots=True)
class Run:
    """One run: what it told at its begin and, unless it was cut off, at its end. Times are epoch seconds."""

    started: float
    beginning: Mapping[str, Json]
    last: float
    """When something was heard of it for the last time."""
    ending: Mapping[str, Json] | None = None
    samples: list[Sample] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    retries: int = 0

    @property
    def seconds(self) -> float:
        """How long it went on, as far as it was heard of."""
        told = _number((self.ending or {}).get("seconds"))
        return max(0.0, self.last - self.started) if told is None else told

    def total(self) -> Tally:
        """Return what was counted in all of it."""
        total = Tally()
        for sample in self.samples:
            total.add(sample.tally)
        return total


def read_history(path: Path) -> list[Run]:
    """Return the runs in their order; none where there is no such file.

    Lines that are torn, or that another version wrote in another shape, are passed over.
    """
    runs: list[Run] = []
    with_samples: deque[Run] = deque()
    for event in _events(path):
        at = _moment(event.get("at"))
        if at is None:
            continue
        if event["type"] == "run_started":
            runs.append(Run(at, event, at))
            with_samples.append(runs[-1])
            if len(with_samples) > MOST_RUNS:
                with_samples.popleft().samples.clear()
        elif runs:
            _hear(runs[-1], event, at)
    return runs


def _events(path: Path) -> Iterator[dict[str, Json]]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            # A large job has many events of other types; their lines are not worth parsing.
            if not line.startswith(_HEAD) or line[len(_HEAD) :].partition(b'"')[0] not in _WANTED:
                continue
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError:
                continue


def _hear(run: Run, event: Mapping[str, Json], at: float) -> None:
    run.last = max(run.last, at)
    since = at - run.started
    match event["type"]:
        case "run_finished":
            run.ending = event
        case "retry":
            run.retries += 1
        case "sample":
            run.samples.append(_sample(event, since))
        case "paused" | "lengthened" as word:
            end = since + (_number(event.get("seconds")) or 0.0)
            if word == "lengthened" and run.pauses:
                run.pauses[-1].end = end
            else:
                run.pauses.append(Pause(since, end, str(event.get("reason", ""))))


def _sample(event: Mapping[str, Json], since: float) -> Sample:
    limit, peak, others = event.get("limit"), event.get("peak"), event.get("others")
    return Sample(
        end=since,
        seconds=min(since, _number(event.get("seconds")) or 0.0),
        limit=limit if isinstance(limit, int) else None,
        period=_number(event.get("period")) or 60.0,
        source=str(event.get("source", "")),
        peak=peak if isinstance(peak, int) else 0,
        others=others if isinstance(others, int) else 0,
        tally=Tally.from_json(event),
    )


def _moment(told: Json) -> float | None:
    try:
        return datetime.fromisoformat(told).timestamp() if isinstance(told, str) else None
    except ValueError:
        return None


def _number(told: Json) -> float | None:
    return float(told) if isinstance(told, int | float) and told >= 0 else None
