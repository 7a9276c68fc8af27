"""CPU of a resume until its first request: 1,000,000 lines of 300 bytes, of which all but 1,000 are done.

The checkpoint is written with the project's own functions, as a run leaves it that ended cleanly. `bulkops run` then
goes on against a server that notes, at the first byte of the first request, the CPU time of the process that asked.
Beside it, in turn: the same file hashed line by line, with the identity that bulkops gives to lines, and one SHA-256
of the whole file. What the command costs to start is measured with a job of 1,000 lines, 1 left, and told with and
without. `--full` takes 10,000,000 lines, once: 14 GB on the disk, and half an hour at least to write them there.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import MEGABYTE, Figure, environment, in_turn, main, spend
from inputs import BULKOPS, UNPACED, agent_lines

if TYPE_CHECKING:
    from harness import Options

LEFT = 1_000
SMALL = 1_000
HASH_LINES = """
import sys
from bulkops.checkpoint.identity import line_key
for line in open(sys.argv[1], 'rb'): line_key(None, line[:-1], 0)
"""
HASH_FILE = """
import hashlib, sys
print(hashlib.file_digest(open(sys.argv[1], 'rb'), 'sha256').hexdigest())
"""
WRITE = "import sys; from resume import write_checkpoint; write_checkpoint(sys.argv[1], sys.argv[2], int(sys.argv[3]))"
_TICK = os.sysconf("SC_CLK_TCK")


def measure(options: Options) -> list[Figure]:
    """Measure all in turn."""
    number = 10_000_000 if options.full else 20_000 if options.quick else 1_000_000
    repeats = 1 if options.full else options.repeats
    job, small = prepared_job(options.scratch, number, LEFT), prepared_job(options.scratch, SMALL, 1)
    peaks: list[float] = []

    def resume(path: Path) -> float:
        seconds, peak = resumed(path)
        peaks.append(peak)
        return seconds

    def hashing(program: str) -> float:
        return spend([sys.executable, "-c", program, job]).cpu

    rounds = in_turn(
        repeats,
        {
            "resume": lambda: resume(job),
            "small": lambda: resumed(small)[0],
            "lines": lambda: hashing(HASH_LINES),
            "file": lambda: hashing(HASH_FILE),
        },
    )
    without = rounds.difference("resume", "small")
    over = [spent / hashed for spent, hashed in zip(without, rounds["lines"], strict=True)]
    over_file = [spent / hashed for spent, hashed in zip(without, rounds["file"], strict=True)]
    return [
        Figure(
            f"resume of {number:,} lines: CPU until the first request / hashing them",
            rounds.ratio("resume", "lines"),
            most=2,
        ),
        Figure("resume: the same without start-up", over),
        Figure("resume: the same / one SHA-256 of the file", over_file),
        Figure("resume: CPU until the first request", rounds["resume"], " s"),
        Figure("resume: CPU of 1,000 lines (start-up)", rounds["small"], " s"),
        Figure("resume: CPU of hashing line by line", rounds["lines"], " s"),
        Figure("resume: CPU of one SHA-256", rounds["file"], " s"),
        Figure("resume: memory at the first request", peaks, " MB"),
    ]


def prepared_job(folder: Path, number: int, left: int) -> Path:
    """Return a job of so many lines whose run folder says that all but some are done."""
    job = agent_lines(folder, number, body=250)
    # In a process of its own: what it takes of memory would count for the commands that are measured.
    command = [sys.executable, "-c", WRITE, str(job), str(folder_of(job)), str(left)]
    subprocess.run(command, check=True, cwd=Path(__file__).parent)
    return job


def folder_of(job: Path) -> Path:
    """Return the run folder that stands for the beginning of every round."""
    return job.with_suffix(".done")


def write_checkpoint(job: str, folder: str, left: int) -> None:
    """Write the checkpoint of a run that was ended when all lines but some, spread over the file, were done."""
    asyncio.run(_write_checkpoint(Path(job), Path(folder), left))


async def _write_checkpoint(path: Path, folder: Path, left: int) -> None:
    from bulkops.api import REFERENCE
    from bulkops.checkpoint.rescue import OPENING
    from bulkops.checkpoint.store import open_checkpoint
    from bulkops.jobfile import JobFile
    from bulkops.planning import KNOWN, known_word, make_plan

    with JobFile.open(path) as job:
        async with open_checkpoint(folder / "checkpoint.db") as checkpoint:
            plan = make_plan(job, api=REFERENCE, environ={})
            await checkpoint.set_meta(KNOWN, known_word(plan, checkpoint.meta(OPENING)))
            await checkpoint.set_meta("job", str(path))
            every = max(1, plan.lines // left)
            for batch in plan.raw_batches():
                rows = [_row(plan, raw) for raw in batch if raw.number % every]
                closing = [checkpoint.close_operation(row, keep_steps=False) for row in rows]
                await asyncio.gather(*closing)


def _row(plan: Any, raw: Any) -> Any:
    """Return the end of a line's operation, as `Closing` writes it."""
    from bulkops.checkpoint import OperationRow, digest
    from bulkops.model import Created, Outcome, State
    from bulkops.outputs.records import record

    line = plan.parse(raw)
    [planned] = plan.planned(line, plan.key_of(line.id, raw.raw))
    made = f"agent_{raw.number:020}"
    outcome = Outcome(State.DONE, result={"agent_id": made}, created=(Created("agent", made),))
    return OperationRow(
        key=planned.key,
        line_key=planned.line_key,
        line=raw.number,
        index=0,
        id=line.id,
        kind=line.op,
        state=State.DONE,
        digest=digest(raw.raw),
        record=record(
            id=line.id, line=raw.number, index=0, count=1, kind=line.op, outcome=outcome, meta=None,
            started=1.7e9, ended=1.7e9 + 1, files=[],
        ),
    )  # fmt: skip


def resumed(job: Path) -> tuple[float, float]:
    """Go on with a job until its first request; return seconds of CPU, and MB of memory at their peak by then."""
    folder = job.with_suffix(".run")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(folder_of(job), folder)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1/convai"
        command = [BULKOPS, "run", job, "-q", "-j", "1", "--base-url", url, "--rate", UNPACED]
        process = subprocess.Popen(
            [str(word) for word in [*command, "--run-dir", folder]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        with process, _accepted(server, process) as asked:
            asked.recv(1)
            found = _used(process.pid)
            process.kill()
    return found


def _accepted(server: socket.socket, process: subprocess.Popen[bytes]) -> socket.socket:
    """Wait for the first connection; RuntimeError when the process ends without one."""
    server.settimeout(1)
    while process.poll() is None:
        with suppress(TimeoutError):
            return server.accept()[0]
    assert process.stderr is not None
    raise RuntimeError(f"the run ended without a request:\n{process.stderr.read().decode()}")


def _used(process: int) -> tuple[float, float]:
    """Return the seconds of CPU, user and system, and the MB at the peak of a process that still runs."""
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    status = Path(f"/proc/{process}/status").read_text("ascii")
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    return (int(fields[11]) + int(fields[12])) / _TICK, peak / MEGABYTE


if __name__ == "__main__":
    main(measure)
