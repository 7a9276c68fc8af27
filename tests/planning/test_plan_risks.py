"""What a plan points out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bulkops.api import REFERENCE, Tier
from bulkops.planning import Selection, risks
from bulkops.settings import Account, Secret
from tests.planning.planning_jobs import get, plan_of, write

if TYPE_CHECKING:
    from pathlib import Path


ACCOUNT = Account("default", "http://localhost", Secret(""), Tier("standard", 100))


def told(path: Path, lines: list[Any], seconds: float = 1.0, account: Account = ACCOUNT) -> dict[str, str]:
    """Return what is said of a job, by its word."""
    plan = plan_of(write(path / "job.jsonl", lines), None, Selection(closely=True))
    return {risk.what: risk.told for risk in risks(plan, REFERENCE, account, seconds)}


def test_a_job_of_reads_has_no_risk(tmp_path: Path) -> None:
    """Nothing is said where nothing is to be said."""
    assert told(tmp_path, [get("a"), get("b", agent_id="agent_2")]) == {}


def test_what_cannot_be_looked_for_is_named(tmp_path: Path) -> None:
    """Endpoints that make or spend something which no listing has are named; those of agents are not."""
    body = {"name": "x", "conversation_config": {}}
    lines = [
        {"op": "agent.create", "body": body},
        {"op": "conversation.create", "body": {"agent_id": "agent_1"}},
        {"op": "agent.simulate", "agent_id": "agent_1", "repeat": 4, "body": {"scenario": "x"}},
    ]
    found = told(tmp_path, lines)
    assert set(found) == {"not_listed"}
    assert found["not_listed"].endswith(": agent.simulate 4, conversation.create 1")


def test_large_uploads_are_told(tmp_path: Path) -> None:
    """The size of the largest file is said where it is large."""
    for name, size in (("a.md", 30_000_000), ("b.md", 1000)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    both = told(tmp_path, [{"op": "document.upload", "file": name} for name in ("a.md", "b.md")])
    assert both["large_upload"] == "the largest file has 30 MB"
    assert "large_upload" not in told(tmp_path, [{"op": "document.upload", "file": "b.md"}])


def test_a_long_job_at_the_default_limit_is_told(tmp_path: Path) -> None:
    """Who has a long job is told that its limit is a guess, unless somebody has said what it is."""
    assert "give --tier or --rate" in told(tmp_path, [get()], 601)["default_limit"]
    assert told(tmp_path, [get()], 599) == {}
    said = Account("a", "http://localhost", Secret(""), Tier("standard", 100), "flag")
    assert told(tmp_path, [get()], 601, said) == {}


def test_duplicates_are_told_in_words(tmp_path: Path) -> None:
    """One is told as one, several as several."""
    twice = [get("a"), get("b")]
    assert told(tmp_path, twice) == {"equal_lines": "1 line stands there more than once, but for its id"}
    more = [*twice, get("c", agent_id="agent_2"), get("d", agent_id="agent_2")]
    assert told(tmp_path, more) == {"equal_lines": "2 lines stand there more than once, but for their ids"}
