"""What the header says once, and what is given for a run: used by every line, also when it is another next time."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.e2e_commands import (
    agent,
    check_ending,
    end_of,
    interrupt,
    run_folder,
    states,
    summary,
    table,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.e2e_commands import Desk

VARS = {"$job": {"vars": {"who": "Ann", "n": 2, "target": None}}}
READ = {"op": "agent.get", "id": "get", "agent_id": "${var:target}"}


def named(number: int) -> dict[str, Any]:
    """Return a line that creates an agent with a var in its name."""
    return agent(number, body={"name": "${var:who} " + str(number), "conversation_config": {}})


def test_vars_of_the_header_and_of_the_command(desk: Desk) -> None:
    """A var stands in the lines with the header's value, or with that of the command, which keeps its type."""
    clone = {
        "op": "agent.clone",
        "agent_id": "${ref:a0#agent_id}",
        "name": "${var:who}'s",
        "copies": "${var:n}",
    }
    job = desk.job([VARS, named(0), clone])
    ended = desk.run(job, "--var", "target=x", "--var", "n=3", "--var", "who=Eve", "--var", "who=Bob")
    assert ended.code == 0, ended.err
    assert desk.made() == ["Bob 0", *["Bob's"] * 3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "job.jsonl, line 1: `$job.vars.target` has no value; give it one here, or with --var target=…"),
        ("--var targt=x", "--var targt: the job's header declares no such var; did you mean `target`?"),
        ("--var target=x --var n=many", "--var n: has to be a number, as in the header, and 'many' is not"),
        ("--var n", "--var takes NAME=VALUE, with letters, digits and _ in the name, not 'n'"),
        ("--var n-1=2", "not 'n-1=2'"),
    ],
)
def test_vars_that_are_wrong_are_refused(desk: Desk, words: str, message: str) -> None:
    """Before anything is sent, by every command that reads the job: exit code 2, and what to write instead."""
    job = desk.job([VARS, named(0)])
    assert desk.run(job, "--var", "target=x", "-n").code == 0
    for verb in ("run", "plan", "retry"):
        ended = desk.bulkops(verb, job, *shlex.split(words))
        assert (ended.code, desk.sent) == (2, 0), ended.err
        assert message in ended.err


def test_the_key_is_no_value_of_a_var(desk: Desk) -> None:
    """The key is refused as a value, unshown, and the variable that holds it is refused in the header."""
    job = desk.job([VARS, named(0)])
    ended = desk.run(job, "--var", f"target={desk.env['ELEVENLABS_API_KEY']}")
    assert ended.code == 2
    assert "holds the API key" in ended.err
    job = desk.job([{"$job": {"vars": {"who": "${env:ELEVENLABS_API_KEY}"}}}, named(0)])
    assert desk.run(job).code == 2
    assert desk.sent == 0


def test_another_value_counts_for_what_is_not_done(desk: Desk) -> None:
    """What is done is not done again when a var changes; what failed takes the new value when it is retried."""
    job = desk.job([VARS, named(0), READ])
    first = desk.run(job, "--var", "target=agent_wrong")
    assert first.code == 3, first.err
    assert states(job) == {"a0": "done", "get": "failed"}
    made = desk.effects("agent.create")[0].id
    sent = desk.sent
    # It failed as it stands in the file, so that running the job leaves it.
    again = desk.run(job, "--var", f"target={made}", "--var", "who=Bob")
    assert (again.code, desk.sent) == (3, sent), again.err
    retried = desk.retry(job, "--var", f"target={made}", "--var", "who=Bob")
    assert retried.code == 0, retried.err
    assert desk.made() == ["Ann 0"]
    check_ending(job, retried)


def test_another_value_after_an_interruption(desk_at: Callable[..., Desk]) -> None:
    """A run that goes on with another value does what is left with it, and nothing twice."""
    desk = desk_at(latency=0.02)
    job = desk.job([{"$job": {"vars": {"who": "Ann"}}}, *map(named, range(60))])
    with desk.start("run", job, *desk.target, "-j", 2) as running:
        until(lambda: len(desk.made()) > 5)
        assert interrupt(running).code == 130
    ended = desk.run(job, "--var", "who=Bob")
    assert ended.code == 0, ended.err
    made = [name.split() for name in desk.made()]
    assert sorted(int(number) for _, number in made) == list(range(60))
    assert {who for who, _ in made} == {"Ann", "Bob"}


def test_what_is_in_doubt_keeps_what_was_sent(desk_at: Callable[..., Desk]) -> None:
    """An agent whose answer never came is not looked for, or made, under another name; with the same value it is."""
    desk = desk_at([{"endpoint": "agent.create", "nth": 1, "fault": "silent", "seconds": 60}])
    job = desk.job([{"$job": {"vars": {"who": "Ann"}}}, named(0)])
    with desk.start("run", job, *desk.target) as running:
        until(lambda: desk.sent > 0)
        running.kill()
        end_of(running)
    held = desk.run(job, "--var", "who=Bob")
    assert held.code == 6, held.err
    [doubt] = table(run_folder(job) / "in_doubt.jsonl")
    assert "its line, or what fills it in, was edited since" in json.dumps(doubt)
    assert desk.run(job, "--settle", "1s").code == 0
    assert desk.made() == ["Ann 0"]


def test_rows_are_made_of_templates_and_vars(desk: Desk) -> None:
    """The line of an `$each` uses templates and vars like any other, and a row may name its template."""
    (desk.folder / "rows.csv").write_text("slug,kind\noslo,office\nrome,${var:who}\n")
    said = {"vars": {"who": "Ann"}, "templates": {"office": {"op": "agent.create", "tags": ["o"]}}}
    body = {"name": "${var:who} ${row:slug} ${row:kind}", "conversation_config": {}}
    line = {"use": "${row:kind}", "id": "${row:slug}", "body": body}
    job = desk.job([{"$job": said}, {"$each": {"csv": "rows.csv"}, "line": line}])
    wrong = desk.run(job)
    assert wrong.code == 2
    assert "line 2: `line.use` names '${var:who}', which is no template; known are office (row 2" in wrong.err
    job = desk.job([{"$job": said}, {"$each": {"csv": "rows.csv"}, "line": line | {"use": ["office"]}}])
    ended = desk.run(job, "--var", "who=Bob")
    assert ended.code == 0, ended.err
    assert sorted(desk.made()) == ["Bob oslo office", "Bob rome ${var:who}"]


def test_templates_are_used_also_by_failed_lines(desk: Desk) -> None:
    """Lines have what their templates say; mended in failed.jsonl and run from there, they still have it."""
    said = {
        "templates": {
            "tool": {"op": "tool.create", "body": {"method": "POST", "url": "nowhere"}, "tags": ["t"]}
        }
    }
    line = {"use": "tool", "id": "t", "body": {"name": "T"}}
    job = desk.job(
        [{"$job": said}, line, {**line, "id": "u", "body": {"name": "U", "url": "https://u.example"}}]
    )
    assert desk.run(job).code == 3
    assert states(job) == {"t": "failed", "u": "done"}
    failed = run_folder(job) / "failed.jsonl"
    assert json.loads(failed.read_text()) == line
    failed.write_text(json.dumps({**line, "body": {"name": "T", "url": "https://t.example"}}) + "\n")
    ended = desk.run(failed)
    assert ended.code == 0, ended.err
    assert desk.made("tool.create") == ["U", "T"]


def test_lines_of_a_part_know_the_templates_of_those_they_wait_for(desk: Desk) -> None:
    """How many operations a line of the job has counts in failed.jsonl too, where a template says it."""
    said = {"templates": {"two": {"op": "agent.clone", "copies": 2}}, "vars": {"target": "agent_wrong"}}
    clones = {"use": "two", "id": "c", "agent_id": "${ref:a#agent_id}"}
    waits = {"op": "agent.update", "id": "u", "agent_id": "${ref:c[2]#agent_id}", "body": {"name": 3}}
    job = desk.job([{"$job": said}, agent("", id="a"), clones, waits])
    assert desk.run(job).code == 3
    failed = run_folder(job) / "failed.jsonl"
    failed.write_text(failed.read_text().replace("3", '"Second"'))
    ended = desk.run(failed)
    assert ended.code == 0, ended.err
    assert desk.made("agent.update") == ["Second"]


def test_a_changed_header_counts_for_what_is_not_done(desk: Desk) -> None:
    """What is done is not done again when its template changes; what failed is, as the header says it by then."""
    line = {"use": "made", "id": "m", "body": {"name": "M"}}
    wrong = {**line, "id": "w", "use": ["made", "broken"]}

    def header(url: str) -> dict[str, Any]:
        made = {"op": "tool.create", "body": {"method": "GET", "url": "https://m.example"}}
        return {"$job": {"templates": {"made": made, "broken": {"body": {"url": url}}}}}

    job = desk.job([header("nowhere"), line, wrong])
    assert desk.run(job).code == 3
    assert states(job) == {"m": "done", "w": "failed"}
    job = desk.job([header("https://w.example"), line, wrong])
    ended = desk.retry(job)
    assert ended.code == 0, ended.err
    assert desk.made("tool.create") == ["M", "M"]


def test_a_header_file_for_jobs_that_tools_write(desk: Desk) -> None:
    """Lines of mere data have what a header file says; it is repeated by the command that continues, and needed."""
    read = {"op": "agent.get", "agent_id": "${var:target}"}
    said = {"vars": {"target": "agent_wrong"}, "templates": {"m": {"op": "agent.create"}, "r": read}}
    common = desk.folder / "common.json"
    common.write_text(json.dumps({"$job": said}, indent=2))
    job = desk.job(
        [{"use": "m", "id": "m", "body": {"name": "M", "conversation_config": {}}}, {"use": "r", "id": "r"}]
    )
    ended = desk.run(job, "--header", "common.json")
    assert ended.code == 3, ended.err
    assert "--header common.json" in ended.last
    made = desk.effects("agent.create")[0].id
    again = desk.bulkops(*shlex.split(summary(job)["next"])[1:], "--var", f"target={made}")
    assert again.code == 0, again.err
    assert desk.made() == ["M"]
    without = desk.run(job)
    assert without.code == 2
    assert "job.jsonl, line 1: `use` names 'm', which is no template; the header has none" in without.err
    common.write_text('{"$job": {"base_url": "https://evil.example"}}')
    refused = desk.run(job, "--header", "common.json")
    assert refused.code == 2
    assert "common.json: `$job.base_url` cannot stand in a job file" in refused.err


def test_the_command_that_continues_repeats_the_vars(desk: Desk) -> None:
    """The last line names every var that was given, quoted on one line as a shell takes it."""
    job = desk.job([VARS, READ])
    ended = desk.run(job, "--var", "target=agent_wrong", "--var", "who=Ann's\n\x1b[2J")
    assert ended.code == 3
    assert r"--var target=agent_wrong --var $'who=Ann\'s\x0a\x1b[2J'" in ended.last
    assert ended.last.isprintable()
    assert summary(job)["next"] in ended.last


def test_failed_lines_use_the_vars_of_their_job(desk: Desk) -> None:
    """Lines that are run from failed.jsonl see the vars of their job's header, and those of the command."""
    job = desk.job(
        [VARS, named(0), READ, {"op": "agent.update", "id": "u", "agent_id": "x", "body": {"name": "U"}}]
    )
    assert desk.run(job, "--var", "target=agent_wrong").code == 3
    failed = run_folder(job) / "failed.jsonl"
    failed.write_text(
        failed.read_text().replace('"x"', '"${var:target}"').replace('"get"', '"get","meta":{}')
    )
    assert desk.run(failed).code == 2
    made = desk.effects("agent.create")[0].id
    ended = desk.run(failed, "--var", f"target={made}")
    assert ended.code in (0, 3), ended.err
    assert states(job) == {"a0": "done", "get": "done", "u": "done"}, ended.err
