"""Deletions are agreed to before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulkops.errors import UsageError
from bulkops.pipeline import Order, refuse_deletes
from tests.e2e.e2e_commands import agent, agents, results, summary
from tests.e2e.test_e2e_asking import at_a_terminal
from tests.planning.planning_jobs import plan_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk

PROMPT = "Go on? [y/N] "


def made(desk: Desk, number: int) -> list[str]:
    """Make agents; return their ids."""
    job = desk.job(agents(number), "made.jsonl")
    assert desk.run(job).code == 0
    return [row["result"]["agent_id"] for row in results(job)]


def deleting(desk: Desk, number: int, *more: dict[str, Any]) -> Path:
    """Make agents, and return a job that deletes them."""
    lines = [
        {"op": "agent.delete", "id": f"d{place}", "agent_id": name}
        for place, name in enumerate(made(desk, number))
    ]
    return desk.job([*lines, *more])


def test_without_a_terminal_a_job_that_deletes_is_refused(desk: Desk) -> None:
    """Nothing is sent, the message says how much would be deleted and names the flag; with it, it is done."""
    job = deleting(desk, 5, agent("new"))
    sent = desk.sent
    refused = desk.run(job)
    assert (refused.code, desk.sent) == (2, sent)
    assert "deletes 5 agents (agent_" in refused.err
    assert ", …)" in refused.err
    assert "Add --yes" in refused.err
    assert desk.run(job, "--yes").code == 0
    assert len(desk.effects("agent.delete")) == 5


def test_the_environment_may_say_yes(desk: Desk) -> None:
    """BULKOPS_YES stands for the flag, as for every other one."""
    assert desk.run(deleting(desk, 1), env={"BULKOPS_YES": "1"}).code == 0


def test_what_is_done_is_not_asked_about(desk: Desk) -> None:
    """A job whose deletions are done runs again without a question, and appended lines do not ask either."""
    job = deleting(desk, 2)
    assert desk.run(job, "--yes").code == 0
    with job.open("a") as file:
        file.write('{"op": "agent.list", "id": "all"}\n')
    assert desk.run(job).code == 0


@pytest.mark.parametrize(("keys", "code"), [("y", 0), ("yes", 0), ("", 2), ("n", 2)])
def test_on_a_terminal_it_is_asked_once(desk: Desk, keys: str, code: int) -> None:
    """The question says how much and what; only a yes goes on, and before it nothing is sent."""
    job = deleting(desk, 2)
    sent = desk.sent
    with at_a_terminal(desk, job) as terminal:
        assert "This deletes 2 agents (agent_" in terminal.expect(PROMPT)
        assert desk.sent == sent
        terminal.press(keys)
        assert terminal.end() == code
        assert PROMPT not in terminal.seen
    assert len(desk.effects("agent.delete")) == (2 if code == 0 else 0)


def test_more_than_max_delete_is_refused(desk: Desk) -> None:
    """The bound counts what is left, also where everything was agreed to; nothing is sent above it."""
    job = deleting(desk, 3)
    sent = desk.sent
    refused = desk.run(job, "--yes", "--max-delete", 2)
    assert (refused.code, desk.sent) == (2, sent)
    assert "deletes 3 agents" in refused.err
    assert "--max-delete is 2" in refused.err
    dry = desk.run(job, "--dry-run", "--max-delete", 2)
    assert (dry.code, desk.sent) == (2, sent)
    assert "--max-delete is 2" in dry.err
    assert desk.run(job, "--dry-run", "--max-delete", 3).code == 0
    assert desk.run(job, "--yes", "--max-delete", 3).code == 0
    assert desk.run(job, "--yes", "--max-delete", 0).code == 0


def test_a_plan_tells_of_deletions(desk: Desk) -> None:
    """People and programs read how much is left to delete."""
    job = deleting(desk, 2)
    assert "to delete: 2 agents (agent_" in desk.bulkops("plan", job).out
    assert desk.bulkops("plan", job, "--json").rows[0]["deletes"] == 2
    assert desk.bulkops("plan", desk.job(agents(1)), "--json").rows[0]["deletes"] == 0


def test_a_rehearsal_does_not_ask(lone_desk: Desk) -> None:
    """Against the built-in server everything may be deleted, and what is not known yet is named by its line."""
    job = lone_desk.job([agent(0), {"op": "agent.delete", "id": "d", "agent_id": "${ref:a0#agent_id}"}])
    assert lone_desk.bulkops("run", job, "--emulate", "--time-scale", 60).code == 0
    assert "(d)" in lone_desk.bulkops("plan", job).out


def test_the_command_that_continues_does_not_say_yes(desk: Desk) -> None:
    """What was agreed to once is asked again, while the bound is kept."""
    job = deleting(desk, 3)
    assert desk.run(job, "--yes", "--max-delete", 7, "--max-requests", 2).code == 7
    continuing = summary(job)["next"]
    assert "--max-delete 7" in continuing
    assert "--yes" not in continuing


def test_programs_agree_in_words_of_their_own(lone_desk: Desk) -> None:
    """An order to the Python API deletes nothing unless its `may_delete` lets it."""
    plan = plan_of(lone_desk.job([{"op": "agent.delete", "agent_id": "agent_1"}]))
    assert Order.__dataclass_fields__["may_delete"].default is refuse_deletes
    with pytest.raises(UsageError, match=r"deletes 1 agent \(agent_1\), and `may_delete`"):
        refuse_deletes(plan)
