"""What a run comes to, in lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.model import State
from bulkops.reporting.report import next_command
from bulkops.reporting.text import safe_text
from bulkops.reporting.words import duration, number, per, source_words

if TYPE_CHECKING:
    from bulkops.reporting.report import Job, Report
    from bulkops.reporting.share import Share

_LONGEST_LINE = 10_000


def pace_lines(report: Report) -> list[str]:
    """Return what people are told of limits and pauses, by account; nothing for a run that neither sent nor rested."""
    own = pace_line(report.own)
    others = ((name, pace_line(share)) for name, share in report.accounts.items())
    told = (f"account {safe_text(name)}: {line}" for name, line in others if line is not None)
    return [*told] if own is None else [own, *told]


def pace_line(share: Share) -> str | None:
    """Return what people are told of one limit and its pauses; None where there was neither."""
    if not share.requests and not share.pauses:
        return None
    limit = "limit: unknown, and none assumed (rate in the accounts file, or --rate, sets one)"
    if share.limit is not None:
        source = source_words(share.limit_source, share.reserve, share.period)
        used = f"{(share.used or 0) * 100:.0f} % used"
        others = f", others up to {share.others:,}" if share.others else ""
        limit = f"limit: {share.limit:,} {per(share.period)} ({source}), {used}{others}"
    if not share.pauses:
        return limit
    reasons = ", ".join(f"{count:,} after {reason}" for reason, count in share.pause_reasons.items())
    paused = f"{number(share.pauses, 'pause')} of {duration(share.paused_seconds)} in all"
    return safe_text(f"{limit}; {paused}{f' ({reasons})' if reasons else ''}")


def last_line(report: Report, job: Job, code: int) -> str:
    """Return the line that sums a run up for people; it names the command that continues."""
    parts = [f"{_told(report)} in {duration(report.seconds)} ({number(report.requests, 'request')})."]
    if report.stopped is not None:
        parts.append(f"Stopped: {safe_text(report.stopped).rstrip('.')}.")
    command = next_command(report, job, code)
    if report.count(State.IN_DOUBT):
        parts.append(f"In doubt: look at {job.file('in_doubt.jsonl')} first.")
    if report.checks_failed:
        parts.append(f"Checks: see {job.file('results.jsonl')}.")
    if command is not None:
        parts.append(f"{'For real' if job.rehearsal else 'Continue'}: {command}")
        if not job.rehearsal and report.count(State.IN_DOUBT) and "--in-doubt" not in command:
            parts[-1] += f" ; then: {job.command('retry', '--in-doubt')}"
    return safe_text(" ".join(parts), _LONGEST_LINE)


def standing_line(report: Report, awaited: int, requests: int, period: float) -> str:
    """Return the line that says where a run stands; `requests` were sent in the last period (seconds)."""
    waiting = f", waiting {awaited:,}" if awaited else ""
    return f"{_told(report)}{waiting}; {number(requests, 'request')} in the last {duration(period)}"


def doubts_line(report: Report) -> str:
    """Return the line that tells, always, what came of what was in doubt."""
    return (
        f"in doubt {report.count(State.IN_DOUBT):,}; reconciled {report.found + report.absent:,} "
        f"({report.found:,} found, {report.absent:,} absent and sent again); "
        f"possible duplicates {report.possible_duplicates:,}"
    )


def _told(report: Report) -> str:
    words = {
        "failed": report.count(State.FAILED),
        "blocked": report.count(State.BLOCKED),
        "skipped": report.count(State.SKIPPED),
        "in doubt": report.count(State.IN_DOUBT),
        "not started": report.count(State.NOT_STARTED),
        "checks failed": report.checks_failed,
    }
    done = f"done {report.count(State.DONE):,} of {report.total:,}"
    return ", ".join([done, *(f"{word} {count:,}" for word, count in words.items() if count)])
