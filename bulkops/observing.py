"""What can be seen of a run while it goes on: heard here, and told to people, to `events.jsonl` and to metrics."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from bulkops.foreseeing import BAD
from bulkops.model import State
from bulkops.outputs.atomic import written_aside
from bulkops.reporting.compared import Beforehand, Happened
from bulkops.reporting.meter import Meter
from bulkops.reporting.openmetrics import Now, openmetrics
from bulkops.reporting.progress import Moment
from bulkops.reporting.report import next_command
from bulkops.reporting.share import Share
from bulkops.reporting.summing_up import last_line, standing_line
from bulkops.version import VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.engines.local import Engine
    from bulkops.foreseeing import Foreseen
    from bulkops.model import Json
    from bulkops.pace.standing import Standing
    from bulkops.pace.turns import Pace
    from bulkops.planning import Plan
    from bulkops.reporting.events import EventLog
    from bulkops.reporting.progress import Progress
    from bulkops.reporting.report import Job, Report
    from bulkops.sending import Retrying
    from bulkops.settings import Settings
    from bulkops.signals import Question

TICK = 0.25
"""Seconds between two looks at the numbers that people watch."""
FIRST_SAMPLE = 1.0
"""Seconds from one sample in `events.jsonl` to the next; at the beginning of a run."""
SAMPLES_OF_A_LENGTH = 120
"""After so many samples the next ones are twice as long: a day has about 1,150, a year 2,200."""
METRICS_EVERY = 15.0
READABLE = 0o644
"""Metrics are collected by another user, as a rule, and have no secrets."""


@dataclass(slots=True, kw_only=True)
class Observer:
    """Hears what happens in the run of a job and passes it on. `metrics` is the file for them, if there is one."""

    report: Report
    progress: Progress
    events: EventLog
    job: Job
    metrics: Path | None = None
    meter: Meter = field(default_factory=Meter)
    _now: Now = field(default_factory=lambda: Now(0.0))
    _samples: int = 0
    _sampled: float = field(default_factory=time.monotonic)
    _written: float = float("-inf")
    _used_before: int = 0
    """Requests of earlier runs that still count at the begin."""
    _own: str = "default"
    """The name of the run's own account,"""
    _elsewhere: list[Standing] = field(default_factory=list)
    """and where the others stand."""

    def begin(self, plan: Plan, settings: Settings, foreseen: Foreseen | None) -> None:
        """Hear that the run begins; the plan's numbers are told, to be held against what comes of it."""
        tier = settings.account.tier
        self.report.beforehand = said_beforehand(plan, settings, foreseen)
        self._own = settings.account.name
        self.report.accounts = {name: Share.of(account) for name, account in settings.others.items()}
        self.events.note(
            "run_started",
            job=self.job.path,
            part=self.job.part,
            version=VERSION,
            operations=plan.total,
            by_kind=dict(plan.operations),
            left=plan.left.total(),
            plan={
                "requests": plan.requests,
                "polls": plan.looks if foreseen is None else foreseen.looks,
                "bytes": plan.upload_bytes,
                "seconds": None if foreseen is None else round(foreseen.seconds, 3),
            },
            limit={"requests": tier.limit, "seconds": tier.period, "source": settings.account.tier_source},
            time_scale=settings.time_scale,
            next=self.job.command("run"),
        )

    def finish(self, code: int) -> None:
        """Hear that the run has ended, with this exit code."""
        report = self.report
        self.events.note(
            "run_finished",
            exit_code=code,
            seconds=report.seconds,
            requests=report.requests,
            told=last_line(report, self.job, code),
            next=next_command(report, self.job, code),
        )
        self.write_metrics(code)

    def told(self, event: str, /, **facts: Json) -> None:
        """Hear of an event below."""
        match event:
            case "settled":
                self.meter.settled(facts["what"], facts["seconds"], facts["looks"])
            case "settling":
                self.progress.note(settling(facts["count"], facts["sure"], facts["seconds"]))
            case "unreachable":
                self.progress.note(f"the server cannot be reached, trying again: {facts['reason']}")
                self.events.note("retry", **facts)
            case "repeated":
                message = f"two answers named {facts['id']}: both operations are in doubt"
                self.progress.note(message)
                self.events.note("warning", message=message)
            case "retry" | "limit":
                self.events.note(event, **facts)
            case "unshared":
                message = f"the pace is not remembered, and not shared with other runs: {facts['reason']}"
                self.progress.note(message)
                self.events.note("warning", message=message)
            case "paused" | "lengthened":
                until, reason = time.monotonic() + facts["seconds"], facts["reason"]
                self._share(facts.get("account")).paused(reason, until, again=event == "paused")
                self.events.note(event, **facts)
            case _:
                pass

    def resting(self, account: str | None = None) -> tuple[float, str]:
        """Return for how many seconds the pace of an account still rests, and why; without a name, of the run's own."""
        share = self._share(account)
        return max(0.0, share.rest_until - time.monotonic()), share.rest_cause

    def ended(self, kind: str, state: State) -> None:
        """Hear that an operation has ended."""
        self.report.note(kind, state)
        self.progress.ended(state)
        self.meter.ended(state)

    def taken_back(self, kind: str, was: State, state: State) -> None:
        """Hear that an operation which had ended has another state now."""
        self.report.note(kind, state, was)
        self.progress.taken_back(was)
        if state is not State.NOT_STARTED:
            self.progress.ended(state)

    async def watch(self, engine: Engine, pace: Pace, sender: Retrying, question: Question) -> None:
        """Tell how it goes on, until cancelled."""
        self._used_before = self._seen(pace).granted_last_period
        while True:
            await anyio.sleep(TICK)
            standing = self._seen(pace)
            now = time.monotonic()
            # As long as one account goes on, not everybody rests.
            rest = min(self.resting(name)[0] for name in (None, *self.report.accounts))
            sent, limit, period = self._all(standing)
            self.progress.stands(Moment(engine.awaited, sent, limit, period, rest))
            if question.answered():
                self.progress.note(standing_line(self.report, engine.awaited, sent, period))
            if now - self._sampled >= FIRST_SAMPLE * 2 ** (self._samples // SAMPLES_OF_A_LENGTH):
                self._sample(engine, standing)
            if self.metrics is not None and now - self._written >= METRICS_EVERY:
                self._sum_up(engine, standing, sender)
                await to_thread.run_sync(self.write_metrics)

    def end(self, engine: Engine, pace: Pace, sender: Retrying) -> None:
        """Take the last sample, and give the report its numbers."""
        standing = self._seen(pace)
        self._sample(engine, standing)
        self._sum_up(engine, standing, sender)

    def write_metrics(self, exit_code: int | None = None) -> None:
        """Write the metrics file, if there is to be one; a disk that refuses it does not end the run."""
        if self.metrics is None:
            return
        self._written = time.monotonic()
        text = openmetrics(self.report, self.meter.total, self._now, job=self.job.path, exit_code=exit_code)
        try:
            with written_aside(self.metrics, READABLE) as file:
                file.write(text)
        except OSError as refused:
            self.events.note("warning", message=f"{self.metrics} cannot be written: {refused.strerror}")

    def _seen(self, pace: Pace) -> Standing:
        """Keep what is at its most until the next sample; return where the run's own account stands."""
        for name, share in self.report.accounts.items():
            share.see(pace.standing(name))
        standing = pace.standing(self._own)
        self.report.own.see(standing)
        self._elsewhere = [pace.standing(name) for name in self.report.accounts]
        return standing

    def _share(self, account: str | None) -> Share:
        """Return the share of an account; of one that is not known by its name, that of the run's own."""
        return self.report.accounts.get(account or "", self.report.own)

    def _all(self, own: Standing) -> tuple[int, int | None, float]:
        """Return how many requests of a period, of how many, went to all accounts; the period is that of the own."""
        sent, limit = own.granted_last_period, own.limit
        for each in self._elsewhere:
            sent += each.granted_last_period
            known = limit is not None and each.limit is not None
            limit = round((limit or 0) + (each.limit or 0) * own.period / each.period) if known else None
        return sent, limit, own.period

    def _sample(self, engine: Engine, standing: Standing) -> None:
        now = time.monotonic()
        _, limit, _ = self._all(standing)
        others = self.report.own.others_lately
        peak = sum(
            share.sampled(now - self._sampled) for share in (self.report.own, *self.report.accounts.values())
        )
        self.events.note(
            "sample",
            seconds=round(now - self._sampled, 3),
            limit=limit,
            period=standing.period,
            source=standing.source,
            peak=peak,
            others=others,
            waiting=standing.waiting + sum(each.waiting for each in self._elsewhere),
            in_flight=self.meter.in_flight,
            awaited=engine.awaited,
            **self.meter.take().to_json(),
        )
        self._samples += 1
        self._sampled = now

    def _sum_up(self, engine: Engine, standing: Standing, sender: Retrying) -> None:
        report = self.report
        # What only waits for its turn was not sent.
        sent = self.meter.total.sent
        report.requests, report.polls, report.retries = sent.total(), sent["poll"], sender.retries
        total = self.meter.total
        settling = {what: times.percentile(0.5) or 0.0 for what, times in total.settled.items()}
        report.happened = Happened(
            total.ended.total(),
            dict(sent),
            total.latencies().percentile(0.5),
            settling,
            self._used_before,
        )
        self._now = Now(
            time.time(),
            standing.granted_last_period,
            standing.waiting + sum(each.waiting for each in self._elsewhere),
            self.meter.in_flight,
            engine.awaited,
            report.own.paused_seconds,
        )


def said_beforehand(plan: Plan, settings: Settings, foreseen: Foreseen | None) -> Beforehand:
    """Return what a plan said of the rest of a job."""
    return Beforehand(
        operations=plan.left.total(),
        requests=plan.requests,
        looks=plan.looks if foreseen is None else foreseen.looks,
        looks_range=None if foreseen is None else (foreseen.fewest_looks, foreseen.most_looks),
        seconds=None if foreseen is None else foreseen.seconds,
        seconds_range=None if foreseen is None else (foreseen.least, foreseen.most),
        limit=settings.account.usable.limit,
        answer=BAD.latency,
        settling={what: settings.api.watches[what].usual for what in plan.awaited},
    )


def settling(count: int, sure: int, seconds: float) -> str:
    """Say, once, what a run waits for when nothing else is left to do; `sure` of them did take effect."""
    until = time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))
    if sure == count:
        then = "is held, as it did take effect"
    else:
        then = "is sent again" + (f", but for the {sure:,} that did take effect" if sure else "")
    return (
        f"{count:,} in doubt: asking the API what became of them; what is not there by {until} "
        f"(in {seconds:.0f} s, --settle) {then}"
    )
