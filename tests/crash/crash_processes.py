"""The command and a server, each in a process of its own: one to be killed, one to be asked what happened."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.e2e.e2e_commands import FAST, Desk, Started, end_of
from tests.forked import COMMAND, INTERPRETER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.e2e.e2e_commands import Ended

SCALE = 50
"""How many times as fast everything that waits does so."""
ENVIRONMENT = {"BULKOPS_SETTLE": f"{3 * SCALE}s"}
"""Longer than the server still works on a request whose client is gone: 3 s, on a machine that has much to do."""


@dataclass(frozen=True, slots=True)
class Made:
    """One lasting effect, as the server wrote it down; `at` is in epoch seconds."""

    kind: str
    id: str
    name: str
    at: float


@dataclass(frozen=True, slots=True)
class Server:
    """The emulator in a process of its own."""

    base_url: str

    def effects(self, key: str) -> list[Made]:
        """Return what happened in the world of a key, in order: the server's own log."""
        told = self._ask(f"effects?key={quote(key, safe='')}")["effects"]
        return [Made(one["kind"], one["id"], one["name"], one["at"]) for one in told]

    @property
    def sent(self) -> int:
        """How many requests have arrived until now."""
        return int(self._ask("state")["requests"])

    def _ask(self, what: str) -> Any:
        origin = self.base_url.partition("/v1/")[0]
        with urllib.request.urlopen(f"{origin}/_emulator/{what}", timeout=30) as answer:
            return json.load(answer)


@contextmanager
def serving(
    folder: Path, faults: Sequence[Any] = (), *, latency: float = 0.03, api: str = "reference"
) -> Iterator[Server]:
    """Start a server without a limit to speak of; it ends with the block."""
    schedule = folder / "faults.json"
    schedule.write_text(json.dumps(faults), "utf-8")
    words = ["emulate", "--port", "0", *FAST, "--index-time", "0", "--conversations", "60"]
    words += ["--latency", str(latency), "--faults", str(schedule), "--api", api]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), **INTERPRETER}
    with Started(
        [*COMMAND, *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        yield Server(process.stdout.readline().strip())


@dataclass(slots=True)
class Client:
    """Who runs one job: a folder, a key (and so a world at the server), and the program that does it."""

    folder: Path
    server: Server
    key: str
    program: tuple[str, ...] = COMMAND
    words: tuple[str, ...] = ("-j", "4")
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start from an environment that nothing leaks into."""
        self.env = {
            **Desk(self.folder).env,
            "ELEVENLABS_API_KEY": self.key,
            "TMPDIR": str(self.folder),
            **ENVIRONMENT,
            **self.env,
        }

    def start(self, job: Path, *words: str, before: Sequence[str] = (), **more: Any) -> Started:
        """Start to run a job; `before` are the words of a command that starts ours."""
        target = ("--base-url", self.server.base_url, *FAST, "--time-scale", str(SCALE))
        return Started(
            [*before, *self.program, "run", str(job), *target, *self.words, *words],
            **{
                "cwd": self.folder,
                "env": self.env,
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                **more,
            },
        )

    def run(self, job: Path, *words: str) -> Ended:
        """Run a job to its end."""
        with self.start(job, *words) as process:
            return end_of(process)

    def effects(self) -> list[Made]:
        """Return what happened in this client's world."""
        return self.server.effects(self.key)
