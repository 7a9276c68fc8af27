"""What counts where the user said how much a run may send."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.e2e_commands import agents, states, summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk


def test_looks_and_retries_count(desk_at: Callable[..., Desk]) -> None:
    """Every request counts, whatever it is for."""
    desk = desk_at(
        faults=[{"times": [1, 2], "faults": [{"fault": "429", "retry_after": 0}]}], index_time=30.0
    )
    (desk.folder / "guide.md").write_text("# Refunds")
    job = desk.job([{"op": "document.upload", "file": "guide.md", "index": {"model": "e5_mistral_7b"}}])
    ended = desk.run(job, "--max-requests", 7, "--time-scale", 10)
    assert ended.code == 7
    assert desk.sent == 7
    assert set(states(job).values()) <= {"not_started"}


def test_what_waits_for_its_turn_was_not_sent(desk: Desk) -> None:
    """The last line, the summary and the page tell what reached the server, not what a bound held back."""
    job = desk.job(agents(50))
    ended = desk.run(job, "--max-requests", 5)
    assert ended.code == 7
    assert "(5 requests)" in ended.err
    assert (desk.sent, summary(job)["requests"]["sent"]) == (5, 5)


def test_a_job_that_is_done_by_then_is_done(desk: Desk) -> None:
    """With its last request at the limit, a run has not been stopped."""
    assert desk.run(desk.job(agents(5)), "--max-requests", 5, "--max-duration", "1m").code == 0


@pytest.mark.parametrize("bound", ["--max-requests", "--max-duration"])
def test_a_bound_of_nothing_is_refused(desk: Desk, bound: str) -> None:
    """A run that may send nothing, or for no time, is no run: it is refused, with what to do."""
    ended = desk.run(desk.job(agents(1)), bound, 0)
    assert ended.code == 2
    assert bound in ended.last
    assert "without it there is no such bound" in ended.last
    assert desk.sent == 0
