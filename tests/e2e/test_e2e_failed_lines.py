"""The lines that failed: read them, mend them where they stand, run them from there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.e2e.e2e_commands import agent, check_ending, run_folder, states, table

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk, Ended

HEADER = {"$job": {"name": "mending", "defaults": {"tool.create": {"body": {"method": "POST"}}}}}
WITH_ID = {"op": "agent.update", "id": "u", "agent_id": "agent_wrong", "body": {"name": "Updated"}}
WITHOUT_ID = {"op": "agent.clone", "agent_id": "agent_wrong", "name": "Copy"}


def mend(job: Path, **changes: Any) -> Path:
    """Edit every line of the failed file, as a person would."""
    failed = run_folder(job) / "failed.jsonl"
    lines = [{**line, **changes} for line in table(failed)]
    failed.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return failed


def broken_run(desk: Desk) -> tuple[Path, Ended]:
    """Run a job of which two lines fail, one of them without an id."""
    job = desk.job([HEADER, agent(0), WITH_ID, WITHOUT_ID, agent(1, needs=["u"])])
    return job, desk.run(job)


def test_failed_lines_are_mended_where_they_stand(desk: Desk) -> None:
    """Lines mended in failed.jsonl are run from there; then retrying the job sends nothing and ends with 0."""
    job, ended = broken_run(desk)
    assert ended.code == 3
    assert check_ending(job, ended)["operations"]["blocked"] == 1
    failed = mend(job, agent_id="${ref:a0#agent_id}")
    assert len(table(failed)) == 3
    # The blocked line was not to be mended.
    text = failed.read_text().splitlines()
    text[2] = json.dumps(agent(1, needs=["u"]))
    failed.write_text("\n".join(text) + "\n")

    mended = desk.run(failed)
    assert mended.code == 0, mended.err
    assert "done 3 of 3" in mended.last
    sent = desk.sent
    again = desk.retry(job)
    assert (again.code, desk.sent) == (0, sent), again.err
    assert sorted(desk.made()) == ["Agent 0", "Agent 1", "Copy"]
    assert desk.made("agent.update") == ["Updated"]
    assert states(job)["u"] == "done"
    assert [row["line"] for row in table(run_folder(job) / "results.jsonl")] == [2, 3, 4, 5]


def test_failed_lines_use_the_header_of_their_job(desk: Desk) -> None:
    """What the header of the job says once holds for lines that are run from failed.jsonl."""
    tool = {"op": "tool.create", "id": "t", "body": {"name": "T", "url": "nowhere"}}
    job = desk.job([HEADER, tool])
    assert desk.run(job).code == 3
    failed = mend(job, body={"name": "T", "url": "https://example.com/x"})
    assert "method" not in failed.read_text()
    ended = desk.run(failed)
    assert ended.code == 0, ended.err
    assert desk.made("tool.create") == ["T"]


def test_unmended_failed_lines_fail_again(desk: Desk) -> None:
    """Running failed.jsonl as it is sends nothing; retry does it again, and what was made stays made."""
    job, _ = broken_run(desk)
    sent = desk.sent
    assert desk.run(run_folder(job) / "failed.jsonl").code == 3
    assert desk.sent >= sent
    ended = desk.retry(job)
    assert ended.code == 3
    check_ending(job, ended)
    assert desk.made() == ["Agent 0"]


def test_the_job_goes_on_after_its_failed_lines(desk: Desk) -> None:
    """Running failed.jsonl does nothing else of its job; a line appended to the job is done by the job's next run."""
    job, _ = broken_run(desk)
    failed = mend(job, agent_id="${ref:a0#agent_id}")
    failed.write_text("".join(f"{line}\n" for line in failed.read_text().splitlines()[:2]))
    with job.open("a") as file:
        file.write(json.dumps(agent(7)) + "\n")
    desk.run(failed)
    assert "Agent 7" not in desk.made()
    # The blocked line was taken out of the failed file; retrying the job does it.
    ended = desk.retry(job, "--changed", "keep")
    assert ended.code == 0, ended.err
    assert sorted(desk.made()) == ["Agent 0", "Agent 1", "Agent 7", "Copy"]


def test_failed_lines_of_a_folder_that_moved(desk: Desk) -> None:
    """A job that was moved together with its run folder is still found from failed.jsonl."""
    job, _ = broken_run(desk)
    there = desk.folder / "there"
    there.mkdir()
    run_folder(job).rename(there / "job.run")
    job = job.rename(there / "job.jsonl")
    failed = mend(job, agent_id="${ref:a0#agent_id}", op="agent.update", body={"name": "B"})
    lines = [line for line in table(failed) if line["id"] == "u"]
    failed.write_text(json.dumps(lines[0]) + "\n")
    assert desk.run(failed).code in (0, 3)
    assert desk.made("agent.update") == ["B"]


def test_failed_lines_without_their_job(desk: Desk) -> None:
    """Failed lines whose job is gone are refused with the name of the job."""
    job, _ = broken_run(desk)
    job.unlink()
    sent = desk.sent
    ended = desk.run(run_folder(job) / "failed.jsonl")
    assert (ended.code, desk.sent) == (2, sent)
    assert "put it back" in ended.err
    assert str(job) in ended.err


def test_a_stopped_run_of_failed_lines_keeps_the_corrections(desk: Desk) -> None:
    """Stopped after it began to send, a run of failed.jsonl leaves the file as it was mended; the next one ends it."""
    wrong = [{**agent(number), "op": "agent.update", "agent_id": "agent_wrong"} for number in range(3)]
    job = desk.job(wrong)
    assert desk.run(job).code == 3
    failed = run_folder(job) / "failed.jsonl"
    still_wrong = failed.read_text().splitlines()[1].replace("agent_wrong", "agent_wrong_too")
    first, second, third = (json.dumps(agent(number)) for number in range(3))
    mended = f"{first}\n{still_wrong}\n{third}\n"
    failed.write_text(mended)

    stopped = desk.run(failed, "-j", "1", "--halt", "fail=1")
    assert stopped.code == 5, stopped.err
    assert desk.made() == ["Agent 0"]
    assert failed.read_text() == mended
    failed.write_text(f"{first}\n{second}\n{third}\n")
    ended = desk.run(failed)
    assert ended.code == 0, ended.err
    assert sorted(desk.made()) == ["Agent 0", "Agent 1", "Agent 2"]
