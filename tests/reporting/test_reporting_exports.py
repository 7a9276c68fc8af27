"""The page about exports: what is missing is told first, and texts of others do nothing."""

from __future__ import annotations

import re
from typing import Any

from bulkops.reporting.html.exports import page


def day(name: str, **counts: int) -> dict[str, Any]:
    """Return a day of a summary."""
    heads = ("seen", "webhook", "listing", "named", "exported", "pending", "missing", "given_up")
    return {"day": name, **dict.fromkeys(heads, 0), **counts}


def told(*days: dict[str, Any], **left: list[Any]) -> str:
    """Return the page without its style."""
    summary = {
        "exported": 5, "new_versions": 1, "requests": 2, "ended_at": 1762171200.0, "days": days,
        "watermark": {"name": "nightly", "at": "2025-11-03T12:00:00.000Z"},
    }  # fmt: skip
    found = page("exports", summary, {"missing": [], "pending": [], **left}, version="1")
    return re.sub(r"<style>.*?</style>", "", found, flags=re.DOTALL)


def test_the_page_says_first_what_is_missing() -> None:
    """Its heading says how many are missing, and that nothing is; the table has a row for each day."""
    whole = told(day("2025-11-02", seen=3, exported=3), day("unknown", seen=1, exported=1))
    assert "<h1>All of 4 conversations that ended are exported</h1>" in whole
    assert ">no date<" in whole
    row = {"conversation_id": "conv_1", "created_at": None, "reason": "HTTP 404"}
    lacking = told(day("2025-11-02", seen=3, exported=2, missing=1), missing=[row] * 103)
    assert "<h1>1 conversation of 3 missing</h1>" in lacking
    assert "3 more stand in <code>missing.jsonl</code>" in lacking
    assert lacking.count("HTTP 404") == 100


def test_texts_of_others_are_shown_and_not_obeyed() -> None:
    """What an API answered stands on the page as text."""
    row = {"conversation_id": "<b>x", "created_at": None, "reason": "<script>alert(1)</script>\x1b[31m"}
    found = told(day("2025-11-02", seen=1, missing=1), missing=[row])
    assert "<script>" not in found
    assert "&lt;script&gt;" in found
    assert "\x1b" not in found


def test_many_days_are_summed_up() -> None:
    """Of more than four hundred days the oldest are one row."""
    days = [
        day(f"{2000 + n // 300}-{1 + n % 300 // 25:02}-{1 + n % 25:02}", seen=1, exported=1)
        for n in range(450)
    ]
    found = told(*days)
    assert found.count('<th scope="row">') == 401
    assert "until 2000-02-25" in found
