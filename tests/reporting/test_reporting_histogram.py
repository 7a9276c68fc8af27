from __future__ import annotations

import math

import orjson
from hypothesis import given
from hypothesis import strategies as st

from bulkops.reporting.histogram import SMALLEST, Histogram, lower, merged

DURATIONS = st.lists(st.floats(SMALLEST, 1e6), min_size=1, max_size=50)


def histogram_of(durations: list[float]) -> Histogram:
    """Return the histogram of some durations."""
    histogram = Histogram()
    for seconds in durations:
        histogram.add(seconds)
    return histogram


@given(DURATIONS, st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_is_true_to_within_five_percent(durations: list[float], share: float) -> None:
    """A percentile is within 5 % of a duration that this share of all do not exceed."""
    ranked = sorted(durations)
    exact = ranked[max(0, -(-int(share * 100) * len(ranked) // 100) - 1)]
    found = histogram_of(durations).percentile(share)
    assert found is not None
    assert abs(found / exact - 1) <= 0.05


@given(DURATIONS, DURATIONS)
def test_histograms_merge(one: list[float], other: list[float]) -> None:
    """Two that are merged are the histogram of all."""
    both, whole = merged([histogram_of(one), histogram_of(other)]), histogram_of(one + other)
    assert both.buckets == whole.buckets
    assert both.count == len(one) + len(other)
    assert abs(both.seconds - math.fsum(one + other)) <= 1e-6 * whole.seconds


@given(DURATIONS)
def test_a_histogram_survives_json(durations: list[float]) -> None:
    """What is written is what is read."""
    histogram = histogram_of(durations)
    again = Histogram.from_json(orjson.loads(orjson.dumps(histogram.to_json())))
    assert again.buckets == histogram.buckets


def test_what_is_no_histogram_counts_nothing() -> None:
    """Other shapes, huge buckets and negative counts are passed over."""
    assert Histogram.from_json(["x"]).count == 0
    assert Histogram.from_json({"x": 1, "99999999999": 1, "3": -1, "4": "2", "5": 2, "sum": "x"}).buckets == {
        5: 2
    }


def test_nothing_has_no_percentile() -> None:
    """Without a duration there is no percentile; the shortest ones share a bucket."""
    assert Histogram().percentile(0.5) is None
    assert histogram_of([0.0, -1.0, 1e-9]).buckets == {0: 3}


def test_whole_powers_of_two_are_bounds() -> None:
    """A second, two, four and so on begin a bucket, so that charts have round labels."""
    assert {1.0, 2.0, 4.0, 64.0} <= {lower(bucket) for bucket in range(200)}
