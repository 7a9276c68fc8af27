"""What the figures are measured on: job files, files to upload, and the command line of a run."""

from __future__ import annotations

import json
import os
import shutil
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from harness import HERE, spend

if TYPE_CHECKING:
    from harness import Used

BULKOPS = Path(sys.executable).with_name("bulkops")
UNPACED = "1000000/s"
"""A rate that never makes anybody wait; the pace is passed all the same."""
_CHUNK = 2**20

_numbers = count(1)


def agent_lines(folder: Path, number: int, *, body: int = 400) -> Path:
    """Write a job of so many agents with unique ids, whose bodies have about so many bytes; return its path."""
    path = folder / f"agents-{number}-{body}.jsonl"
    if path.exists():
        return path
    prompt = "You are the support agent of a shop. Answer briefly, in the caller's language. "
    with path.open("w", encoding="utf-8") as file:
        for index in range(number):
            agent = {"first_message": "Hello!", "language": "en", "prompt": {"prompt": ""}}
            content = {
                "name": f"Support Agent {index}",
                "conversation_config": {"agent": agent},
                "tags": ["shop"],
            }
            missing = max(0, body - len(json.dumps(content)))
            agent["prompt"] = {"prompt": (prompt * (missing // len(prompt) + 1))[:missing]}
            file.write(json.dumps({"op": "agent.create", "id": f"agent-{index:07}", "body": content}) + "\n")
    return path


def waiting_lines(folder: Path, number: int, waiting: int) -> Path:
    """Write a job of so many lines, of which so many, the first ones, wait each for another; return its path."""
    path = folder / f"waiting-{number}-{waiting}.jsonl"
    if path.exists():
        return path
    with path.open("w", encoding="utf-8") as file:
        for index in range(waiting):
            read = {
                "op": "agent.get",
                "id": f"read-{index:07}",
                "agent_id": f"${{ref:agent-{index:07}#agent_id}}",
            }
            file.write(json.dumps(read) + "\n")
        for index in range(number - waiting):
            body = {"name": f"Support Agent {index}", "conversation_config": {"agent": {"language": "en"}}}
            file.write(json.dumps({"op": "agent.create", "id": f"agent-{index:07}", "body": body}) + "\n")
    return path


def upload_lines(folder: Path, size: int, times: int) -> tuple[Path, Path]:
    """Write a file of so many bytes and a job that uploads it so many times; return job and file."""
    file, job = folder / f"{size}.bin", folder / f"upload-{size}.jsonl"
    with file.open("wb") as written:
        for start in range(0, size, _CHUNK):
            written.write(os.urandom(min(_CHUNK, size - start)))
    lines = ({"op": "document.upload", "id": f"copy-{index}", "file": file.name} for index in range(times))
    job.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return job, file


def run_job(job: Path, url: str, *, in_flight: int = 64) -> Used:
    """Do a job with `bulkops run` against a server, in a new run folder, without a limit."""
    return _in_new_folder(job, [str(BULKOPS)], url, in_flight)


def run_job_without_wire(job: Path, *, in_flight: int = 64) -> Used:
    """Do a job with everything of `bulkops run` but HTTP."""
    return _in_new_folder(
        job, [sys.executable, str(HERE / "without_wire.py")], "http://127.0.0.1:1", in_flight
    )


def _in_new_folder(job: Path, command: list[str], url: str, in_flight: int) -> Used:
    folder = job.with_name(f"{job.stem}.{next(_numbers)}.run")
    base = ["--base-url", f"{url}/v1/convai", "--rate", UNPACED]
    try:
        return spend([*command, "run", job, "-q", "-j", str(in_flight), *base, "--run-dir", folder])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
