"""The text of a file in the place of an expression."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.e2e_commands import KEY, results

if TYPE_CHECKING:
    from tests.e2e.e2e_commands import Desk


def agent(**more: Any) -> dict[str, Any]:
    """Return a line whose prompt is the text of a file."""
    prompt = {"prompt": {"prompt": "${file:texts/prompt.md}"}}
    return {
        "op": "agent.create",
        "id": "a",
        "body": {"name": "x", "conversation_config": {"agent": prompt}},
        **more,
    }


def put(desk: Desk, text: str | bytes, name: str = "prompt.md") -> None:
    """Write a text."""
    (desk.folder / "texts").mkdir(exist_ok=True)
    (desk.folder / "texts" / name).write_bytes(text.encode() if isinstance(text, str) else text)


def body(desk: Desk, agent_id: str) -> Any:
    """Return the configuration of an agent."""
    assert desk.server is not None
    return json.loads(desk.server.world(KEY).agents[agent_id].body)


def test_a_text_is_filled_in_as_it_is(desk: Desk) -> None:
    """It stands whole or within another text, and what it holds is not read for expressions."""
    text = "Guten Tag, {{name}}.\n${ref:x#y} ${env:HOME} ${file:a}\n"
    put(desk, "\ufeff" + text)
    greeting = {"conversation_config": {"agent": {"first_message": "<${file:texts/prompt.md}>${copy}"}}}
    lines = [
        agent(),
        {"op": "agent.clone", "id": "c", "agent_id": "${ref:a#agent_id}", "copies": 2, "set": greeting},
    ]
    job = desk.job(lines)
    assert "to send: 4 requests" in desk.bulkops("plan", job).out
    ended = desk.run(job)
    assert ended.code == 0, ended.err
    made, *copies = (body(desk, row["result"]["agent_id"]) for row in results(job))
    assert made["conversation_config"]["agent"]["prompt"]["prompt"] == text
    messages = [each["conversation_config"]["agent"]["first_message"] for each in copies]
    assert messages == [f"<{text}>1", f"<{text}>2"]
    # What is done needs the file no more.
    (desk.folder / "texts" / "prompt.md").unlink()
    assert desk.run(job).code == 0


def test_rows_name_files(desk: Desk) -> None:
    """In the line of an `$each` a row may say which file; one of a listing may not."""
    for name in ("a", "b"):
        put(desk, name * 3, f"{name}.md")
    (desk.folder / "rows.csv").write_text("name\na\nb\n")
    body_ = {"name": "${row:name}", "conversation_config": {"note": "${file:texts/${row:name}.md}"}}
    line = {"op": "agent.create", "id": "${row:name}", "body": body_}
    job = desk.job([{"$each": {"csv": "rows.csv"}, "line": line}])
    assert desk.run(job).code == 0
    notes = [body(desk, row["result"]["agent_id"])["conversation_config"]["note"] for row in results(job)]
    assert notes == ["aaa", "bbb"]
    sent = desk.sent
    for listed in (line, {"op": "document.upload", "file": "${row:name}"}):
        refused = desk.bulkops("plan", desk.job([{"$each": {"op": "agent.list"}, "line": listed}], "l.jsonl"))
        assert (refused.code, desk.sent) == (2, sent)
        assert "takes the name of a file from a listing" in refused.err


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("${file:texts/nowhere.md}", "texts/nowhere.md', which does not exist; a relative path starts at"),
        ("${file:texts}", "texts', which is no regular file"),
        ("${file:texts/latin.md}", "texts/latin.md', which is not UTF-8 (byte 1)"),
        ("${file:texts/big.md}", "texts/big.md', which has more than 8,388,608 bytes"),
        ("${file:}", "holds ${file:}; write the path of a file"),
    ],
)
def test_a_text_that_cannot_be_read_is_an_error_of_the_plan(desk: Desk, path: str, words: str) -> None:
    """The error names line, field and file, and nothing is sent."""
    put(desk, b"B\xe4r", "latin.md")
    put(desk, b"x" * (8 * 2**20 + 1), "big.md")
    ended = desk.run(desk.job([{"op": "agent.create", "body": {"name": "x", "notes": ["a", path]}}]))
    assert (ended.code, desk.sent) == (2, 0)
    assert "job.jsonl, line 1: `body.notes.1` " in ended.err
    assert words in ended.err


def test_a_text_keeps_to_the_upload_root(desk: Desk) -> None:
    """As an upload does: what is not below the folder fails, and no link leads out of it."""
    put(desk, "secret")
    (desk.folder / "open").mkdir()
    (desk.folder / "open" / "link.md").symlink_to(desk.folder / "texts" / "prompt.md")
    linked = {"op": "agent.create", "id": "l", "body": {"name": "${file:open/link.md}"}}
    job = desk.job([agent(), linked])
    ended = desk.run(job, "--upload-root", desk.folder / "open")
    assert (ended.code, desk.sent) == (3, 0)
    assert [row["error"]["code"] for row in results(job)] == ["outside", "no_file"]
