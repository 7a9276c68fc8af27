"""What `bulkops listen` takes to receive: CPU of the receiver for each delivery, and the wait for its answer.

Real HTTP on loopback, each delivery signed, its event of 4 KB (a short call's) in the spool and synced before it is
answered. The client is another process on the other core. CPU is that of the receiver's process at two sizes, so
without its start. The wait is that of deliveries which are due at an even 1,000 a second, each from the moment at which
it was due; the disk is that of the scratch folder.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from itertools import count
from typing import TYPE_CHECKING

from delivering import SECRET
from harness import CORES, HERE, Figure, Used, environment, in_turn, main, slope

if TYPE_CHECKING:
    from pathlib import Path

    from harness import Options

RATE = 1000
BYTES = 4000
CONNECTIONS = 64


def measure(options: Options) -> list[Figure]:
    """Measure CPU and waits."""
    sizes = (500, 2_500) if options.quick else (2_000, 22_000)
    spools = (options.scratch / f"spool-{number}" for number in count())

    def flat_out(number: int) -> tuple[Used, dict[str, float]]:
        return _deliver(next(spools), number, 0)

    def paced(name: str) -> float:
        return _deliver(next(spools), RATE * (3 if options.quick else 20), RATE)[1][name]

    rounds = in_turn(
        options.repeats,
        {
            "cpu": lambda: slope(lambda number: flat_out(number)[0], sizes) * 1e6,
            "p99": lambda: paced("p99"),
            "a second": lambda: sizes[1] / flat_out(sizes[1])[1]["seconds"],
        },
    )
    return [
        Figure(
            "listen: CPU per delivery of 4 KB, synced before its answer", rounds["cpu"], " µs", most=1000.0
        ),
        Figure(
            "listen: wait for the answer at 1,000 deliveries a second, p99", rounds["p99"], " ms", most=100.0
        ),
        Figure("listen: deliveries a second on one core, 64 at once", rounds["a second"]),
    ]


def _deliver(spool: Path, number: int, rate: int) -> tuple[Used, dict[str, float]]:
    """Deliver so many events; return what the receiver used, and what the client tells."""
    command = [sys.executable, "-m", "bulkops", "listen", "--spool", str(spool), "--port", "0"]
    env = {**environment(), "PYTHONPATH": str(HERE.parent), "ELEVENLABS_WEBHOOK_SECRET": SECRET.decode()}
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as receiver:
        assert receiver.stdout is not None
        url = receiver.stdout.readline().strip()
        words = map(str, (CORES[0], url, number, CONNECTIONS, BYTES, rate))
        try:
            client = subprocess.run(
                [sys.executable, HERE / "delivering.py", *words], check=True, stdout=subprocess.PIPE
            )
        finally:
            receiver.send_signal(signal.SIGTERM)
            _, status, usage = os.wait4(receiver.pid, 0)
            receiver.returncode = os.waitstatus_to_exitcode(status)
    kept = sum(1 for file in spool.rglob("*.jsonl") for _ in file.open("rb"))
    if receiver.returncode or kept != number:
        raise RuntimeError(f"the receiver ended with {receiver.returncode}, and has kept {kept} of {number}")
    told: dict[str, float] = json.loads(client.stdout)
    return Used(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024), told


if __name__ == "__main__":
    main(measure)
