from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.reporting.history import Pause, Run, Sample
from bulkops.reporting.html.axes import count_ticks, count_words, log_ticks, span_words, time_ticks
from bulkops.reporting.html.series import LATENCIES, RATES, separated, timeline
from bulkops.reporting.meter import Tally


def sample(
    end: float, seconds: float, work: int, *, polls: int = 0, refused: int = 0, peak: int = 10**6
) -> Sample:
    """Return a sample with so many requests, each of which took 0.2 s."""
    tally = Tally()
    tally.sent.update({"work": work, "poll": polls})
    tally.answers.update({"429": refused} if refused else {})
    for _ in range(work):
        tally.latency["agent.create"].add(0.2)
    return Sample(end, seconds, 100, 60.0, "flag", peak, 0, tally)


def run_of(seconds: int, *, rate: int = 2, started: float = 0.0, step: float = 1.0) -> Run:
    """Return a run that sent so many requests a second."""
    run = Run(started, {}, started + seconds)
    run.samples = [sample((n + 1) * step, step, int(rate * step)) for n in range(int(seconds / step))]
    return run


def test_the_rate_is_that_of_the_last_period() -> None:
    """In the first period the rate rises from nought; then it is what was sent in the period before."""
    rates = timeline([run_of(180, rate=2)]).rates
    assert [round(rate.work) for rate in rates if rate.x in (0, 30, 60, 120, 180)] == [0, 60, 120, 120, 120]


def test_a_run_of_a_day_has_few_points_and_its_mean_rate() -> None:
    """Samples of minutes give the mean rate; there are never many points."""
    line = timeline([run_of(86_400, rate=1, step=400)])
    assert len(line.rates) <= RATES + 1
    assert len(line.latencies) <= LATENCIES + 1
    assert {round(rate.work) for rate in line.rates[1:]} == {60}


def test_no_more_is_drawn_than_was_seen() -> None:
    """What is interpolated between samples never exceeds the most that was seen in a period."""
    run = Run(0.0, {}, 90.0)
    run.samples = [sample(45.0, 45.0, 90, polls=30, peak=98), sample(90.0, 45.0, 10, peak=98)]
    assert max(rate.work + rate.polls for rate in timeline([run]).rates) <= 98 + 1e-9


def test_the_time_between_runs_is_cut_out() -> None:
    """Two runs with a night in between stand side by side; the cut knows how long the night was."""
    line = timeline([run_of(100), run_of(100, started=40_000.0)])
    [cut] = line.breaks
    assert cut.number == 39_900.0
    assert 200 < line.length < 210
    assert [start[1] for start in line.starts] == [0.0, 100.0]
    assert line.at(150.0) == cut.x2 + 50.0
    assert line.worked(cut.x2 + 50.0) == 150.0
    assert {rate.run for rate in line.rates if rate.x > cut.x2} == {1}


def test_pauses_and_refusals_are_placed() -> None:
    """A pause ends with its run at the latest; a 429 stands in the middle of its sample."""
    run = run_of(10)
    run.samples[4] = sample(5.0, 1.0, 2, refused=2)
    run.pauses = [Pause(5.0, 60.0, "429"), Pause(70.0, 80.0, "429")]
    line = timeline([run])
    assert [(span.x, span.x2, span.number) for span in line.pauses] == [(5.0, 10.0, 55.0)]
    assert line.refusals == [(4.5, 2)]


def test_a_corrected_limit_is_a_step() -> None:
    """The limit is one line as long as it stays the same."""
    run = run_of(10)
    run.samples[5:] = [
        Sample(s.end, s.seconds, 500, 60.0, "header", s.peak, 0, s.tally) for s in run.samples[5:]
    ]
    assert [(span.x, span.x2, span.number) for span in timeline([run]).limits] == [(0, 5, 100), (5, 10, 500)]


@pytest.mark.parametrize(("rate", "drawn"), [(1, 100.0), (0, None)])
def test_a_limit_far_above_is_not_drawn(rate: int, drawn: float | None) -> None:
    """What was sent is drawn with its limit unless it would lie on the ground then."""
    assert timeline([run_of(60, rate=rate)]).limit == drawn


def test_without_samples_there_is_nothing_to_draw() -> None:
    """Runs of which nothing was counted have no timeline."""
    line = timeline([Run(0.0, {}, 5.0)])
    assert (line.length, line.rates, line.latencies) == (0.0, [], [])


def test_latency_lines_are_not_drawn_across_silence() -> None:
    """Where nothing was heard for long, and between runs, a line ends and another begins."""
    first, second = run_of(100), run_of(100, started=500.0)
    first.samples[30:70] = [sample(s.end, s.seconds, 0) for s in first.samples[30:70]]
    points = timeline([first, second]).latencies
    stretches = [stretch for stretch, _ in separated(points, 20.0)]
    assert sorted(set(stretches)) == [0, 1, 2]


@given(st.floats(0.05, 1e8), st.integers(3, 10))
def test_ticks_are_few_and_rise(length: float, most: int) -> None:
    """Any axis has a handful of ticks that rise and stay on it."""
    for ticks in (time_ticks(length, most), count_ticks(length, most)):
        assert all(late > early for early, late in pairwise(ticks))
        assert ticks[0] == 0
        assert ticks[-1] <= length + 1e-3
        assert len(ticks) <= most + 2 or length > 1e7


@given(st.floats(1e-4, 1e3), st.floats(1.6, 1e6))
def test_ticks_of_a_logarithmic_axis(low: float, factor: float) -> None:
    """They stay on the axis, and are few."""
    ticks = log_ticks(low, low * factor, 6)
    assert len(ticks) <= 6
    assert all(low * 0.99 <= tick <= low * factor * 1.01 for tick in ticks)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0"),
        (0.0712, "71 ms"),
        (0.0042, "4.2 ms"),
        (1, "1 s"),
        (2.95, "3 s"),
        (90, "1.5 min"),
        (7200, "2 h"),
        (86400, "1 d"),
    ],
)
def test_spans_in_few_letters(seconds: float, words: str) -> None:
    """A span has two digits that count, and no needless nought."""
    assert span_words(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0"), (500, "500"), (2_000, "2,000"), (50_000, "50 k"), (1_000_000, "1 M"), (2_500_000, "2.5 M")],
)
def test_counts_in_few_letters(count: int, words: str) -> None:
    """A count on an axis takes little room."""
    assert count_words(count) == words
