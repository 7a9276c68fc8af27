"""One line for many rows, end to end: run, continued after the rows were edited, mended, refused."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

from tests.e2e.e2e_commands import agent, check_ending, end_of, results, run_folder, states, table, until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk

BODY = {"name": "${row:name}", "conversation_config": {"agent": {"language": "en"}}}
LINE = {"op": "agent.create", "id": "t:${row:slug}", "body": BODY}
EACH = {"$each": {"csv": "tenants.csv"}, "line": LINE}


def tenants(desk: Desk, rows: Iterable[int]) -> None:
    """Write the rows of these numbers."""
    lines = [f"s{number},Tenant {number}" for number in rows]
    (desk.folder / "tenants.csv").write_text("\n".join(["slug,name", *lines, ""]), "utf-8")


def names(rows: Iterable[int]) -> list[str]:
    """Return the names of the tenants of these numbers."""
    return [f"Tenant {number}" for number in rows]


def test_rows_are_done_and_edited_rows_go_on(desk: Desk) -> None:
    """Rows put in anywhere later are done by the next run, and no row that was done is done again."""
    tenants(desk, [1, 3])
    job = desk.job(
        [{"$job": {"name": "n"}}, agent(0), EACH, {"op": "agent.get", "agent_id": "${ref:t:s3#agent_id}"}]
    )
    first = desk.run(job)
    assert first.code == 0, first.err
    check_ending(job, first)
    tenants(desk, [1, 2, 3, 4])
    sent = desk.sent
    again = desk.run(job)
    assert again.code == 0, again.err
    check_ending(job, again)
    assert desk.sent == sent + 2
    assert sorted(desk.made()) == ["Agent 0", *names([1, 2, 3, 4])]
    assert states(job) == dict.fromkeys(["a0", "t:s1", "t:s2", "t:s3", "t:s4"], "done")


def test_the_written_out_job_is_kept_for_its_owner(desk: Desk) -> None:
    """`lines.jsonl` holds the lines that the numbers in the results count, for the owner only, as long as rows are."""
    tenants(desk, [1, 2])
    job = desk.job([agent(0), EACH])
    assert desk.run(job).code == 0
    lines = run_folder(job) / "lines.jsonl"
    assert stat.S_IMODE(lines.stat().st_mode) == 0o600
    rows = table(lines)
    assert [rows[row["line"] - 1]["id"] for row in results(job)] == ["a0", "t:s1", "t:s2"]
    desk.job([agent(0), *({**LINE, "id": row["id"], "body": row["body"]} for row in rows[1:])])
    assert desk.run(job).code == 0
    assert not lines.exists()
    assert len(desk.made()) == 3


def test_a_killed_run_goes_on_row_by_row(desk: Desk) -> None:
    """After kill -9 in the midst of the rows nothing is made twice and nothing is left out."""
    tenants(desk, range(300))
    job = desk.job([EACH])
    with desk.start("run", job, *desk.target, "-j", "4") as process:
        until(lambda: len(desk.made()) > 40)
        process.kill()
        end_of(process)
    again = desk.run(job)
    assert again.code == 0, again.err
    check_ending(job, again)
    assert sorted(desk.made()) == sorted(names(range(300)))


def test_a_failed_row_is_mended_where_it_stands(desk: Desk) -> None:
    """A row that failed stands in failed.jsonl as a plain line; mended and run from there it is done for the job."""
    tenants(desk, [1, 2])
    update = {
        "op": "agent.update",
        "id": "u:${row:slug}",
        "agent_id": "wrong",
        "body": {"name": "${row:name}"},
    }
    job = desk.job([agent(0), {"$each": {"csv": "tenants.csv"}, "line": update}])
    assert desk.run(job).code == 3
    failed = run_folder(job) / "failed.jsonl"
    lines = table(failed)
    assert [line["id"] for line in lines] == ["u:s1", "u:s2"]
    failed.write_text(
        "".join(json.dumps({**line, "agent_id": "${ref:a0#agent_id}"}) + "\n" for line in lines)
    )
    mended = desk.run(failed)
    assert mended.code == 0, mended.err
    sent = desk.sent
    retried = desk.retry(job)
    assert (retried.code, desk.sent) == (0, sent), retried.err


def test_rows_clone_one_snapshot(desk: Desk) -> None:
    """What rows clone is read once for all of them, and once more when rows were added; the plan knows that."""
    tenants(desk, range(6))
    clone = {
        "op": "agent.clone",
        "id": "c:${row:slug}",
        "agent_id": "${ref:a0#agent_id}",
        "name": "${row:name}",
    }
    job = desk.job([agent(0), {"$each": {"csv": "tenants.csv"}, "line": clone}])

    def planned() -> int:
        return int(json.loads(desk.bulkops("plan", job, "--json").out)["requests"])

    assert planned() == 1 + 1 + 6
    ended = desk.run(job)
    assert (ended.code, desk.sent) == (0, 8), ended.err
    tenants(desk, range(8))
    assert planned() == 1 + 2
    assert (desk.run(job).code, desk.sent) == (0, 11)
    made = results(job)[1:]
    assert len({row["result"]["source"]["agent_id"] for row in made}) == 1


def test_rows_clone_several_agents(desk: Desk) -> None:
    """Rows that clone different agents have each of them read once."""
    ids = [row["result"]["agent_id"] for row in made_before(desk)]
    rows = "".join(f"{number},{ids[number % 2]}\n" for number in range(4))
    (desk.folder / "clones.csv").write_text(f"n,of\n{rows}", "utf-8")
    clone = {"op": "agent.clone", "id": "c:${row:n}", "agent_id": "${row:of}"}
    job = desk.job([{"$each": {"csv": "clones.csv"}, "line": clone}], "clones.jsonl")
    sent = desk.sent
    assert json.loads(desk.bulkops("plan", job, "--json").out)["requests"] == 6
    assert (desk.run(job).code, desk.sent) == (0, sent + 6)


def made_before(desk: Desk) -> list[dict[str, Any]]:
    """Make two agents; return their rows."""
    job = desk.job([agent(0), agent(1)], "before.jsonl")
    assert desk.run(job).code == 0
    return results(job)


def test_what_a_run_made_is_a_source(desk: Desk) -> None:
    """What one run tells of having made can be the rows of another job: here it is deleted again."""
    tenants(desk, range(3))
    assert desk.run(desk.job([EACH, {"op": "agent.list", "id": "l"}])).code == 0
    source = {"jsonl": "job.run/created.jsonl", "where": {"kind": "agent"}}
    line = {"op": "agent.delete", "id": "delete:${row:id}", "agent_id": "${row:id}"}
    ended = desk.run(desk.job([{"$each": source, "line": line}], "cleanup.jsonl"), "--yes")
    assert ended.code == 0, ended.err
    assert len(desk.effects("agent.delete")) == 3


def test_a_row_that_is_done_and_gone_is_told(desk: Desk) -> None:
    """A run is refused when a row is gone whose operation is done, until the user says to go on."""
    tenants(desk, [1, 2])
    job = desk.job([EACH])
    assert desk.run(job).code == 0
    tenants(desk, [2])
    sent = desk.sent
    refused = desk.run(job)
    assert refused.code == 2
    assert "(t:s1) was done and is not there any more" in refused.err
    assert desk.run(job, "--changed", "keep").code == 0
    assert desk.sent == sent


def test_bad_rows_are_refused_before_anything_is_sent(desk: Desk) -> None:
    """An id that two sources make, and rows that make no good line, are told with their rows; nothing is sent."""
    tenants(desk, [1, 2, 1])
    line: Any = {"op": "document.upload", "id": "d:${row:slug}", "file": "${row:name}.md"}
    job = desk.job([EACH, EACH, {"$each": {"csv": "tenants.csv"}, "line": line}])
    refused = desk.run(job)
    assert refused.code == 2
    assert "line 1: `line.id` 't:s1' is on line 1, row 1 of tenants.csv already" in refused.err
    assert "line 2: `line.id` 't:s2' is on line 1, row 2 of tenants.csv already" in refused.err
    assert "line 3: `line.file` names" in refused.err
    assert "(row 2 of tenants.csv)" in refused.err
    assert desk.sent == 0
    assert desk.bulkops("plan", job).code == 2


def test_a_plan_writes_nothing(desk: Desk) -> None:
    """`plan` counts the rows, and leaves no file behind."""
    tenants(desk, range(5))
    job = desk.job([EACH])
    before = sorted(desk.folder.rglob("*"))
    planned = desk.bulkops("plan", job, "--json")
    assert json.loads(planned.out)["operations"]["total"] == 5
    assert sorted(desk.folder.rglob("*")) == before


def test_a_file_of_the_user_is_not_written_over(desk: Desk) -> None:
    """A job or a source that is the very file into which a run writes its lines is refused, and stays."""
    tenants(desk, range(2))
    job = desk.job([EACH], "lines.jsonl")
    before = job.read_bytes()
    refused = desk.run(job, "--run-dir", desk.folder)
    assert refused.code == 2
    assert "lies where its run writes `lines.jsonl`; name another --run-dir" in refused.err
    source = desk.job([{"$each": {"jsonl": "lines.jsonl"}, "line": LINE}])
    assert "copy it to another place first" in desk.run(source, "--run-dir", desk.folder).err
    assert (job.read_bytes(), desk.sent) == (before, 0)


def test_many_rows_with_the_same_mistake(desk: Desk) -> None:
    """Of rows that are wrong in the same way some are told, and that others may be."""
    (desk.folder / "tenants.csv").write_text("slug,name\n" + "a b[],X\n" * 8, "utf-8")
    told = desk.bulkops("plan", desk.job([EACH])).err
    assert [told.count(f"(row {number} of tenants.csv)") for number in range(1, 9)] == [1] * 5 + [0] * 3
    assert "other rows may have the same (row 5 of tenants.csv)" in told


def test_no_rows(desk: Desk) -> None:
    """A job that has no rows says so, by the name of its source."""
    tenants(desk, [])
    assert "the job has no rows: there are none of tenants.csv" in desk.bulkops("plan", desk.job([EACH])).err


def test_no_room_for_the_rows(desk: Desk, tmp_path: Path) -> None:
    """Where the rows cannot be written out the run ends with 74 and says so; nothing is sent."""
    tenants(desk, range(5))
    job = desk.job([EACH])
    folder = run_folder(job)
    folder.mkdir(mode=0o700)
    (folder / "lines.jsonl").mkdir()
    ended = desk.run(job)
    assert (ended.code, desk.sent) == (74, 0), ended.err
    assert "lines of the job cannot be written" in ended.err
