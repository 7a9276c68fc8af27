"""The command that continues: what it repeats of the one before, and what it leaves out."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from bulkops.cli.options import AGAIN, ONCE, VERBS
from tests.e2e.e2e_commands import agents, summary

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk

MISSING = {"op": "agent.get", "id": "g", "agent_id": "agent_nope"}


def told(job: Path) -> list[str]:
    """Return the words of the command that continues, after the job."""
    words = shlex.split(summary(job)["next"])
    return words[words.index(str(job)) + 1 :]


def test_the_next_run_takes_no_more_than_this_one(desk: Desk) -> None:
    """What leaves others their part, what bounds a run and what may be uploaded is repeated; how it tells is not."""
    assert desk.server is not None
    job = desk.job([*agents(2), MISSING])
    kept = {
        "--base-url": desk.server.base_url,
        "--rate": "1000000/min",
        "--reserve": "20%",
        "--exclusive": None,
        "--jobs": "4",
        "--poll-share": "25%",
        "--upload-root": str(desk.folder),
        "--halt": "fail=3",
        "--max-requests": "9",
        "--max-duration": "5400",
        "--drain": "7.5",
        "--settle": "90",
        "--timeout": "20",
        "--in-doubt": "skip",
    }
    words = [word for flag, value in kept.items() for word in (flag, value) if word is not None]
    told_only = ("--log-file", "log", "--metrics", "m.prom", "--lock-wait", "1s", "--another-key", "--json")
    ended = desk.bulkops("run", job, *words, *told_only)
    assert ended.code == 3, ended.err
    assert told(job) == [*words[:-2], "--in-doubt=skip"]
    again = desk.bulkops(*shlex.split(summary(job)["next"])[1:])
    assert again.code == 3
    assert told(job) == [*words[:-2], "--in-doubt=skip"]


@pytest.mark.parametrize("policy", ["retry", "skip,agent.create=retry"])
def test_what_may_be_there_twice_is_decided_anew(desk: Desk, policy: str) -> None:
    """A policy that sends again what is in doubt is meant for one run: the next one asks the API, as is usual."""
    job = desk.job([MISSING])
    assert desk.run(job, "--in-doubt", policy).code == 3
    assert not [word for word in told(job) if "in-doubt" in word]


def test_the_real_run_is_as_careful_as_its_rehearsal(desk: Desk) -> None:
    """After a rehearsal the real run keeps reserve and bounds, but is not pointed at the server that is gone."""
    job = desk.job(agents(2))
    ended = desk.bulkops("run", job, "--emulate", "--reserve", "20%", "--time-scale", 20, "--settle", "60s")
    assert ended.code == 0, ended.err
    assert ended.last.endswith(f"For real: bulkops run {job} --reserve 20%")


def test_every_option_is_either_repeated_or_not() -> None:
    """A new option of a run has to be put with those that are repeated, or with those for once."""
    assert {option.name for option in VERBS["run"].options} == {option.name for option in (*AGAIN, *ONCE)}
    assert not {option.name for option in AGAIN} & {option.name for option in ONCE}
