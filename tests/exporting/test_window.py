"""Of which time conversations are wanted."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest

from bulkops.errors import UsageError
from bulkops.exporting.window import window

if TYPE_CHECKING:
    from bulkops.exporting.window import Window

NOW = 2_000_000.0
DAY = 86_400.0


def told(since: str | None = None, until: str | None = None, stands: float | None = None) -> Window:
    """Return the window of some words, with a lookback of a day."""
    return window(since, until, DAY, lambda _: stands, now=NOW)


def test_a_window_is_half_open() -> None:
    """What was created at its begin is in it, what was at its end is not; an unknown age is."""
    found = told("1970-01-02T00:00:00Z", "1970-01-03")
    assert [found.holds(at) for at in (DAY - 1, DAY, 2 * DAY - 1, 2 * DAY, None)] == [
        False, True, True, False, True,
    ]  # fmt: skip
    assert found.again == DAY
    assert found.watermark is None


def test_a_watermark_bounds_only_what_is_looked_at_again() -> None:
    """Since a watermark, all that was never exported is wanted, however late it comes; and the watermark moves."""
    found = told("watermark:nightly", stands=1_000_000.0)
    assert (found.since, found.until, found.again, found.watermark) == (-inf, inf, 1_000_000 - DAY, "nightly")


def test_one_that_is_new_looks_back_from_now() -> None:
    """Before a watermark stands anywhere, and without a begin, what is older than the lookback is not read again."""
    assert told("watermark:nightly").again == told().again == NOW - DAY


def test_a_backfill_leaves_the_watermark_alone() -> None:
    """With an end, no watermark moves."""
    assert told("watermark:nightly", "2026-01-01", stands=5.0).watermark is None


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [
        ("yesterday", None, "--since: 'yesterday' is no moment; write it as 2026-11-22T08:00:00Z"),
        (None, "2026-13-01x", "--until: '2026-13-01x' is no moment"),
        ("2026-01-02", "2026-01-02", "--since 2026-01-02 is not before --until 2026-01-02"),
        ("watermark:", None, "'' is no name of a watermark"),
        ("watermark:a/b", None, "'a/b' is no name of a watermark"),
        ("2026-02-31", None, "--since: '2026-02-31' is no moment"),
    ],
)
def test_what_is_no_moment_is_refused(since: str | None, until: str | None, words: str) -> None:
    """The message names the option, what it was given, and how moments are written."""
    with pytest.raises(UsageError, match=words.replace("[", r"\[")):
        told(since, until)


def test_a_listing_is_read_from_where_something_new_may_be() -> None:
    """From `--since`, from the watermark less the lookback, and whole where there is neither."""
    assert told("1970-01-02T00:00:00Z").listed == DAY
    assert told("watermark:nightly", stands=1_000_000.0).listed == 1_000_000 - DAY
    assert told("watermark:nightly").listed == -inf
    assert told().listed == -inf
