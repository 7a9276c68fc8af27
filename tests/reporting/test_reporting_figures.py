"""The numbers on the report's page are those of the run: limits, pauses, used share, labels."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bulkops.reporting.history import Pause
from bulkops.reporting.html.charts import SMALL, bars_chart
from bulkops.reporting.html.ended import collect
from bulkops.reporting.html.figures import figures
from bulkops.reporting.html.story import Known, tell
from bulkops.reporting.meter import Tally
from tests.reporting.test_reporting_series import run_of

if TYPE_CHECKING:
    from bulkops.reporting.history import Run


def cut_at(seconds: int, run: Run, limit: int = 50) -> Run:
    """Return the run with another limit from so many seconds on."""
    run.samples = [replace(it, limit=limit) if it.begin >= seconds else it for it in run.samples]
    return run


def fact(name: str, *runs: Run) -> tuple[str, str]:
    """Return what the page tells under a name."""
    tally = Tally()
    for run in runs:
        tally.add(run.total())
    (found,) = (it for it in tell(Known("j", runs, collect([])), tally).facts if it[0] == name)
    return found[1:]


def test_the_table_of_numbers_has_the_limit_of_each_moment() -> None:
    """A limit that is cut after 10 s stands in the rows from 10 s on, and in none before."""
    (requests, *_) = figures([cut_at(10, run_of(20))], Tally())
    rows = [(str(time).split(), limit) for time, _, _, limit in requests.table.rows]
    limits = {float(number): limit for (number, *unit), limit in rows if unit in ([], ["s"])}
    assert {limit for time, limit in limits.items() if time < 10} == {"100"}
    assert {limit for time, limit in limits.items() if time > 10} == {"50"}


def test_a_part_of_a_limit_is_told_with_the_whole() -> None:
    """What a reserve leaves is not told as if it were what the source of the limit named."""
    run = cut_at(0, run_of(20), 20)
    run.beginning = {"limit": {"requests": 100, "seconds": 60.0, "source": "flag"}}
    assert fact("limit", run) == ("20 per min", "of 100, source: flag")
    assert fact("limit", run_of(20)) == ("100 per min", "source: flag")


def test_of_a_limit_that_changed_the_last_is_named_as_such() -> None:
    """The sentence at the chart names one limit: the one, or that of the end."""
    one, cut = (next(iter(figures([run], Tally()))) for run in (run_of(20), cut_at(10, run_of(20))))
    assert "The line is the limit, 100." in one.says
    assert "The line is the limit, 50 at the end." in cut.says


def test_what_was_not_counted_is_not_drawn() -> None:
    """Samples that tell how long things took to settle, but not by how many looks, make a page all the same."""
    tally = Tally()
    tally.settled["index"].add(20.0)
    assert [figure.name for figure in figures([run_of(10)], tally)][-1] == "settling-index"


def test_a_pause_ends_with_its_run() -> None:
    """The pauses that are told last as long as those that are shaded: a run that ends in one does not rest on."""
    run = run_of(10)
    run.pauses = [Pause(2.0, 4.0, "429"), Pause(7.0, 127.0, "429")]
    (requests, *_) = figures([run], Tally())
    assert "Shaded: 2 pauses, 5 s in all." in requests.says
    assert fact("pauses", run)[1].startswith("5 s in all")


@pytest.mark.parametrize(
    ("run", "used"),
    [
        (run_of(600, rate=1), "60 %"),
        (cut_at(300, run_of(600, rate=1), 50), "80 %"),
        (cut_at(540, run_of(600, rate=1), 500), "43 %"),
        (run_of(10, rate=5), "50 %"),
        (cut_at(5, run_of(10, rate=3), 20), "50 %"),
    ],
    ids=["one limit", "halved", "raised at the end", "less than a period", "less than a period, and cut"],
)
def test_the_used_share_goes_by_the_limit_of_each_moment(run: Run, used: str) -> None:
    """What was sent is held against what each limit allowed while it held; in less than a period that is a whole."""
    assert fact("used", run)[0] == used


@pytest.mark.parametrize("count", range(1, 14))
def test_the_last_bar_has_its_label(count: int) -> None:
    """However many labels are left out, the last bar says what it is: it may stand for all beyond."""
    bars = [(str(n), n) for n in range(1, count)] + [(f"{count}+", 1000)]
    assert re.search(rf">{count}\+</text>", bars_chart(bars, SMALL))
