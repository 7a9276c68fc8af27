"""The jobs of the crash tests, each with what it makes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.crash.crash_oracle import Wanted

if TYPE_CHECKING:
    from pathlib import Path

SEEDED = "agent_seed_0001"
"""The agent that every key of the emulator starts with."""


@dataclass(slots=True)
class Job:
    """A job in the making: its lines, and what each of them is to make."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many operations it has."""
        return sum(want.copies for want in self.wanted)

    def write(self, path: Path) -> Path:
        """Write the job file, and the files that it uploads."""
        for line in self.lines:
            if "file" in line:
                path.with_name(line["file"]).write_text(f"{line['name']}\n" * 40, "utf-8")
        path.write_text("".join(f"{json.dumps(line)}\n" for line in self.lines), "utf-8")
        return path

    def agent(self, name: str, **more: Any) -> int:
        """Add the creation of an agent; return the number of its line."""
        body = {"name": name, "conversation_config": {"agent": {"language": "en"}}}
        return self._add({"op": "agent.create", "body": body, **more}, kind="agent.create", name=name)

    def talk(self, agent: int) -> int:
        """Add a conversation with the agent of a line, which has to have an id."""
        name = self.lines[agent - 1]["id"]
        line = {"op": "conversation.create", "body": {"agent_id": f"${{ref:{name}#agent_id}}"}}
        return self._add(line, kind="conversation.create", of=agent, waits=(agent,))

    def update(self, agent: int) -> int:
        """Add a change to the agent of a line, which has to have an id."""
        name = self.lines[agent - 1]["id"]
        line = {"op": "agent.update", "agent_id": f"${{ref:{name}#agent_id}}", "body": {"name": f"{name}!"}}
        return self._add(line, waits=(agent,))

    def document(self, name: str, *, index: bool = True) -> int:
        """Add an upload, with its index."""
        line: dict[str, Any] = {"op": "document.upload", "file": f"{name}.txt", "name": name}
        if index:
            line["index"] = {"model": "e5_mistral_7b"}
        return self._add(line, kind="document.upload", name=name)

    def clones(self, name: str, copies: int) -> int:
        """Add copies of the agent that is there already."""
        line = {"op": "agent.clone", "agent_id": SEEDED, "name": f"{name} ${{copy}}", "copies": copies}
        return self._add(line, kind="agent.create", name=f"{name} ${{copy}}", copies=copies)

    def tool(self, name: str) -> int:
        """Add a tool."""
        body = {"name": name, "description": "d", "url": "https://tool.invalid", "method": "GET"}
        return self._add({"op": "tool.create", "body": body}, kind="tool.create", name=name)

    def text(self, name: str) -> int:
        """Add a text to the knowledge base of the live API."""
        line = {"op": "document.create_text", "body": {"name": name, "text": f"{name}\n" * 40}}
        return self._add(line, kind="document.create_text", name=name)

    def export(self, number: int) -> int:
        """Add the export of a conversation that is there already, and over."""
        return self._add({"op": "conversation.export", "conversation_id": f"conv_seed_{number:04d}"})

    def _add(self, line: dict[str, Any], **wanted: Any) -> int:
        self.lines.append(line)
        number = len(self.lines)
        self.wanted.append(Wanted(number, **wanted))
        return number


def listed(size: int = 3) -> Job:
    """Return a job of what the live API lists besides agents, some 12 operations for each unit of size."""
    job = Job()
    for part in range(size):
        for number in range(4):
            job.document(f"Document {part}-{number}", index=False)
            job.text(f"Text {part}-{number}")
            job.tool(f"tool_{part}_{number}")
    return job


def tools_of_listed(size: int = 3) -> Job:
    """Return a job of tools equal to those of `listed`."""
    job = Job()
    for part in range(size):
        for number in range(4):
            job.tool(f"tool_{part}_{number}")
    return job


def mixed(size: int = 3) -> Job:
    """Return a job with everything that can go wrong, some 18 operations for each unit of size."""
    job = Job()
    for part in range(size):
        agents = [job.agent(f"Agent {part}-{n}", id=f"a{part}-{n}") for n in range(4)]
        for _ in range(2):
            job.agent(f"Twin {part}")
        job.document(f"Document {part}")
        job.document(f"Bare {part}", index=False)
        job.clones(f"Clone {part}", 3)
        job.talk(agents[0])
        job.talk(agents[1])
        job.update(agents[2])
        job.tool(f"tool_{part}")
        job.export(2 * part + 1)
        job.export(2 * part + 2)
    return job
