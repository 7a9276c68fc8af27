from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from bulkops.model import Effect, Request, State
from bulkops.reporting.meter import Meter
from bulkops.reporting.openmetrics import Now, openmetrics
from bulkops.reporting.report import Report
from bulkops.reporting.share import Share
from bulkops.version import VERSION
from tests.reporting.metrics_samples import samples

if TYPE_CHECKING:
    from bulkops.reporting.meter import Tally

WORK = Request("agent.create", "POST", "/agents", Effect.CREATE)
TYPES_OF_THE_TEXT_FORMAT = {"counter", "gauge", "histogram", "summary", "untyped"}
ODD = 'a "job"\\ of\nmine\x1b.jsonl'


def counted() -> Tally:
    """Return the numbers of a small run."""
    meter = Meter()
    for seconds in (0.004, 0.2, 0.2, 7.0):
        meter.sent(WORK)
        meter.heard(WORK, 200, None, seconds)
    meter.settled("index", 40.0, 2)
    return meter.take()


def report() -> Report:
    """Return the report of a small run."""
    made = Report(totals={"agent.create": 5}, started=1_700_000_000.25)
    made.own = Share(limit=100, limit_source="header")
    for state in (State.DONE, State.DONE, State.FAILED):
        made.note("agent.create", state)
    made.own.pause_reasons["429"] += 2
    return made


def test_the_official_parser_reads_the_metrics() -> None:
    """Counters, gauges and histograms are what the run counted; histograms have rising bounds."""
    now = Now(1_700_000_100.5, used=97, waiting=3, in_flight=16, awaited=12, paused_seconds=33.5)
    found = samples(openmetrics(report(), counted(), now, job="job.jsonl", exit_code=3))
    assert found["bulkops_operations", (("kind", "agent.create"), ("state", "done"))] == 2
    assert found["bulkops_operations", (("kind", "agent.create"), ("state", "not_started"))] == 2
    assert found["bulkops_requests_total", (("class", "work"),)] == 4
    assert found["bulkops_rate_limit", (("source", "header"),)] == 100
    assert found["bulkops_rate_used", ()] == 97
    assert found["bulkops_pauses_total", (("reason", "429"),)] == 2
    assert found["bulkops_paused_seconds_total", ()] == 33.5
    assert found["bulkops_start_timestamp_seconds", ()] == 1_700_000_000.25
    assert found["bulkops_exit_code", ()] == 3
    of = ("endpoint", "agent.create")
    name = "bulkops_request_duration_seconds"
    assert found[f"{name}_count", (of,)] == 4
    assert abs(found[f"{name}_sum", (of,)] - 7.404) < 1e-6
    buckets = {
        dict(labels)["le"]: count for (sample, labels), count in found.items() if sample == f"{name}_bucket"
    }
    assert (buckets["0.0078125"], buckets["0.5"], buckets["2.0"], buckets["8.0"]) == (1, 3, 3, 4)


def test_a_collector_of_text_files_reads_the_metrics() -> None:
    """The text is also good in the older text format: only its types, no exemplars, no times, one head a family."""
    text = openmetrics(report(), counted(), Now(1.0), job=ODD, exit_code=3).decode()
    heads = [line.split() for line in text.splitlines() if line.startswith("# TYPE ")]
    assert {kind for *_, kind in heads} <= TYPES_OF_THE_TEXT_FORMAT
    assert len({name for _, _, name, _ in heads}) == len(heads)
    found = [each for family in text_string_to_metric_families(text) for each in family.samples]
    assert {each.timestamp for each in found} == {None} == {each.exemplar for each in found}
    assert len(found) == len([line for line in text.splitlines() if not line.startswith("#")])
    assert samples(text.encode())["bulkops_build_info", (("version", VERSION),)] == 1


def test_metrics_end_as_they_have_to() -> None:
    """The text ends with `# EOF`, and a run that goes on has no exit code."""
    text = openmetrics(report(), counted(), Now(0.0), job="job.jsonl")
    assert text.endswith(b"\n# EOF\n")
    assert b"exit_code" not in text


def test_any_name_of_a_job_is_a_label() -> None:
    """Quotes, backslashes and control characters in the job's name do not break the text."""
    text = openmetrics(report(), counted(), Now(0.0), job=ODD)
    assert samples(text, job='a "job"\\ of\\nmine\\x1b.jsonl')


def test_an_empty_run_has_metrics() -> None:
    """A run that sent nothing has metrics all the same."""
    empty = Report(totals={}, started=0.0)
    assert (
        samples(openmetrics(empty, Meter().take(), Now(0.0), job="j", exit_code=0))["bulkops_exit_code", ()]
        == 0
    )
