"""`--in-doubt ask`: the questions have a task of their own, beside everything else that a run does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from bulkops.emulator.answers import Answer
from bulkops.lifecycle import Choice, Chosen
from bulkops.model import State
from bulkops.settings import Policies, Policy
from tests.engines.engine_bench import AGENT, Job, Server, counts
from tests.engines.test_engine_dependants import tool
from tests.jumping import run_jumping

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from bulkops.model import Request

ASKING = Policies(Policy.ASK, {})
LOST = Answer(500, {"detail": "lost"})
NEVER = 1e9
HOUR = 3600.0


def agent(name: str) -> dict[str, Any]:
    """Return a line that makes an agent."""
    return {"op": "agent.create", "id": name, "body": AGENT | {"name": name}}


def given(endpoint: str, *numbers: int, answer: Answer = LOST) -> Callable[[Request, int], Answer | None]:
    """Return what answers requests at an endpoint, by their numbers."""
    return lambda request, number: answer if request.endpoint == endpoint and number in numbers else None


class User:
    """Answers each question after a while; `asked` are the names of the questions, with when they were put."""

    def __init__(self, patience: float, decide: Callable[[], Awaitable[Chosen | None]] | None = None) -> None:
        self.asked: list[tuple[str, float]] = []
        self.refused: list[str | None] = []
        self._patience = patience
        self._decide = decide

    async def __call__(
        self, name: str, _reason: str, _candidates: Sequence[str], refusal: str | None
    ) -> Chosen | None:
        """Be asked."""
        self.asked.append((name, anyio.current_time()))
        self.refused.append(refusal)
        await anyio.sleep(self._patience)
        return None if self._decide is None else await self._decide()


def test_no_worker_waits_with_a_question(tmp_path: Path) -> None:
    """With one request at a time, all other lines are done while the user thinks."""
    job, server = Job(tmp_path, map(tool, "abc"), in_flight=1), Server(after=given("tool.create", 1))
    run = run_jumping(lambda: job.run(server, ask=User(HOUR), in_doubt=ASKING))
    assert counts(run) == {"done": 2, "in_doubt": 1}
    assert len(server.times) == 3
    assert server.times[-1][0] < HOUR


def test_other_agents_are_looked_for_while_a_question_is_open(tmp_path: Path) -> None:
    """One agent is asked about, since the listing failed; the next one is found before the user has answered."""
    job = Job(tmp_path, [agent("a"), agent("b")], in_flight=1)
    no_list = given("agent.list", 1, answer=Answer(404, {"detail": "none"}))
    server = Server(latency=5.0, after=given("agent.create", 1, 2), refuse=no_list)
    user, found = User(HOUR), []

    async def decide() -> None:
        found.append([row.id for row in job.checkpoint.reader().rows([State.DONE])])

    user = User(HOUR, decide)
    run = run_jumping(lambda: job.run(server, ask=user, in_doubt=ASKING))
    assert [name for name, _ in user.asked] == ["a"]
    assert found == [["b"]]
    assert counts(run) == {"done": 1, "in_doubt": 1}


def test_an_internal_error_ends_the_run_at_a_question(tmp_path: Path) -> None:
    """Whatever breaks while a question is open is told at once, and what was asked about is in doubt still."""
    job, server = Job(tmp_path, [tool("a"), tool("b")], in_flight=1), Server(after=given("tool.create", 1))
    user, ended = User(NEVER), []

    def broken(_: Request) -> None:
        if user.asked:
            raise ZeroDivisionError

    async def work() -> None:
        server.before_effect = broken
        try:
            await job.run(server, ask=user, in_doubt=ASKING)
        finally:
            ended.append(anyio.current_time())

    with pytest.raises(BaseExceptionGroup) as raised:
        run_jumping(work)
    assert raised.group_contains(ZeroDivisionError)
    assert ended[0] < HOUR
    assert [name for name, _ in user.asked] == ["a"]
    assert [step.number for step in job.checkpoint.reader().open_steps()] == [0, 0]


def test_a_stop_holds_every_question(tmp_path: Path) -> None:
    """The one that is open is taken back, those behind it are not put; all are held."""
    job, server = Job(tmp_path, map(tool, "abc")), Server(after=given("tool.create", 1, 2, 3))
    user = User(NEVER)
    run = run_jumping(lambda: job.run(server, ask=user, in_doubt=ASKING, stop_after=10.0))
    assert len(user.asked) == 1
    assert counts(run) == {"in_doubt": 3}


@pytest.mark.parametrize("choice", [Choice.RETRY, Choice.SKIP])
def test_what_was_decided_is_carried_out_before_the_next_question(tmp_path: Path, choice: Choice) -> None:
    """Sent again or given up; each question is put once."""
    job, server = Job(tmp_path, map(tool, "abc")), Server(after=given("tool.create", 1, 2, 3))

    async def decide() -> Chosen:
        return Chosen(choice)

    user = User(60.0, decide)
    run = run_jumping(lambda: job.run(server, ask=user, in_doubt=ASKING))
    assert counts(run) == {"done" if choice is Choice.RETRY else "skipped": 3}
    assert sorted(name for name, _ in user.asked) == ["a", "b", "c"]


def test_an_id_that_is_given_while_another_pass_looks_is_given_once(tmp_path: Path) -> None:
    """The user gives an agent to one operation in the moment in which the listing tells it for another."""
    job = Job(tmp_path, [agent("a"), {**agent("a"), "id": "b"}], in_flight=1)
    no_list = given("agent.list", 1, answer=Answer(404, {"detail": "none"}))
    no_effect = given("agent.create", 1)
    server = Server(latency=5.0, after=given("agent.create", 2))
    server.refuse = lambda request, number: no_list(request, number) or no_effect(request, number)
    looked = anyio.Event()

    async def decide() -> Chosen:
        await looked.wait()
        [made] = server.world.effects
        return Chosen(Choice.ADOPT, made.id)

    def look(request: Request) -> None:
        if request.endpoint == "agent.get":
            looked.set()

    server.before_effect = look
    run = run_jumping(partial(job.run, server, ask=User(0.0, decide), in_doubt=ASKING))
    assert counts(run) == {"done": 2}
    assert len({row["result"]["agent_id"] for row in job.rows()}) == 2
    assert len(server.effects("agent.create")) == 2
