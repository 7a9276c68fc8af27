"""How far off a plan is: what it said that a run would take, and what the run took, against the built-in server.

Five jobs, each in a process of its own with the server's clock ten times as fast (`run --emulate --time-scale 10`), at
100 requests a minute of that clock; expected and happened are those of the run's own `summary.json`:

    demo       the job of `make demo`: uploads with their indexes, clones, simulations, 200 exports
    creates    400 agents
    uploads    300 documents, uploaded and indexed
    clones     an agent, 350 clones of it from a CSV file, and an update of each clone
    fan-in     150 documents, an agent that waits for all of their indexes, 200 clones of it

Prints the table of the README.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import LONGEST, Figure, environment, main, print_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness import Options

ROOT = Path(__file__).parent.parent
SCALE, QUICK = 10, 60
MODEL = {"model": "e5_mistral_7b"}
AGENT = {"name": "Golden", "conversation_config": {"agent": {"language": "en"}}}


def _demo(folder: Path) -> list[Any]:
    sys.path.insert(0, str(ROOT / "jobs"))
    demo = import_module("demo")
    demo.gather(folder / "documents")
    files = sorted(str(path.relative_to(folder)) for path in (folder / "documents").iterdir())
    return [*({"op": "document.upload", "file": file, "index": MODEL} for file in files), *demo.more_lines()]


def _creates(_: Path) -> list[Any]:
    return [
        {"op": "agent.create", "body": {"name": f"Agent {n}", "conversation_config": {}}} for n in range(400)
    ]


def _uploads(folder: Path, number: int = 300) -> list[Any]:
    for n in range(number):
        (folder / f"{n}.md").write_text(f"Document {n}\n" * (20 + n % 50))
    return [
        {"id": f"d{n}", "op": "document.upload", "file": f"{n}.md", "index": MODEL} for n in range(number)
    ]


def _clones(folder: Path) -> list[Any]:
    rows = (f"t{n},{'en' if n % 3 else 'de'}\n" for n in range(350))
    (folder / "tenants.csv").write_text("".join(["tenant,language\n", *rows]))
    clone = {
        "id": "c-${row:tenant}",
        "op": "agent.clone",
        "agent_id": "${ref:golden#agent_id}",
        "name": "Support ${row:tenant}",
        "set": {"conversation_config": {"agent": {"language": "${row:language}"}}},
    }
    update = {
        "op": "agent.update",
        "agent_id": "${ref:c-${row:tenant}#agent_id}",
        "body": {"name": "Support for ${row:tenant}"},
    }
    each = {"csv": "tenants.csv"}
    golden = {"id": "golden", "op": "agent.create", "body": AGENT}
    return [golden, {"$each": each, "line": clone}, {"$each": each, "line": update}]


def _fan_in(folder: Path) -> list[Any]:
    documents = _uploads(folder, 150)
    golden = {
        "id": "golden",
        "op": "agent.create",
        "body": AGENT,
        "needs": [line["id"] for line in documents],
    }
    clone = {"op": "agent.clone", "agent_id": "${ref:golden#agent_id}"}
    return [*documents, golden, *({**clone, "name": f"Tenant {n}"} for n in range(200))]


JOBS: Mapping[str, Callable[[Path], list[Any]]] = {
    "demo": _demo,
    "creates": _creates,
    "uploads": _uploads,
    "clones": _clones,
    "fan-in": _fan_in,
}


def compare(folder: Path, lines: list[Any], scale: float) -> dict[str, Any]:
    """Run a job and return what its summary says of the plan."""
    job = folder / "job.jsonl"
    job.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    command = [sys.executable, "-m", "bulkops", "run", str(job), "--emulate", "--time-scale", f"{scale:g}"]
    env = {
        **environment(),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    done = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, env=env, timeout=LONGEST, check=False
    )
    if done.returncode not in (0, 8):
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout)["plan"]
    return told


def measure(options: Options) -> list[Figure]:
    """Run each job once, with --full once a round; a figure is how far the plan was off, in percent of what it said."""
    scale = QUICK if options.quick else SCALE
    rows: list[tuple[str, ...]] = [
        ("job", "requests, expected → sent", "looks, expected (range) → taken", "seconds", "ratio")
    ]
    figures = []
    for name, lines in JOBS.items():
        off = []
        for number in range(options.repeats if options.full else 1):
            folder = options.scratch / f"plan-{name}-{number}"
            folder.mkdir()
            told = compare(folder, lines(folder), scale)
            requests, looks, seconds = told["requests"], told["polls"], told["seconds"]
            off.append(100 * abs(seconds["ratio"] - 1))
            between = "{} to {}".format(*looks["range"])
            least, most = seconds["range"]
            rows.append(
                (
                    name,
                    f"{requests['expected']} → {requests['happened']}",
                    f"{looks['expected']} ({between}) → {looks['happened']}",
                    f"{seconds['expected']:.1f} ({least:.1f} to {most:.1f}) → {seconds['happened']:.1f}",
                    f"{seconds['ratio']:.3f}",
                )
            )
        figures.append(Figure(f"plan: time that it is off, {name}", off, " %", None if options.quick else 10))
    print_rows(rows)
    return figures


if __name__ == "__main__":
    main(measure)
