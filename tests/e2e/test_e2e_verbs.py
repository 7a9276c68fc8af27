"""The other commands, and what all have in common: help, options, environment."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyarrow import parquet

from bulkops.cli.options import VERBS
from bulkops.operations import KINDS
from tests.e2e.e2e_commands import FAST, agent, agents, check_ending, run_folder, summary, table

if TYPE_CHECKING:
    from tests.e2e.e2e_commands import Desk


def test_plan_says_what_would_happen(lone_desk: Desk) -> None:
    """A plan counts operations, requests and bytes, gives the time at the tier, needs no key and sends nothing."""
    (lone_desk.folder / "a.txt").write_text("x" * 2500)
    copies = {"op": "agent.clone", "agent_id": "agent_gold", "name": "C ${copy}", "copies": 100}
    upload = {"op": "document.upload", "file": "a.txt", "index": {"model": "m"}}
    job = lone_desk.job([{"$job": {"name": "x", "about": "What it is for"}}, copies, upload, *agents(10)])
    ended = lone_desk.bulkops("plan", job, env={"ELEVENLABS_API_KEY": ""})
    assert ended.code == 0, ended.err
    assert ended.err == ""
    assert "111 operations; nothing was sent" in ended.out
    assert "What it is for" in ended.out
    assert "2.5 KB to upload" in ended.out
    assert "at 100 requests in 60 s (default): about 1 min" in ended.out
    (told,) = lone_desk.bulkops("plan", job, "--json", "--tier", "pro").rows
    assert told["by_kind"]["agent.clone"] == {"lines": 1, "total": 100, "left": 100, "requests": 101}
    assert 110 <= told["requests"] <= 115
    assert told["polls"] > 0
    assert told["upload_bytes"] == 2500
    assert told["limit"] == {"requests": 500, "seconds": 60.0, "source": "flag"}
    assert not run_folder(job).exists()


def test_plan_says_what_a_reserve_leaves(lone_desk: Desk) -> None:
    """With a reserve the plan tells both: what this run may send, and of what."""
    ended = lone_desk.bulkops("plan", lone_desk.job(agents(60)), "--reserve", "80%")
    assert "at 20 of 100 requests in 60 s (default, less a reserve of 80 %): about 2 min 5" in ended.out


def test_one_of_a_thing_is_told_as_one(lone_desk: Desk) -> None:
    """A plan of one operation at one request a minute has no plural."""
    (lone_desk.folder / "a.txt").write_text("x")
    upload = {"op": "document.upload", "file": "a.txt", "index": {"model": "m"}}
    job = lone_desk.job([upload])
    said = lone_desk.bulkops("plan", job, "--rate", "1/min").out
    assert "1 line, 1 operation; nothing was sent" in said
    assert "to send: 2 requests and about 1 look (1 to 2) at what is awaited" in said
    assert "at 1 request in 60 s (flag)" in said


def test_plan_says_what_is_left(desk: Desk) -> None:
    """The plan of a job that was run in part counts what is left."""
    job = desk.job(agents(3))
    desk.run(job)
    desk.job(agents(5))
    (told,) = desk.bulkops("plan", job, "--json").rows
    assert (told["operations"]["left"], told["operations"]["done"], told["requests"]) == (2, 3, 2)


@pytest.mark.parametrize(
    "words",
    [
        ("plan",),
        ("run", "--dry-run"),
        ("status",),
        ("results",),
        ("kinds",),
        ("schema", "--job"),
        ("--help",),
    ],
)
def test_commands_that_send_nothing_load_no_http(lone_desk: Desk, words: tuple[str, ...]) -> None:
    """Commands that send nothing import no HTTP, no TLS and no event loop."""
    job = lone_desk.job(agents(2))
    arguments = [*words, *([] if words[0] in {"kinds", "--help"} else [str(job)])]
    code = (
        "import sys\n"
        "from bulkops.cli import main\n"
        f"main({arguments!r})\n"
        "heavy = {'ssl', '_ssl', 'httpx', 'aiohttp', 'asyncio', 'anyio', 'tqdm'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {sorted(heavy)}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=lone_desk.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_run_leaves_the_collector_as_it_was(desk: Desk) -> None:
    """Within somebody's own process the command gives the collector of cycles back as it was, with nothing frozen."""
    arguments = ["run", str(desk.job(agents(2))), *desk.target, "-q"]
    code = (
        "import gc, sys\n"
        "from bulkops.cli import main\n"
        "before = gc.get_threshold(), gc.get_freeze_count()\n"
        f"code = main({arguments!r})\n"
        "sys.exit(code or (gc.get_threshold(), gc.get_freeze_count()) != before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=desk.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_dry_run_sends_nothing(desk: Desk) -> None:
    """A dry run prints the plan, sends nothing and makes no run folder."""
    job = desk.job(agents(3))
    ended = desk.run(job, "--dry-run")
    assert ended.code == 0, ended.err
    assert "nothing was sent" in ended.out
    assert desk.sent == 0
    assert not run_folder(job).exists()
    assert desk.run(desk.job([{"op": "agent.get"}]), "--dry-run").code == 2


def test_results_for_programs(desk: Desk) -> None:
    """Results come as JSON lines or CSV, all or only what is not done, in line order, and only on stdout."""
    job = desk.job(
        [agent(0), {"op": "agent.get", "id": "g", "agent_id": "agent_nope"}, agent(1, meta={"k": "=1+1"})]
    )
    desk.run(job)
    whole = desk.bulkops("results", job)
    assert (whole.code, whole.err) == (0, "")
    assert [row["id"] for row in whole.rows] == ["a0", "g", "a1"]
    assert whole.out == (run_folder(job) / "results.jsonl").read_text()
    failed = desk.bulkops("results", job, "--failed")
    assert [row["id"] for row in failed.rows] == ["g"]
    cells = list(csv.DictReader(io.StringIO(desk.bulkops("results", job, "--format", "csv").out)))
    assert [row["status"] for row in cells] == ["done", "failed", "done"]
    assert cells[2]["meta.k"] == "'=1+1"
    chosen = desk.bulkops("results", job, "--format", "csv", "--select", "id,agent_id").out.splitlines()
    assert "agent_id" in chosen[0]
    assert len(chosen) == 4


def test_results_as_parquet(desk: Desk) -> None:
    """Results as Parquet have the columns of the CSV, with moments and numbers as such; nothing is left aside."""
    job = desk.job([agent(0), {"op": "agent.get", "id": "g", "agent_id": "agent_nope"}])
    desk.run(job)
    scratch = desk.folder / "scratch"
    scratch.mkdir()
    file = desk.folder / "results.parquet"
    with file.open("wb") as out:
        ended = desk.bulkops("results", job, "--format", "parquet", stdout=out, env={"TMPDIR": str(scratch)})
    assert (ended.code, ended.err) == (0, "")
    told = parquet.read_table(file)
    heads = next(csv.reader(io.StringIO(desk.bulkops("results", job, "--format", "csv").out)))
    assert told.column_names == heads
    first, second = told.to_pylist()
    [row, failed] = desk.bulkops("results", job).rows
    assert first["started_at"].isoformat(timespec="milliseconds")[:23] == row["started_at"][:23]
    assert (first["agent_id"], first["duration_ms"]) == (row["result"]["agent_id"], row["duration_ms"])
    assert (second["http_status"], second["error_message"]) == (404, failed["error"]["message"])
    assert list(scratch.iterdir()) == []


def test_results_into_head(desk: Desk) -> None:
    """A reader that has had enough of the results, or of the kinds, is no error and causes no traceback."""
    job = desk.job(agents(300, meta={"note": "x" * 500}))
    desk.run(job, "-q")
    for words in (("results", job), ("results", job, "--format", "csv"), ("kinds",), ("--help",)):
        reading, writing = os.pipe()
        os.close(reading)
        with desk.start(*words, stdout=writing) as process:
            os.close(writing)
            _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, ""), words


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_results_onto_a_full_disk(desk: Desk) -> None:
    """Output that cannot be written, little or much of it, ends with 74 and one line that says so."""
    job = desk.job(agents(300))
    assert desk.run(job).code == 0
    for words in (["results", job], ["status", job], ["kinds", "--json"]):
        with Path("/dev/full").open("w") as full:
            ended = desk.bulkops(*words, stdout=full)
        assert ended.code == 74, ended.err
        assert ended.err == (
            "bulkops: what it prints cannot be written: No space left on device. Print it elsewhere\n"
        )


def test_the_summary_for_programs(desk: Desk) -> None:
    """With --json the summary stands on stdout, alone: that of the run folder, but for what ledgers look for."""
    job = desk.job(agents(2))
    ended = desk.run(job, "--json")
    assert json.loads(ended.out) | {"belongs_to": summary(job)["belongs_to"]} == summary(job)
    check_ending(job, ended)


def test_kinds(lone_desk: Desk) -> None:
    """`kinds` tells every kind with fields and an example, for people and for programs; it names the nearest."""
    text = lone_desk.bulkops("kinds")
    assert text.code == 0
    for kind in KINDS:
        assert kind in text.out
    listed = json.loads(lone_desk.bulkops("kinds", "--json").out)
    assert {each["kind"] for each in listed} == set(KINDS)
    one = json.loads(lone_desk.bulkops("kinds", "document.upload", "--json").out)
    assert [each["kind"] for each in one] == ["document.upload"]
    assert {field["name"] for field in one[0]["fields"]} >= {"file", "name", "index"}
    wrong = lone_desk.bulkops("kinds", "document.uplaod")
    assert (wrong.code, wrong.out) == (2, "")
    assert "did you mean 'document.upload'?" in wrong.err


def test_schema(lone_desk: Desk) -> None:
    """`schema` prints the schema of all lines, of a kind's, or of a job's under its headers; it names the nearest."""
    whole = json.loads(lone_desk.bulkops("schema").out)
    assert whole["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(whole["$defs"]) > set(KINDS)
    one = json.loads(lone_desk.bulkops("schema", "agent.get").out)
    assert set(one["$defs"]) & set(KINDS) == {"agent.get"}
    job = lone_desk.job([{"$job": {"templates": {"own": {}}}}, {"op": "agent.list", "use": "given"}])
    (lone_desk.folder / "header.json").write_text(
        '{"$job": {"templates": {"given": {}}, "vars": {"v": null}}}'
    )
    own = json.loads(lone_desk.bulkops("schema", "agent.get", "--job", job, "--header", "header.json").out)
    assert own["$defs"]["marks"]["properties"]["use"]["anyOf"][0] == {"enum": ["given", "own"]}
    assert own["$defs"]["agent.get"]["else"] == {"required": ["op", "agent_id"]}
    alone = json.loads(lone_desk.bulkops("schema", "--header", "header.json").out)
    assert alone["$defs"]["marks"]["properties"]["use"]["anyOf"][0] == {"enum": ["given"]}
    for words, told in (
        (("agent.gte",), "did you mean 'agent.get'?"),
        (("--header", str(job)), "the header is not JSON"),
        (("--job", "missing.jsonl"), "there is no such file"),
    ):
        wrong = lone_desk.bulkops("schema", *words)
        assert (wrong.code, wrong.out) == (2, "")
        assert told in wrong.err


def test_a_job_from_a_folder(desk: Desk) -> None:
    """`new upload` lists the documents of a folder, odd names and sub folders included, and its job runs."""
    folder = desk.folder / "my docs"
    (folder / "sub").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    names = [
        "a.md",
        "sub/b.txt",
        "ünï cødé.md",
        "$(x) ${ref:a#b}.md",
        "@at.md",
        "#1 [x].md",
        "-q.md",
        "'\".md",
    ]
    for name in [*names, ".hidden/c.md", ".d.md"]:
        (folder / name).write_text(f"the text of {name}\n" * 40)
    (folder / "empty.md").write_text("")
    ended = desk.bulkops("new", "upload", folder, "--out", "my job.jsonl")
    assert ended.code == 0, ended.err
    assert ended.out == ""
    assert "8 documents" in ended.err
    assert "bulkops run 'my job.jsonl'" in ended.err
    lines = table(desk.folder / "my job.jsonl")
    assert {line["name"] for line in lines[1:]} >= {"a.md", "sub/b.txt", "ünï cødé.md"}
    ran = desk.run("my job.jsonl")
    assert ran.code == 0, ran.err
    assert sorted(desk.made("document.upload")) == sorted(names)
    assert len(desk.effects("document.index")) == 8
    assert "'my job.run/results.jsonl'" in ran.err or "my job.run/results.jsonl" in ran.err

    there = desk.bulkops("new", "upload", folder, "--out", "my job.jsonl")
    assert there.code == 2
    assert "--force" in there.err
    on_stdout = desk.bulkops("new", "upload", folder, "--include", "*.txt", "--no-index")
    assert [line.get("name") for line in on_stdout.rows[1:]] == ["sub/b.txt"]
    assert "defaults" not in on_stdout.rows[0]["$job"]


def test_folders_without_documents(lone_desk: Desk) -> None:
    """A folder that is none, or has no documents, is told."""
    (lone_desk.folder / "empty").mkdir()
    for folder, word in (("nowhere", "is not a folder"), ("empty", "has no documents")):
        ended = lone_desk.bulkops("new", "upload", folder, "--out", "job.jsonl")
        assert ended.code == 2
        assert word in ended.err
        assert not (lone_desk.folder / "job.jsonl").exists()


@pytest.mark.parametrize("verb", VERBS)
def test_help(lone_desk: Desk, verb: str) -> None:
    """Every command explains all its options on stdout and ends with 0."""
    ended = lone_desk.bulkops(verb, "--help")
    assert (ended.code, ended.err) == (0, "")
    for option in VERBS[verb].options:
        assert option.flags[-1] in ended.out
    assert max(map(len, ended.out.splitlines())) <= 110


def test_help_of_all(lone_desk: Desk) -> None:
    """The help lists every command and every exit code; without a command it is shown and the code is 2."""
    ended = lone_desk.bulkops("--help")
    assert ended.code == 0
    for word in (*VERBS, "0 all done", "74", "75", "130/143", "BULKOPS_", "ELEVENLABS_API_KEY"):
        assert word in ended.out
    assert lone_desk.bulkops().code == 2
    assert lone_desk.bulkops("--version").out.startswith("bulkops ")


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("rnu job.jsonl", "did you mean 'run'?"),
        ("run job.jsonl --dry-rnu", "did you mean '--dry-run'?"),
        ("run job.jsonl --haltt=3", "did you mean '--halt'?"),
        ("run", "JOB is missing"),
        ("run a b", "'b' is one argument too many"),
        ("run job.jsonl --rate", "--rate needs a value"),
        ("run job.jsonl -j many", "-j takes a whole number"),
        ("run job.jsonl -j 0", "-j takes a number from 1"),
        ("run job.jsonl --timeout 0", "--timeout takes a number greater than 0"),
        ("run job.jsonl --give-up-after nan", "--give-up-after takes a number"),
        ("run job.jsonl --time-scale 0", "--time-scale takes a number greater than 0"),
        ("run job.jsonl --halt lots", "fail=3%"),
        ("run job.jsonl --rate fast", "N/PERIOD"),
        ("run job.jsonl --tier gold", "standard"),
        ("run job.jsonl --api dead", "reference, live"),
        ("run job.jsonl --changed maybe", "keep, rerun"),
        ("run job.jsonl --quiet=1", "--quiet takes no value"),
        ("results job.jsonl --format cvs", "did you mean 'csv'?"),
        ("new uplaod folder", "there is no 'uplaod'; did you mean 'upload'?"),
        ("new --force upload folder", "say first what: upload, replace, clone, export, migrate"),
        ("new", "say first what: upload, replace, clone, export, migrate"),
        ("new upload", "FOLDER is missing: bulkops new upload FOLDER"),
        ("emulate --port 99999", "1 to 65535"),
        ("emulate --limit-algorithm gcar", "did you mean 'gcra'?"),
        ("emulate --limit-burst 3", "token-bucket"),
        ("emulate --foreign some%", "30/min"),
    ],
)
def test_usage_errors(lone_desk: Desk, command: str, word: str) -> None:
    """A call that cannot be meant ends with 2 and one line that names what was probably meant."""
    lone_desk.job(agents(1))
    ended = lone_desk.bulkops(*shlex.split(command))
    assert (ended.code, ended.out) == (2, ""), ended.err
    assert word in ended.err
    assert len(ended.err.splitlines()) == 1


def test_options_from_the_environment(desk: Desk) -> None:
    """Every option can come from its variable BULKOPS_…, and what is wrong there names the variable."""
    assert desk.server is not None
    job = desk.job(agents(1))
    env = {
        "BULKOPS_BASE_URL": desk.server.base_url,
        "BULKOPS_RATE": FAST[1],
        "BULKOPS_QUIET": "1",
        "BULKOPS_JOBS": "2",
    }
    ended = desk.bulkops("run", job, env={**env, "BULKOPS_RUN_DIR": "there"})
    assert (ended.code, ended.err) == (0, "")
    assert (desk.folder / "there" / "checkpoint.db").exists()
    for name, value in (("BULKOPS_JOBS", "x"), ("BULKOPS_QUIET", "maybe"), ("BULKOPS_CHANGED", "x")):
        wrong = desk.bulkops("run", job, env={name: value})
        assert wrong.code == 2
        assert name in wrong.err


def test_jobs_that_were_not_run(lone_desk: Desk) -> None:
    """Status and results of a job that was not run, or is not there, end with 2 and say which."""
    job = lone_desk.job(agents(1))
    for verb in ("status", "results"):
        ended = lone_desk.bulkops(verb, job)
        assert ended.code == 2
        assert "was not run yet" in ended.err
        missing = lone_desk.bulkops(verb, "missing.jsonl")
        assert missing.code == 2
        assert "there is no such file" in missing.err


def test_odd_names_of_jobs(desk: Desk) -> None:
    """The command that continues can be pasted into a shell, whatever the job is called."""
    name = "-my $(job) 'x'.jsonl"
    desk.job([agent(0), {"op": "agent.get", "id": "g", "agent_id": "agent_nope"}], name)
    ended = desk.run(f"./{name}")
    assert ended.code == 3
    command = ended.last.partition("Continue: ")[2]
    words = shlex.split(command)
    assert words[:2] == ["bulkops", "retry"]
    again = desk.bulkops(*words[1:])
    assert again.code == 3
    assert "1 request)" in again.last
