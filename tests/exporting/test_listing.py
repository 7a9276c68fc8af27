"""What a listing of conversations is asked for."""

from __future__ import annotations

from math import inf

from bulkops.api import LIVE
from bulkops.exporting.listing import bounded


def test_bounds_are_a_little_wide() -> None:
    """Nobody says whether a bound counts itself, so the seconds next to the window are asked for, too."""
    assert bounded(LIVE, 1000.5, 2000.5).query == (
        (LIVE.started_after_query, "999"),
        (LIVE.started_before_query, "2002"),
    )


def test_without_a_begin_there_is_no_lower_bound() -> None:
    """All that there is is asked for, until the moment at which the export begins."""
    assert bounded(LIVE, -inf, 2000.0).query == ((LIVE.started_before_query, "2001"),)
