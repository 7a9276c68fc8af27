"""Every example job has its command in jobs/README.md, and prints what stands there."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.docs.docs_texts import ROOT, blocks, calls, matches, read, run_bulkops, told

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.docs_texts import Block

JOBS = sorted(path.name for path in (ROOT / "jobs").glob("*.jsonl"))
SHOWN = [block for block in blocks(read("jobs/README.md")) if block.kind == "console"]


def _job(block: Block) -> str:
    return calls(block)[0].command.split()[2]


def test_docs_jobs_all_shown() -> None:
    """No example is left out, and each explains itself in its header."""
    assert sorted(map(_job, SHOWN)) == JOBS
    for name in JOBS:
        assert f"[{name}]({name})" in read("jobs/README.md")
        assert '"about": "' in read(f"jobs/{name}").splitlines()[0]


@pytest.mark.parametrize("block", SHOWN, ids=_job)
def test_docs_jobs_output(block: Block, tmp_path: Path) -> None:
    """The commands of an example print what the text says."""
    folder = shutil.copytree(
        ROOT / "jobs", tmp_path / "jobs", ignore=shutil.ignore_patterns("*.run", "__pycache__")
    )
    for call in calls(block):
        done = run_bulkops(call.command, folder)
        assert matches(call.output, done.stdout), told(call, done.stdout)
        assert done.returncode == call.code, told(call, done.stdout)
