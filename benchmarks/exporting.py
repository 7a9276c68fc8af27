"""What an export costs: memory that does not grow, CPU for each conversation, and how soon a killed one goes on.

Conversations of 14 days are written into a spool as a receiver leaves it, and exported as Parquet without a request:
100,000 against 10,000 of them; with `--full` 1,000,000. Memory is the peak of the export or of the process that writes
Parquet, whichever takes more; at most 100 MB and 16 bytes for each conversation. CPU is that of both. The same again
from the built-in server, which is asked for each of them by an id in a file.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness import MEGABYTE, Figure, in_turn, main, spend
from inputs import BULKOPS, UNPACED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness import Options, Used

BEGIN, DAYS = 1_762_171_320, 14
WORDS = "Agent: Hello! How can I help?\nUser: " + "I ordered three items and two of them have arrived. " * 12


def measure(options: Options) -> list[Figure]:
    """Measure both in turn."""
    small, large = (500, 2_000) if options.quick else (10_000, 1_000_000 if options.full else 100_000)
    used: list[Used] = []

    def exported(number: int) -> float:
        found = export(spool_of(options.scratch, number), options.scratch / "exports")
        if number == large:
            used.append(found)
        return found.peak / MEGABYTE

    def asked() -> float:
        with answering(large) as url:
            asking.append(ask(url, large, options.scratch))
        return asking[-1].peak / MEGABYTE

    asking: list[Used] = []
    rounds = in_turn(
        options.repeats,
        {"large": lambda: exported(large), "small": lambda: exported(small), "asked": asked},
    )
    return [
        Figure(
            f"export of {large:,} conversations: peak", rounds["large"], " MB", 100 + 16 * large / MEGABYTE
        ),
        Figure(f"export: peak of {large:,} / {small:,}", rounds.ratio("large", "small")),
        Figure("export: CPU per conversation", [each.cpu / large * 1e6 for each in used], " µs"),
        Figure(
            f"export of {large:,} conversations from the API: peak",
            rounds["asked"],
            " MB",
            100 + 16 * large / MEGABYTE,
        ),
        Figure(
            "export from the API: CPU per conversation", [each.cpu / large * 1e6 for each in asking], " µs"
        ),
    ]


def export(spool: Path, out: Path) -> Used:
    """Export a spool into a new folder."""
    shutil.rmtree(out, ignore_errors=True)
    words = ("--ids-from", spool, "--out", out, "--format", "parquet", "-q")
    return spend([BULKOPS, "export", "conversations", *words])


@contextmanager
def answering(number: int) -> Iterator[str]:
    """Run the built-in server with so many conversations; give its address."""
    words = ("emulate", "--port", "0", "--conversations", str(number), "--rate", UNPACED, "--latency", "0")
    with subprocess.Popen(
        [str(BULKOPS), *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def ask(url: str, number: int, folder: Path) -> Used:
    """Export so many conversations of a server into a new folder."""
    ids, out = folder / "ids.txt", folder / "asked"
    ids.write_text("".join(f"conv_seed_{index:04}\n" for index in range(1, number + 1)))
    shutil.rmtree(out, ignore_errors=True)
    words = (
        "--ids-from",
        ids,
        "--out",
        out,
        "--format",
        "parquet",
        "-q",
        "--base-url",
        url,
        "-j",
        "64",
        "--wait",
        "0s",
    )
    return spend([BULKOPS, "export", "conversations", *words, "--rate", UNPACED])


def spool_of(folder: Path, number: int) -> Path:
    """Return a spool with so many conversations; it is written by a process of its own."""
    spool = folder / f"spool-{number}"
    if not spool.exists():
        spend([sys.executable, __file__, "write", spool, str(number)])
    return spool


def write(spool: Path, number: int) -> None:
    """Write so many events of the last days into a spool."""
    from bulkops.webhook.spool import POST_CALL, day_of, folder_of, line_of

    folder = folder_of(spool, POST_CALL, day_of(BEGIN))
    folder.mkdir(parents=True)
    with (folder / "a.jsonl").open("wb") as file:
        for index in range(number):
            ended = datetime.fromtimestamp(BEGIN - DAYS * 86_400 * (1 - index / number), UTC)
            data = {
                "conversation_id": f"conv_{index:07}",
                "agent_id": "agent_1",
                "transcript": WORDS,
                "duration_seconds": 120,
                "analysis": {"sentiment": "positive", "resolution": True, "extracted_data": {"order": index}},
            }
            event = {
                "type": "post_call_transcription",
                "data": data,
                "event_timestamp": f"{ended:%Y-%m-%dT%H:%M:%SZ}",
            }
            body = json.dumps(event).encode()
            file.write(line_of(BEGIN, hashlib.sha256(body).hexdigest(), body))
        os.fsync(file.fileno())


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        from pathlib import Path

        write(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main(measure)
