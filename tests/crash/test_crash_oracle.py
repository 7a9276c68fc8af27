"""The judge of the crash tests: it sees each kind of wrong, and nothing where nothing is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.crash.crash_oracle import Wanted, judge
from tests.crash.crash_processes import Made

WANTED = [Wanted(1, "agent.create", "Twin"), Wanted(2, "agent.create", "Twin"), Wanted(3, waits=(1,))]


def row(line: int, status: str, *ids: str) -> dict[str, Any]:
    """Return what the tool says of an operation."""
    return {"line": line, "status": status, "created": [{"kind": "agent", "id": one} for one in ids]}


def made(*ids: str) -> list[Made]:
    """Return what happened."""
    return [Made("agent.create", one, "Twin", 0.0) for one in ids]


@pytest.mark.parametrize(
    ("rows", "effects"),
    [
        ([row(1, "done", "x"), row(2, "done", "y"), row(3, "done")], made("x", "y")),
        ([row(1, "in_doubt"), row(2, "done", "y")], made("x", "y")),
        ([row(1, "in_doubt"), row(2, "in_doubt")], made("x")),
        ([row(1, "in_doubt"), row(2, "failed")], []),
    ],
)
def test_what_fits_is_no_violation(rows: list[dict[str, Any]], effects: list[Made]) -> None:
    """Done with its id, in doubt with or without an effect, failed without one, held up by a doubt."""
    assert not judge(WANTED, rows, effects)


@pytest.mark.parametrize(
    ("rows", "effects", "what"),
    [
        ([row(1, "done", "x"), row(2, "done", "y"), row(3, "done")], made("x", "y", "z"), "duplicates"),
        ([row(1, "in_doubt"), row(2, "done", "y")], made("x", "y", "z"), "duplicates"),
        ([row(1, "failed"), row(2, "done", "y"), row(3, "blocked")], made("x", "y"), "lost"),
        ([row(1, "done", "x"), row(2, "done", "y")], made("x", "y"), "lost"),
        ([row(1, "done", "x"), row(3, "done")], made("x"), "lost"),
        ([row(1, "done", "x"), row(2, "done", "x"), row(3, "done")], made("x", "y"), "wrong"),
        ([row(1, "done", "x"), row(2, "done", "q"), row(3, "done")], made("x", "y"), "wrong"),
        ([row(1, "done", "x"), row(2, "done"), row(3, "done")], made("x"), "wrong"),
    ],
)
def test_what_does_not_fit_is_named(rows: list[dict[str, Any]], effects: list[Made], what: str) -> None:
    """One too many, one that nobody knows of, one without an end, an id that is somebody else's or nobody's."""
    assert getattr(judge(WANTED, rows, effects), what)
