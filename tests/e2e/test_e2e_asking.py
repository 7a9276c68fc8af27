"""`--in-doubt ask`: a user at a terminal decides what becomes of what the API cannot tell."""

from __future__ import annotations

import os
import pty
import signal
import time
from contextlib import contextmanager
from functools import partial
from select import select
from typing import TYPE_CHECKING, Any

import pytest

from bulkops.checkpoint import open_reader
from bulkops.model import State
from tests.e2e.e2e_commands import agents, results, run_folder, states, table, until
from tests.e2e.test_e2e_in_doubt import SOON, doubts_of, lost, tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk, Started

PROMPT = "anything else holds it: "
LONGEST = 30.0


class Terminal:
    """What a command writes to a terminal, and the keys that are pressed there."""

    def __init__(self, ours: int, process: Started) -> None:
        self._ours = ours
        self._process = process
        self.seen = ""

    def expect(self, text: str) -> str:
        """Read until this appears; return what came before it."""
        end = time.monotonic() + LONGEST
        while text not in self.seen:
            assert time.monotonic() < end, f"{text!r} did not come: {self.seen}"
            assert self._read(), f"it ended without {text!r}: {self.seen}"
        before, _, self.seen = self.seen.partition(text)
        return before

    def press(self, keys: str) -> None:
        """Press keys, and Enter."""
        os.write(self._ours, f"{keys}\n".encode())

    def end(self) -> int:
        """Read to the end; return the exit code."""
        while self._read():
            pass
        return self._process.wait(LONGEST)

    def _read(self) -> bool:
        select([self._ours], [], [], LONGEST)
        try:
            piece = os.read(self._ours, 65_536)
        except OSError:  # the other side is closed
            return False
        self.seen += piece.decode()
        return bool(piece)

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)


@contextmanager
def at_a_terminal(desk: Desk, job: Path, *words: object) -> Iterator[Terminal]:
    """Run a job at a terminal, asking."""
    ours, theirs = pty.openpty()
    try:
        given = ("run", job, *desk.target, "--in-doubt", "ask", *words)
        with desk.start(*given, stdin=theirs, stderr=theirs) as process:
            os.close(theirs)
            yield Terminal(ours, process)
    finally:
        os.close(ours)


def of_tools(desk: Desk) -> list[str]:
    """Return the ids of the tools that were made."""
    return [effect.id for effect in desk.effects("tool.create")]


def decided(job: Path) -> dict[str, Any]:
    """Return the one row of a job's results."""
    [row] = results(job)
    return row


def _are_done(job: Path, number: int) -> bool:
    reader = open_reader(run_folder(job) / "checkpoint.db")
    assert reader is not None
    with reader:
        return reader.counts().get(State.DONE, 0) == number


def test_what_is_there_is_adopted(desk_at: Callable[..., Desk]) -> None:
    """`a ID`: the operation is done with that id, decided by the user, and nothing is sent again."""
    desk = desk_at(faults=lost("tool.create", 1))
    job = desk.job([tool(0)])
    with at_a_terminal(desk, job) as terminal:
        assert "t0 is in doubt: it may have taken effect" in terminal.expect(PROMPT)
        [made] = of_tools(desk)
        terminal.press(f"a {made}")
        assert terminal.end() == 0
    row = decided(job)
    assert (row["result"], row["resolved_by"]) == ({"tool_id": made}, "user")
    assert [one["id"] for one in table(run_folder(job) / "created.jsonl")] == [made]
    assert desk.made("tool.create") == ["t0"]


def test_what_is_not_there_is_sent_again(desk_at: Callable[..., Desk]) -> None:
    """`r`: it is made once more, and its result says that it may be there twice."""
    desk = desk_at(faults=lost("tool.create", 1))
    job = desk.job([tool(0)])
    with at_a_terminal(desk, job) as terminal:
        terminal.expect(PROMPT)
        terminal.press("r")
        assert terminal.end() == 0
    assert (decided(job)["possible_duplicate"], decided(job)["resolved_by"]) == (True, "user")
    assert desk.made("tool.create") == ["t0", "t0"]


def test_what_does_not_matter_is_skipped(desk_at: Callable[..., Desk]) -> None:
    """`s`: the operation is given up, and its row says by whom."""
    desk = desk_at(faults=lost("tool.create", 1))
    job = desk.job([tool(0)])
    with at_a_terminal(desk, job) as terminal:
        terminal.expect(PROMPT)
        terminal.press("s")
        assert terminal.end() == 0
    row = decided(job)
    assert (row["status"], row["resolved_by"]) == ("skipped", "user")
    assert row["error"]["message"].startswith("given up (by the user)")
    assert row["evidence"]["who"]
    assert desk.made("tool.create") == ["t0"]


@pytest.mark.parametrize("keys", ["", "x", "\x04"])
def test_anything_else_holds_it(desk_at: Callable[..., Desk], keys: str) -> None:
    """Enter, another word, or the end of input: it is held, and nothing is sent."""
    desk = desk_at(faults=lost("tool.create", 1))
    job = desk.job([tool(0)])
    with at_a_terminal(desk, job) as terminal:
        terminal.expect(PROMPT)
        terminal.press(keys)
        assert terminal.end() == 6
    assert doubts_of(job)[0]["id"] == "t0"
    assert desk.made("tool.create") == ["t0"]


def test_an_id_that_cannot_be_is_refused_and_asked_for_again(desk_at: Callable[..., Desk]) -> None:
    """One that another line has made, and what is no id at all; then the right one is taken."""
    desk = desk_at(faults=lost("tool.create", 2))
    job = desk.job([tool(0), tool(1)])
    with at_a_terminal(desk, job, "-j", 1) as terminal:
        terminal.expect(PROMPT)
        first, second = of_tools(desk)
        terminal.press(f"a {first}")
        refused = f"{first} was made by t0 (line 1); two operations cannot have made the same"
        assert refused in terminal.expect(PROMPT)
        terminal.press("a ../x")
        assert "'../x' is no id" in terminal.expect(PROMPT)
        terminal.press(f"a {second}")
        assert terminal.end() == 0
    assert [row["result"]["tool_id"] for row in results(job)] == [first, second]
    assert desk.made("tool.create") == ["t0", "t1"]


def test_questions_come_one_at_a_time(desk_at: Callable[..., Desk]) -> None:
    """Of several in doubt each is answered for itself, however many are under way."""
    desk = desk_at(faults=lost("tool.create", 2, 3, 4))
    job = desk.job([tool(0), tool(1), tool(2), tool(3)])
    answers = {"t1": "s", "t2": "r", "t3": "x"}
    with at_a_terminal(desk, job, "-j", 3) as terminal:
        for _ in answers:
            asked = terminal.expect(PROMPT)
            until(lambda: desk.sent >= 4)
            [name] = [name for name in answers if f"{name} is in doubt" in asked]
            terminal.press(answers[name])
        assert terminal.end() == 6
    assert states(job) == {"t0": "done", "t1": "skipped", "t2": "done", "t3": "in_doubt"}


def test_what_the_listing_cannot_tell_is_asked_too(desk_at: Callable[..., Desk]) -> None:
    """Two agents that somebody else has made as well: asked for both, while nothing else is left to do."""
    strangers = [{"endpoint": "agent.create", "nth": 1, "fault": "stranger", "names": ["Agent 1", "Agent 2"]}]
    desk = desk_at(faults=[*strangers, *lost("agent.create", 2, 3)])
    job = desk.job(agents(3))
    with at_a_terminal(desk, job, "-j", 1, *SOON) as terminal:
        ids: dict[str, str] = {}
        for before in (1, 2):
            asked = terminal.expect(PROMPT)
            # What was decided before is carried out while the next question waits.
            until(partial(_are_done, job, before))
            number = 1 if "a1 is in doubt" in asked else 2
            assert "somebody else makes them too" in asked
            ids[f"a{number}"] = desk.effects("agent.create")[number - 3].id
            assert f"it could be {ids[f'a{number}']}" in asked
            terminal.press(f"a {ids[f'a{number}']}")
        assert terminal.end() == 0
    rows = {row["id"]: row for row in results(job)}
    assert {name: rows[name]["result"]["agent_id"] for name in ids} == ids
    assert sorted(desk.made()) == ["Agent 0", "Agent 1", "Agent 1", "Agent 2", "Agent 2"]


def test_ctrl_c_takes_the_question_back(desk_at: Callable[..., Desk]) -> None:
    """A run that is interrupted at a question ends at once; what it asked about is held."""
    desk = desk_at(faults=lost("tool.create", 1))
    job = desk.job([tool(0)])
    with at_a_terminal(desk, job, "--drain", 60) as terminal:
        terminal.expect(PROMPT)
        began = time.monotonic()
        terminal.interrupt()
        assert terminal.end() == 130
        assert time.monotonic() - began < LONGEST / 2
    assert states(job) == {"t0": "in_doubt"}


def test_a_run_that_is_ended_at_a_question_about_a_listed_thing_holds_it(
    desk_at: Callable[..., Desk],
) -> None:
    """Ctrl-C while the user is asked about an agent: it is held, stands in `in_doubt.jsonl`, and can be settled."""
    faults = [*lost("agent.create", 1), {"endpoint": "agent.list", "fault": "error_before", "status": 404}]
    desk = desk_at(faults=faults)
    job = desk.job(agents(1))
    with at_a_terminal(desk, job) as terminal:
        terminal.expect(PROMPT)
        terminal.interrupt()
        assert terminal.end() == 130
    assert states(job) == {"a0": "in_doubt"}
    assert [doubt["id"] for doubt in doubts_of(job)] == ["a0"]
    assert desk.bulkops("resolve", job, "a0", "--skip").code == 0
    assert len(desk.effects("agent.create")) == 1
