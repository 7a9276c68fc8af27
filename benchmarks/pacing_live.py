"""The pace in real time: the real command against real servers over HTTP, 100 requests per 6 seconds.

One server for each way of counting, with and without the headers of the limit; each has a run of `bulkops` of its own
that sends 1,000 requests, about a minute of work. Four run at a time: twelve, each with its server, take more than two
processors, and then it is their speed that is measured. Counted by the servers: 429s, and what was admitted between the
first and the last request over what the rate allows. Prints a row for each server.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from harness import Figure, environment, main, print_rows

from bulkops.emulator import Algorithm, EmulatorSettings, serving_in_thread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness import Options

    from bulkops.emulator import Emulator, Statistics

LIMIT, PERIOD = 100, 6.0
LATENCY = (0.02, 0.2)
AT_ONCE = 4


def _run(folder: Path, server: Emulator, requests: int) -> subprocess.Popen[bytes]:
    folder.mkdir()
    job = folder / "job.jsonl"
    bodies = ({"name": f"Agent {number}", "conversation_config": {}} for number in range(requests))
    lines = (json.dumps({"op": "agent.create", "body": body}) + "\n" for body in bodies)
    job.write_text("".join(lines), "utf-8")
    command = [sys.executable, "-m", "bulkops", "run", job, "-q", "-j", "32"]
    target = ["--base-url", server.base_url, "--rate", f"{LIMIT}/{PERIOD:g}s"]
    # A state folder of its own: all use the same key, and each has its own server.
    env = {**environment(), "XDG_STATE_HOME": str(folder / "state")}
    return subprocess.Popen([*map(str, command), *target], env=env, stderr=subprocess.DEVNULL)


def _round(
    folder: Path, ways: Sequence[tuple[Algorithm, bool]], requests: int, seed: int
) -> list[Statistics]:
    """Let a run each at servers of these ways, told by headers or not, at the same time; return what they have seen."""
    folder.mkdir()
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                serving_in_thread(
                    EmulatorSettings(
                        limit=LIMIT,
                        period=PERIOD,
                        limit_algorithm=algorithm,
                        rate_headers=told,
                        latency=LATENCY,
                        seed=seed,
                    )
                )
            )
            for algorithm, told in ways
        ]
        runs = [_run(folder / str(place), server, requests) for place, server in enumerate(servers)]
        for run in runs:
            stack.callback(run.kill)
        for run in runs:
            if run.wait(timeout=600):
                raise RuntimeError(f"a run ended with {run.returncode}")
        return [server.statistics for server in servers]


def measure(options: Options) -> list[Figure]:
    """Let some run at once, and then the next; a round after the other."""
    requests = 200 if options.quick else 1_000
    ways = [(algorithm, told) for algorithm in Algorithm for told in (True, False)]
    rows: list[tuple[str, ...]] = [("100 per 6 s in real time", "headers", "429s", "% of the rate")]
    refused: list[float] = []
    unused: list[float] = []
    for number in range(options.repeats):
        for first in range(0, len(ways), AT_ONCE):
            some = ways[first : first + AT_ONCE]
            round_of_some = _round(options.scratch / f"live-{number}-{first}", some, requests, number)
            for (algorithm, told), seen in zip(some, round_of_some, strict=True):
                no = sum(seen.refused.values())
                used = (seen.requests - no) / (LIMIT / PERIOD * seen.seconds + 1)
                refused.append(no)
                unused.append(100 - 100 * used)
                rows.append((algorithm.value, "yes" if told else "no", str(no), f"{100 * used:.1f}"))
    print_rows(rows)
    return [
        Figure("pacing in real time: most 429s, any server", [max(refused)], most=0),
        Figure(
            "pacing in real time: share of the rate left unused, worst server", [max(unused)], " %", most=4
        ),
    ]


if __name__ == "__main__":
    main(measure)
