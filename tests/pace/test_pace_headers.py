"""What headers teach, and what they cannot."""

from __future__ import annotations

from email.utils import formatdate
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.api import REFERENCE
from bulkops.pace.headers import ROUNDING, Told, read, seconds_to_reset, seconds_to_retry
from tests.pace.simulation import WALL

NAMES = REFERENCE.rate_headers
HOSTILE = [
    "",
    " ",
    "-1",
    "+5",
    "1e9",
    "nan",
    "inf",
    "٣",
    "0x10",
    "5, 5;w=60",
    "9" * 400,
    "soon",
    "1" * 11 + "x",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_plain_number_teaches_nothing(text: str) -> None:
    """Negative, absurd and unreadable values are ignored."""
    names = (
        NAMES.limit,
        NAMES.remaining,
        NAMES.reset,
        NAMES.retry_after,
        NAMES.most_in_flight,
        NAMES.now_in_flight,
    )
    assert read(NAMES, dict.fromkeys(names, text), refused=True, wall=WALL) == Told()


@given(text=st.text(max_size=40), date=st.text(max_size=40))
def test_no_text_breaks_the_reading(text: str, date: str) -> None:
    """Whatever stands in the headers, the answer is None or a positive finite number."""
    headers = {NAMES.limit: text, NAMES.reset: text, NAMES.retry_after: text, "date": date}
    for seconds in (seconds_to_reset(NAMES, headers, WALL), seconds_to_retry(NAMES, headers, WALL)):
        assert seconds is None or (seconds > 0 and isfinite(seconds))


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 99 Foo 2024 99:99:99 GMT",
        "Fri, 31 Dec 99999 23:59:59 GMT",
        "1, 2, 3",
    ],
)
def test_a_broken_date_counts_as_no_date(date: str) -> None:
    """Without a readable Date the reset is measured against the local clock."""
    headers = {NAMES.reset: str(int(WALL) + 20), "date": date}
    assert seconds_to_reset(NAMES, headers, WALL) == 20 + ROUNDING


@pytest.mark.parametrize("skew", [-30, 0, 30, 86400])
def test_a_wrong_clock_does_not_matter(skew: int) -> None:
    """The reset is measured against the answer's own Date."""
    headers = {NAMES.reset: str(int(WALL) + skew + 20), "date": formatdate(WALL + skew, usegmt=True)}
    assert seconds_to_reset(NAMES, headers, WALL) == 20 + ROUNDING


def test_a_reset_in_the_past_is_none() -> None:
    """A late answer of a window that is over holds nobody."""
    assert seconds_to_reset(NAMES, {NAMES.reset: str(int(WALL) - 1)}, WALL) is None


def test_retry_after_in_seconds_and_as_a_date() -> None:
    """Both forms give the wait, the date measured against the answer's own Date; the past gives none."""
    assert seconds_to_retry(NAMES, {NAMES.retry_after: " 17 "}, WALL) == 17
    assert seconds_to_retry(NAMES, {NAMES.retry_after: "0"}, WALL) is None
    date = formatdate(WALL + 47, usegmt=True)
    assert seconds_to_retry(NAMES, {NAMES.retry_after: date}, WALL) == 47
    assert seconds_to_retry(NAMES, {NAMES.retry_after: date, "date": formatdate(WALL + 30)}, WALL) == 17
    assert seconds_to_retry(NAMES, {NAMES.retry_after: date}, WALL + 50) is None


@pytest.mark.parametrize(("text", "seconds"), [("20", 20 + ROUNDING), ("0.5", 0.5 + ROUNDING), ("0", None)])
def test_a_small_reset_is_a_delta(text: str, seconds: float | None) -> None:
    """What is too small for a time of day counts from now."""
    assert seconds_to_reset(NAMES, {NAMES.reset: text}, WALL) == seconds


def test_limits_are_positive() -> None:
    """Zero is no limit and no concurrency, but it may remain; a thousand is one."""
    nothing = {NAMES.limit: "0", NAMES.remaining: "0", NAMES.most_in_flight: "0", NAMES.now_in_flight: "0"}
    assert read(NAMES, nothing, refused=False, wall=WALL) == Told(remaining=0, now_in_flight=0)
    assert read(NAMES, {NAMES.limit: "1000"}, refused=False, wall=WALL) == Told(limit=1000)


def test_times_are_read_only_after_a_refusal() -> None:
    """Nobody needs them after a success, and reading dates costs time."""
    headers = {NAMES.reset: str(int(WALL) + 20), NAMES.retry_after: "7"}
    assert read(NAMES, headers, refused=False, wall=WALL) == Told()
    assert read(NAMES, headers, refused=True, wall=WALL) == Told(reset=20 + ROUNDING, retry_after=7)
