"""The numbers of a run as OpenMetrics text, for a textfile collector (openmetrics.io, text format 1.0)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulkops.model import State
from bulkops.reporting.histogram import PER_DOUBLING, lower
from bulkops.reporting.text import safe_text
from bulkops.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.reporting.histogram import Histogram
    from bulkops.reporting.meter import Tally
    from bulkops.reporting.report import Report

_BOUNDS = [doublings * PER_DOUBLING for doublings in range(4, 26, 2)]
"""The last buckets below each bound, from 2 ms in steps of four times: a series for each bucket would be many."""
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class Now:
    """What can be said of a moment (epoch seconds) only: who waits, and how much of the limit is used."""

    at: float
    used: int = 0
    waiting: int = 0
    in_flight: int = 0
    awaited: int = 0
    paused_seconds: float = 0.0


@dataclass(slots=True)
class _Text:
    """Lines, each sample with the label that all have."""

    job: str
    lines: list[str] = field(default_factory=list)

    def head(self, name: str, kind: str, about: str, unit: str | None = None) -> None:
        """Begin a family; a unit is the end of its name."""
        self.lines.append(f"# TYPE bulkops_{name} {kind}")
        if unit is not None:
            self.lines.append(f"# UNIT bulkops_{name} {unit}")
        self.lines.append(f"# HELP bulkops_{name} {about}")

    def sample(self, name: str, number: float, **labels: str) -> None:
        """Add a sample."""
        told = ",".join(
            f'{key}="{safe_text(text).translate(_ESCAPES)}"'
            for key, text in {"job_file": self.job, **labels}.items()
        )
        self.lines.append(f"bulkops_{name}{{{told}}} {_number(number)}")

    def gauge(self, name: str, about: str, number: float, unit: str | None = None) -> None:
        """Add a family with one sample."""
        self.head(name, "gauge", about, unit)
        self.sample(name, number)

    def counters(self, name: str, about: str, label: str, counts: Mapping[str, int]) -> None:
        """Add a family of counts by one label."""
        self.head(name, "counter", about)
        for key, count in counts.items():
            self.sample(f"{name}_total", count, **{label: key})

    def histograms(self, name: str, about: str, label: str, histograms: Mapping[str, Histogram]) -> None:
        """Add a family of histograms by one label; all have the same bounds."""
        self.head(name, "histogram", about, "seconds")
        for key, histogram in histograms.items():
            labels = {label: key}
            for bucket in _BOUNDS:
                below = histogram.up_to(bucket)
                self.sample(f"{name}_bucket", below, **labels, le=str(lower(bucket + 1)))
            self.sample(f"{name}_bucket", histogram.count, **labels, le="+Inf")
            self.sample(f"{name}_count", histogram.count, **labels)
            self.sample(f"{name}_sum", histogram.seconds, **labels)


def openmetrics(report: Report, tally: Tally, now: Now, *, job: str, exit_code: int | None = None) -> bytes:
    """Return all metrics of a run as text; `exit_code` is None while it goes on."""
    text = _Text(job)
    _add_operations(text, report)
    _add_pace(text, report, now)
    _add_requests(text, report, tally, now)
    text.gauge("start_timestamp_seconds", "When the run began.", report.started, "seconds")
    text.gauge("update_timestamp_seconds", "When this was written.", now.at, "seconds")
    if exit_code is not None:
        text.gauge("exit_code", "How the run ended; absent while it goes on.", exit_code)
    # A gauge: collectors of files read the older text format, which has no type for info and refuses the file.
    text.head("build_info", "gauge", "The version that ran.")
    text.sample("build_info", 1, version=VERSION)
    return "\n".join([*text.lines, "# EOF", ""]).encode()


def _add_operations(text: _Text, report: Report) -> None:
    text.head("operations", "gauge", "Operations of the job by what has become of them.")
    for kind, counts in report.kinds().items():
        for state in State:
            text.sample("operations", counts[state], kind=kind, state=state.value)


def _add_pace(text: _Text, report: Report, now: Now) -> None:
    if report.own.limit is not None:
        text.head("rate_limit", "gauge", "Requests that the limit allows in a period.")
        text.sample("rate_limit", report.own.limit, source=report.own.limit_source)
    text.gauge("rate_limit_period_seconds", "The period of the limit.", report.own.period, "seconds")
    text.gauge("rate_used", "Requests that were sent in the last period.", now.used)
    text.counters("pauses", "Pauses of everybody, by reason.", "reason", report.own.pause_reasons)
    text.head("paused_seconds", "counter", "Time spent in pauses.", "seconds")
    text.sample("paused_seconds_total", now.paused_seconds)
    if report.accounts:
        _add_accounts(text, report)


def _add_accounts(text: _Text, report: Report) -> None:
    """Add what the other accounts had to do with the run; what has no such label is of its own."""
    text.head("account_requests", "counter", "Requests that were sent to another account.")
    for name, share in report.accounts.items():
        text.sample("account_requests_total", share.requests, account=name)
    text.head("account_rate_limit", "gauge", "Requests that the limit of another account allows in a period.")
    for name, share in report.accounts.items():
        if share.limit is not None:
            text.sample("account_rate_limit", share.limit, account=name, source=share.limit_source)
    text.head("account_paused_seconds", "counter", "Time that another account spent in pauses.", "seconds")
    for name, share in report.accounts.items():
        text.sample("account_paused_seconds_total", share.paused_seconds, account=name)


def _add_requests(text: _Text, report: Report, tally: Tally, now: Now) -> None:
    text.counters("requests", "Requests that were sent, by class.", "class", tally.sent)
    text.counters("answers", "Answers by class of status; none is for no answer.", "status", tally.answers)
    text.head("retries", "counter", "Requests that were sent again.")
    text.sample("retries_total", report.retries)
    text.gauge("requests_in_flight", "Requests that were sent and not answered yet.", now.in_flight)
    text.gauge("requests_waiting", "Requests that wait for their turn.", now.waiting)
    text.gauge("operations_awaiting", "Operations that wait for something to settle.", now.awaited)
    about = "Time from a request to the end of its answer, without 429s."
    text.histograms("request_duration_seconds", about, "endpoint", tally.latency)
    text.histograms("settling_seconds", "Time until what was awaited had settled.", "what", tally.settled)


def _number(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.6f}".rstrip("0").rstrip(".")
