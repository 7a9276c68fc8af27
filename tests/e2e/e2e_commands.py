"""The command as people and cron call it: in a process of its own, with a home, a key and a server to talk to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.canary import CANARY, seen_in
from tests.forked import COMMAND, INTERPRETER, SOURCE, Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from bulkops.emulator import Effect, Emulator

KEY = f"{CANARY}-e2e"
"""The API key of these tests; it must never be seen anywhere but in a request."""
PATIENCE = 60.0
FAST = ("--rate", "1000000/min")


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line that people saw."""
        return self.err.rstrip("\n").rpartition("\n")[2]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What it printed for programs, as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class Started(Command):
    """A command that is running; at the end of its `with` it runs no more, whatever came of the test."""

    def __exit__(self, *raised: object) -> None:
        """End it."""
        self.kill()
        super().__exit__(*raised)  # type: ignore[arg-type] # passed on as they came


@dataclass(slots=True)
class Desk:
    """A folder to work in, an environment, and the server that commands are pointed at."""

    folder: Path
    server: Emulator | None = None
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start from an environment that nothing leaks into."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "ELEVENLABS_API_KEY": KEY,
            "BULKOPS_SETTLE": "2s",
            **INTERPRETER,
            **self.env,
        }

    def job(self, lines: Iterable[object], name: str = "job.jsonl") -> Path:
        """Write a job file; a text is a line as it is."""
        path = self.folder / name
        texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
        path.write_text("".join(f"{text}\n" for text in texts), "utf-8")
        return path

    def bulkops(self, *words: object, env: dict[str, str] | None = None, **more: Any) -> Ended:
        """Run a command to its end."""
        with self.start(*words, env=env, **more) as process:
            return end_of(process)

    def start(self, *words: object, env: dict[str, str] | None = None, **more: Any) -> Started:
        """Start a command."""
        return Started(
            [*COMMAND, *map(str, words)],
            **{
                "cwd": self.folder,
                "env": {**self.env, **(env or {})},
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                **more,
            },
        )

    def shim(self, name: str, source: str) -> dict[str, str]:
        """Write a module that stands before all others; return the environment in which it does."""
        folder = self.folder / "shim"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(source, "utf-8")
        return {"PYTHONPATH": f"{folder}:{SOURCE}"}

    @property
    def target(self) -> tuple[str, ...]:
        """The flags that point a command at the server, without a limit to speak of."""
        assert self.server is not None
        return ("--base-url", self.server.base_url, *FAST)

    def run(self, job: Path | str, *words: object, **more: Any) -> Ended:
        """Run a job against the server."""
        return self.bulkops("run", job, *self.target, *words, **more)

    def retry(self, job: Path | str, *words: object, **more: Any) -> Ended:
        """Retry a job against the server."""
        return self.bulkops("retry", job, *self.target, *words, **more)

    def accounts(self, text: str) -> Path:
        """Write the accounts file."""
        path = self.folder / "home" / "config" / "bulkops" / "accounts.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    @property
    def sent(self) -> int:
        """How many requests have reached the server until now."""
        assert self.server is not None
        return self.server.requests.total

    def effects(self, kind: str | None = None) -> list[Effect]:
        """Return what happened at the server, in order."""
        assert self.server is not None
        return [effect for effect in list(self.server.effects) if kind in (None, effect.kind)]

    def made(self, kind: str = "agent.create") -> list[str]:
        """Return the names of what was made, in order."""
        return [effect.name for effect in self.effects(kind)]


def end_of(process: subprocess.Popen[str]) -> Ended:
    """Wait for a command."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"still running after {PATIENCE} s; it said: {out}{err}") from None
    assert not seen_in(f"{out}{err}".encode()), "the key was let out into what the command says"
    return Ended(process.returncode, out or "", err or "")


def until(holds: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.002)


def heeding(number: signal.Signals) -> Callable[[], None]:
    """Return what makes a command heed a signal that the tests themselves ignore, as under nohup."""

    def heed() -> None:
        signal.signal(number, signal.SIG_DFL)

    return heed


def interrupt(process: subprocess.Popen[str], number: int = signal.SIGINT) -> Ended:
    """Send a signal and wait for the end."""
    process.send_signal(number)
    return end_of(process)


def agent(number: int | str, **more: Any) -> dict[str, Any]:
    """Return a line that creates an agent."""
    return {
        "op": "agent.create",
        "id": f"a{number}",
        "body": {"name": f"Agent {number}", "conversation_config": {"agent": {"language": "en"}}},
        **more,
    }


def agents(count: int, **more: Any) -> list[dict[str, Any]]:
    """Return lines that create agents."""
    return [agent(number, **more) for number in range(count)]


def run_folder(job: Path) -> Path:
    """Return where the run of a job lives."""
    return job.with_suffix(".run")


def table(path: Path) -> list[dict[str, Any]]:
    """Read a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def results(job: Path) -> list[dict[str, Any]]:
    """Read the results of a job."""
    return table(run_folder(job) / "results.jsonl")


def summary(job: Path) -> dict[str, Any]:
    """Read the summary of a job's last run."""
    found: dict[str, Any] = json.loads((run_folder(job) / "summary.json").read_text("utf-8"))
    return found


def states(job: Path) -> dict[str, str]:
    """Return the status of every operation that has an id, by id."""
    return {row["id"]: row["status"] for row in results(job) if row["id"] is not None}


def files_below(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def check_ending(job: Path, ended: Ended) -> dict[str, Any]:
    """Check that exit code, summary and last line tell the same, and that the counts add up; return the summary."""
    told = summary(job)
    counts = told["operations"]
    assert told["exit_code"] == ended.code
    assert counts["total"] == sum(count for state, count in counts.items() if state != "total")
    assert ended.last.startswith(f"done {counts['done']:,} of {counts['total']:,}")
    for state in ("failed", "blocked", "skipped", "in doubt", "not started"):
        count = counts[state.replace(" ", "_")]
        assert (f", {state} {count:,}" in ended.last) == bool(count)
    if told["next"] is not None:
        assert told["next"] in ended.last
    rows = results(job)
    assert len(rows) == counts["total"] - counts["not_started"]
    assert [row["line"] for row in rows] == sorted(row["line"] for row in rows)
    return told
