"""Job files that `new` writes from a CSV file and from lists: what stands in them, and that they run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.e2e_commands import states, table

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk, Ended

CSV = """\
slug,name,conversation_config.agent.language,conversation_config.tts.voice_id,plan v1.2
acme,"Acme, Inc. ${env:HOME}",en,voice_1,gold
globex,Globex,de,voice_2,free
"""


def new(desk: Desk, *words: object) -> Ended:
    """Write a job file that is expected to be good."""
    ended = desk.bulkops("new", *words)
    assert ended.code == 0, ended.err
    return ended


def each(desk: Desk, *words: object) -> dict[str, Any]:
    """Return the one line beside the header that is written to stdout."""
    header, line = new(desk, *words).rows
    assert header["$job"]["about"]
    return dict(line)


def test_new_clones_for_rows(lone_desk: Desk) -> None:
    """Columns become id, name, settings and notes; the last line says what to do next, and a job file stays."""
    desk = lone_desk
    (desk.folder / "tenants.csv").write_text(CSV)
    words = ("new", "clone", "--from-csv", "tenants.csv", "--agent", "agent_1")
    ended = desk.bulkops(*words, "--out", "clones.jsonl")
    assert (ended.code, ended.out) == (0, "")
    assert ended.last.endswith("then: bulkops plan clones.jsonl && bulkops run clones.jsonl")
    _, line = table(desk.folder / "clones.jsonl")
    assert line == {
        "$each": {"csv": "tenants.csv"},
        "line": {
            "op": "agent.clone",
            "id": "${row:slug}",
            "agent_id": "agent_1",
            "name": "${row:name}",
            "set": {
                "conversation_config": {
                    "agent": {"language": "${row:conversation_config.agent.language}"},
                    "tts": {"voice_id": "${row:conversation_config.tts.voice_id}"},
                }
            },
            "meta": {"plan v1.2": "${row:plan v1.2}"},
        },
    }
    again = desk.bulkops(*words, "--out", "clones.jsonl")
    assert again.code == 2
    assert "give --force to replace it" in again.err


def test_what_new_clone_wrote_runs(desk: Desk) -> None:
    """The clones are there, with the names of their rows, whatever stands in these."""
    golden = desk.job(
        [{"op": "agent.create", "id": "g", "body": {"name": "G", "conversation_config": {}}}], "g.jsonl"
    )
    desk.run(golden)
    agent = json.loads((desk.folder / "g.run" / "results.jsonl").read_text())["result"]["agent_id"]
    (desk.folder / "tenants.csv").write_text(CSV)
    new(desk, "clone", "--from-csv", "tenants.csv", "--agent", agent, "--out", "clones.jsonl")
    ran = desk.run("clones.jsonl")
    assert ran.code == 0, ran.err
    assert states(desk.folder / "clones.jsonl") == {"acme": "done", "globex": "done"}
    assert set(desk.made()) == {"G", "Acme, Inc. ${env:HOME}", "Globex"}


def test_new_clone_takes_columns_by_name(lone_desk: Desk) -> None:
    """`--id` and `--name` choose columns; without a column of names there is no name, and without notes no meta."""
    (lone_desk.folder / "t.csv").write_text("a,b,c\n1,2,3\n")
    words = ("clone", "--from-csv", "t.csv", "--agent", "agent_1")
    assert each(lone_desk, *words, "--id", "b", "--name", "c")["line"] == {
        "op": "agent.clone",
        "id": "${row:b}",
        "agent_id": "agent_1",
        "name": "${row:c}",
        "meta": {"a": "${row:a}"},
    }
    assert "name" not in each(lone_desk, *words)["line"]
    (lone_desk.folder / "t.csv").write_text("a\n1\n")
    assert "meta" not in each(lone_desk, *words)["line"]


def test_new_sees_what_keeps_columns_apart(lone_desk: Desk) -> None:
    """A CSV file with semicolons, as spreadsheets write them, is read as it is, by the job as well."""
    (lone_desk.folder / "t.csv").write_text("slug;name\na;A, B\n")
    words = ("clone", "--from-csv", "t.csv", "--agent", "agent_1")
    assert each(lone_desk, *words)["$each"] == {"csv": "t.csv", "delimiter": ";"}
    new(lone_desk, *words, "--out", "job.jsonl")
    assert "1 operation;" in lone_desk.bulkops("plan", "job.jsonl").out


def test_new_names_rows_from_the_jobs_folder(lone_desk: Desk) -> None:
    """A file below the job file's folder is named from there, another one whole; both jobs can be planned."""
    for folder in ("here", "here/rows", "there"):
        (lone_desk.folder / folder).mkdir()
    path = lone_desk.folder / "here" / "rows" / "t.csv"
    path.write_text("a\nconv_1\n")
    for out, told in (("here/job.jsonl", "rows/t.csv"), ("there/job.jsonl", str(path))):
        new(lone_desk, "export", "--ids", "here/rows/t.csv", "--column", "a", "--out", out)
        assert table(lone_desk.folder / out)[1]["$each"] == {"csv": told}
        assert "1 operation;" in lone_desk.bulkops("plan", out).out


def test_new_exports_a_list(desk: Desk) -> None:
    """Ids on lines become a line each, but none twice; the job exports them."""
    (desk.folder / "ids.txt").write_bytes(
        b"\xef\xbb\xbfconv_seed_0001\r\n\nconv_seed_0002 \nconv_seed_0001\n"
    )
    ended = new(desk, "export", "--ids", "ids.txt", "--out", "calls.jsonl")
    assert "calls.jsonl: 2 conversations." in ended.err
    assert desk.run("calls.jsonl").code == 0
    assert set(states(desk.folder / "calls.jsonl")) == {"conv_seed_0001", "conv_seed_0002"}
    assert len(list((desk.folder / "calls.run" / "transcripts").iterdir())) == 2


def test_new_exports_rows(lone_desk: Desk) -> None:
    """Ids in a column, or in a field however deep, stay in their file, and the job goes over it."""
    (lone_desk.folder / "calls.csv").write_text("when,id\n1,conv_1\n2,conv_2\n")
    (lone_desk.folder / "calls.jsonl").write_text('{"call": {"id": "conv_1"}}\n{"call": {"id": "conv_2"}}\n')
    for ids, option, name in (("calls.csv", "--column", "id"), ("calls.jsonl", "--field", "call.id")):
        words = ("export", "--ids", ids, option, name)
        value = f"${{row:{name}}}"
        assert each(lone_desk, *words)["line"] == {
            "op": "conversation.export",
            "id": value,
            "conversation_id": value,
        }
        new(lone_desk, *words, "--out", "job.jsonl", "--force")
        assert "2 operations;" in lone_desk.bulkops("plan", "job.jsonl").out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("clone --agent agent_1", "--from-csv is missing: --from-csv FILE"),
        ("clone --from-csv t.csv", "--agent is missing: --agent ID"),
        ("clone --from-csv missing.csv --agent agent_1", "missing.csv: there is no such file"),
        ("clone --from-csv empty.csv --agent agent_1", "the file is empty"),
        ("clone --from-csv t.csv --agent agent/1", "'agent/1' is no id of an agent"),
        (
            "clone --from-csv t.csv --agent agent_1 --id slgu",
            "there is no column 'slgu'; did you mean `slug`?",
        ),
        ("clone --from-csv t.csv --agent agent_1 --name nmae", "did you mean `name`?"),
        ("clone --from-csv braces.csv --agent agent_1", "'{a}' cannot be named"),
        ("clone --from-csv within.csv --agent agent_1", "stands within another column"),
        ("clone --from-csv over.csv --agent agent_1", "another column stands within"),
        ("export", "--ids is missing: --ids FILE"),
        ("export --ids missing.txt", "missing.txt: there is no such file"),
        ("export --ids empty.csv", "empty.csv has no ids"),
        ("export --ids t.csv", "t.csv, line 1: 'slug,name,"),
        ("export --ids t.csv --column slgu", "did you mean `slug`?"),
        ("export --ids t.csv --column a --field b", "give one of them"),
        ("export --ids missing.jsonl --field b", "missing.jsonl: there is no such file"),
        ("colne", "there is no 'colne'; did you mean 'clone'?"),
    ],
)
def test_new_refuses(lone_desk: Desk, words: str, told: str) -> None:
    """What cannot become a job is refused with what to do, and nothing is written."""
    folder: Path = lone_desk.folder
    (folder / "t.csv").write_text(CSV)
    (folder / "empty.csv").write_text("")
    (folder / "braces.csv").write_text("id,{a}\n1,2\n")
    (folder / "within.csv").write_text("id,conversation_config.a,conversation_config.a.b\n")
    (folder / "over.csv").write_text("id,conversation_config.a.b,conversation_config.a\n")
    before = sorted(folder.iterdir())
    ended = lone_desk.bulkops("new", *words.split())
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    if "colne" not in words:
        assert lone_desk.bulkops("new", *words.split(), "--out", "job.jsonl").code == 2
    assert sorted(folder.iterdir()) == before
