"""What is written down of what was sent, and what the code never does."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import bulkops
from tests.e2e.e2e_commands import files_below, run_folder

if TYPE_CHECKING:
    from tests.e2e.e2e_commands import Desk

TOKEN = "token-7c02e1b9d54f"
PACKAGE = Path(bulkops.__file__).parent
UNSAFE_MODULES = frozenset({"pickle", "marshal", "shelve", "yaml", "dill", "jsonpickle"})
UNSAFE_CALLS = frozenset({"eval", "exec", "compile", "__import__"})


def tool(name: str, **more: object) -> dict[str, object]:
    """Return a line whose body holds a token, as bodies of tools do."""
    body = {"name": name, "description": "d", "url": "https://tool.invalid", "method": "GET"}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return {"op": "tool.create", "id": name, "body": {**body, "headers": headers, **more}}


def test_bodies_are_not_kept(desk: Desk) -> None:
    """Of what was sent and done no file of the run holds more than a digest."""
    job = desk.job([tool("good")])
    ended = desk.run(job, "--log-file", "run.log", "--json")
    assert ended.code == 0, ended.err
    assert TOKEN not in ended.out + ended.err
    for path in (*files_below(run_folder(job)), desk.folder / "run.log"):
        assert TOKEN.encode() not in path.read_bytes(), path


def test_lines_that_are_not_done_are_kept_where_they_can_be_mended(desk: Desk) -> None:
    """A line that failed stands as it was written in failed.jsonl and the checkpoint, and in nothing else."""
    job = desk.job([tool("bad", method=7)])
    ended = desk.run(job, "--log-file", "run.log", "--json")
    assert ended.code == 3, ended.err
    assert TOKEN not in ended.out + ended.err
    holding = {path.name for path in files_below(desk.folder) if TOKEN.encode() in path.read_bytes()}
    assert (
        {"job.jsonl", "failed.jsonl"}
        <= holding
        <= {"job.jsonl", "failed.jsonl", "checkpoint.db", "checkpoint.db-wal"}
    )


def test_nothing_that_is_read_becomes_code() -> None:
    """No module of the package loads pickles or YAML, and none evaluates a text."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                assert not UNSAFE_MODULES & {name.name.partition(".")[0] for name in node.names}, path
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in UNSAFE_MODULES, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in UNSAFE_CALLS, path
