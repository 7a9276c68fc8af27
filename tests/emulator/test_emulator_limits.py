"""The tier limit and the tally, with times that are given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.emulator import Algorithm, EmulatorSettings
from bulkops.emulator.limits import Verdict
from bulkops.emulator.tally import Tally
from bulkops.emulator.windows import FixedWindow

TIMES = st.lists(st.floats(0, 1000), max_size=60).map(sorted)


def test_a_window_admits_its_limit_and_no_more() -> None:
    """The first `limit` requests go, the next one does not; all hear when the window closes."""
    window = FixedWindow(2, 60.0)
    assert [window.admit(now) for now in (10.0, 20.0, 30.0)] == [
        Verdict(admitted=True, limit=2, remaining=1, reset=70.0, opens=10.0),
        Verdict(admitted=True, limit=2, remaining=0, reset=70.0, opens=20.0),
        Verdict(admitted=False, limit=2, remaining=0, reset=70.0, opens=70.0),
    ]


def test_a_window_opens_with_a_request() -> None:
    """After its end the next window begins when somebody comes, not before."""
    window = FixedWindow(1, 60.0)
    window.admit(0.0)
    assert not window.admit(59.9).admitted
    assert window.admit(75.0) == Verdict(admitted=True, limit=1, remaining=0, reset=135.0, opens=75.0)


def test_a_fixed_window_lets_twice_the_limit_through_around_its_end() -> None:
    """The known weakness is there: a burst before and one after the end are both admitted."""
    window = FixedWindow(100, 60.0)
    times = [0.0, *[59.9] * 99, *[60.0] * 100]
    assert all(window.admit(now).admitted for now in times)


@given(TIMES, st.integers(1, 5), st.floats(0.5, 100))
def test_no_window_admits_more_than_its_limit(times: list[float], limit: int, period: float) -> None:
    """Whatever comes when: requests that hear of the same reset are at most `limit`."""
    window = FixedWindow(limit, period)
    resets = [verdict.reset for now in times if (verdict := window.admit(now)).admitted]
    assert all(resets.count(reset) <= limit for reset in resets)


@given(TIMES, st.floats(0.5, 100))
def test_the_tally_finds_the_fullest_window(times: list[float], length: float) -> None:
    """The largest number in any sliding window is what counting around every request gives."""
    tally = Tally(length)
    for moment in times:
        tally.admitted("w", moment)
    counts = [sum(moment - length < other <= moment for other in times) for moment in times]
    assert tally.most_in_a_window() == max(counts, default=0)


def test_the_tally_looks_at_each_world_alone() -> None:
    """Requests of two keys at the same time do not add up."""
    tally = Tally(60.0)
    for world in "aab":
        tally.admitted(world, 1.0)
    assert tally.most_in_a_window() == 2


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        ({}, (100, 60.0)),
        ({"tier": "pro"}, (500, 60.0)),
        ({"tier": "pro", "time_scale": 10.0}, (500, 6.0)),
        ({"limit": 7, "period": 2.0, "time_scale": 2.0}, (7, 1.0)),
        ({"tier": None}, None),
    ],
)
def test_settings_give_the_rate(given: dict[str, object], rate: object) -> None:
    """Tiers are those of the reference, a limit takes their place, the time scale divides the period."""
    assert EmulatorSettings(**given).rate == rate  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        {"port": 70_000},
        {"tier": "gold"},
        {"limit": 0},
        {"limit_burst": 3},
        {"concurrency": 0},
        {"concurrency_queue": -1.0},
        {"foreign": -0.1},
        {"foreign": 0.3, "tier": None},
        {"foreign": 0.3, "foreign_burst": 0},
        {"limit_burst": 0, "limit_algorithm": Algorithm.GCRA},
        {"rejects_count": True, "limit_algorithm": Algorithm.TOKEN_BUCKET},
        {"period": 0},
        {"time_scale": 0},
        {"index_time": -1},
        {"latency": (2.0, 1.0)},
        {"conversations": -1},
        {"keys": ("",)},
        {"keys": ()},
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, object]) -> None:
    """A wrong value is a ValueError when the settings are made, not a surprise later."""
    with pytest.raises(ValueError, match=r"\w"):
        EmulatorSettings(**given)  # type: ignore[arg-type]
