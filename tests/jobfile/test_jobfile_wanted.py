"""`where`: which rows are kept."""

from __future__ import annotations

from typing import Any

import pytest

from bulkops.jobfile.wanted import check_where, wanted

NOON = "2026-10-01T12:00:00Z"


@pytest.mark.parametrize(
    ("value", "asked", "kept"),
    [
        ("agent", "agent", True),
        ("agent", ["tool", "agent"], True),
        (1, True, False),
        ("Support Oslo", {"prefix": "Support "}, True),
        ("support", {"prefix": "Support"}, False),
        (None, {"prefix": ""}, False),
        ("a.md", {"suffix": ".md"}, True),
        ("abc", {"contains": "b"}, True),
        (["b"], {"contains": "b"}, True),
        (5, {"contains": "5"}, False),
        ("abc", {"prefix": "a", "suffix": "x"}, False),
        (NOON, {"since": "2026-10-01", "before": "2026-10-02"}, True),
        ("2026-10-01T14:00:00+02:00", {"since": NOON}, True),
        ("2026-10-01T14:00:00+02:00", {"before": NOON}, False),
        ("2026-10-01T11:59:59.999Z", {"before": NOON}, True),
        (3, {"since": 3, "before": 3.5}, True),
        (True, {"since": 0}, False),
        ("b", {"since": "a", "before": "c"}, True),
        ("5", {"since": 4}, False),
        ("tool", {"not": "agent"}, True),
        ("agent", {"not": ["agent", "tool"]}, False),
        (None, {"not": None}, False),
    ],
)
def test_a_row_is_kept_when_all_holds(value: Any, asked: Any, kept: Any) -> None:
    """A value is compared by its type: texts with texts, times as moments in whatever zone, numbers as numbers."""
    check_where({"a.b": asked})
    rows = iter([{"a": {"b": value}}])
    assert bool(list(wanted(rows, {"a.b": asked}, None))) is kept
