"""The numbers of a run while it goes on: counts and histograms that do not grow with the job."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulkops.reporting.histogram import Histogram, merged

if TYPE_CHECKING:
    from bulkops.model import Json, Request, State

TOO_MANY = 429
MOST_LOOKS = 100
"""What was looked at more often counts as looked at so often."""
MOST_CODES = 20
"""So many different codes of refusals are told apart: they come from the server."""
OTHER = "other"
_CLASSES = tuple(f"{first}xx" for first in range(10))


@dataclass(slots=True)
class Tally:
    """What was counted in some span of time.

    `sent` by class of request; `answers` by class of status (`2xx`, …, `429` for itself, `none`); `refused` is
    the 429s by the code they gave; `latency` the seconds from the first byte of a request to the last of its
    answer, by endpoint, without the 429s, which tell how soon it refuses; `ended` the operations by state;
    `settled` the seconds that things took to settle, and `looks` how many took how many looks, both by what was
    awaited.
    """

    sent: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    latency: defaultdict[str, Histogram] = field(default_factory=lambda: defaultdict(Histogram))
    ended: Counter[str] = field(default_factory=Counter)
    settled: defaultdict[str, Histogram] = field(default_factory=lambda: defaultdict(Histogram))
    looks: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, other: Tally) -> None:
        """Count what another one has counted as well."""
        self.sent.update(other.sent)
        self.answers.update(other.answers)
        self.refused.update(other.refused)
        self.ended.update(other.ended)
        for endpoint, histogram in other.latency.items():
            self.latency[endpoint].merge(histogram)
        for what, histogram in other.settled.items():
            self.settled[what].merge(histogram)
        for what, counts in other.looks.items():
            self.looks[what].update(counts)

    def latencies(self) -> Histogram:
        """Return the latency of all endpoints."""
        return merged(self.latency.values())

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON, without what is empty."""
        told: dict[str, Json] = {
            "sent": dict(self.sent),
            "answers": dict(self.answers),
            "refused": dict(self.refused),
            "latency": {endpoint: each.to_json() for endpoint, each in self.latency.items()},
            "ended": dict(self.ended),
            "settled": {what: each.to_json() for what, each in self.settled.items()},
            "looks": {
                what: {str(looks): count for looks, count in sorted(counts.items())}
                for what, counts in self.looks.items()
            },
        }
        return {name: value for name, value in told.items() if value}

    @classmethod
    def from_json(cls, told: Json) -> Tally:
        """Read what `to_json` wrote; what cannot be that is left out."""
        tally = cls()
        for name in ("sent", "answers", "refused", "ended"):
            getattr(tally, name).update(_counts(told.get(name)))
        for name in ("latency", "settled"):
            for key, histogram in _object(told.get(name)).items():
                getattr(tally, name)[key] = Histogram.from_json(histogram)
        for what, counts in _object(told.get("looks")).items():
            tally.looks[what].update(
                {int(looks): count for looks, count in _counts(counts).items() if looks.isdecimal()}
            )
        return tally


class Meter:
    """Counts what passes; `take` hands over what came since it was last called. A call costs a microsecond."""

    def __init__(self) -> None:
        self.total = Tally()
        self.in_flight = 0
        self._since = Tally()

    def sent(self, request: Request) -> None:
        """Hear that a request goes out."""
        self.in_flight += 1
        self._since.sent[str(request.request_class)] += 1

    def heard(self, request: Request, status: int | None, code: str | None, seconds: float) -> None:
        """Hear that it ended, with a status or without an answer."""
        self.in_flight -= 1
        since = self._since
        if status is None:
            since.answers["none"] += 1
            return
        if status == TOO_MANY:
            since.answers["429"] += 1
            known = code is not None and (code in self._codes() or len(self._codes()) < MOST_CODES)
            since.refused[code if known and code is not None else OTHER] += 1
        else:
            since.latency[request.endpoint].add(seconds)
            since.answers[_CLASSES[status // 100]] += 1

    def settled(self, what: str, seconds: float, looks: int) -> None:
        """Hear that something awaited has settled, how long it took and how many looks."""
        self._since.settled[what].add(seconds)
        self._since.looks[what][min(looks, MOST_LOOKS)] += 1

    def ended(self, state: State) -> None:
        """Hear that an operation has ended."""
        self._since.ended[str(state)] += 1

    def take(self) -> Tally:
        """Return what was counted since the last call."""
        taken, self._since = self._since, Tally()
        self.total.add(taken)
        return taken

    def _codes(self) -> set[str]:
        return {*self.total.refused, *self._since.refused}


def _object(told: Json) -> dict[str, Json]:
    return told if isinstance(told, dict) else {}


def _counts(told: Json) -> dict[str, int]:
    return {name: count for name, count in _object(told).items() if isinstance(count, int)}
