"""Reads the texts as a user would: their code blocks, tables and links; and does what their console blocks say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.forked import COMMAND, INTERPRETER, OF_THE_START, Command

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
TEXTS = (
    "README.md",
    "CHANGELOG.md",
    "jobs/README.md",
    "docs/emulator.md",
    "docs/exports.md",
    "docs/webhooks.md",
    "docs/checkpoint.md",
    "docs/guarantees.md",
)
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, the comment above it (`file: NAME`), and what stands in it."""

    kind: str
    mark: str
    text: str

    @property
    def file(self) -> str | None:
        """The file that the reader is asked to save, if it is one."""
        return self.mark.removeprefix("file: ") if self.mark.startswith("file: ") else None


@dataclass(frozen=True, slots=True)
class Call:
    """One command of a console block, what the text says it prints, and its exit code (`echo $?` after it)."""

    command: str
    output: str
    code: int = 0


def read(name: str) -> str:
    """Return a text of the project."""
    return (ROOT / name).read_text("utf-8")


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a text."""
    return [Block(found["kind"], found["mark"] or "", found["text"]) for found in _BLOCK.finditer(text)]


def calls(block: Block) -> list[Call]:
    """Return the commands of a console block."""
    found: list[Call] = []
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        if command == "echo $?":
            found[-1] = replace(found[-1], code=int(output))
        else:
            found.append(Call(command, output.rstrip("\n")))
    return found


def tables(text: str, first_column: str) -> list[list[str]]:
    """Return the rows of the tables whose first column has this title."""
    rows: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            inside = False
        elif inside and not set(cells[0]) <= {"-", ":", " "}:
            rows.append(cells)
        elif cells[0] == first_column:
            inside = True
    return rows


def prose(text: str) -> str:
    """Return a text without its blocks."""
    return _BLOCK.sub("", text)


def run_bulkops(
    command: str, folder: Path, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command as written; what it prints for people and for programs comes in one."""
    words = shlex.split(command)
    assert words[0] == "bulkops"
    with Command(
        [*COMMAND, *words[1:]],
        cwd=folder,
        env=environment(folder, environ or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            printed, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    return subprocess.CompletedProcess(words, process.returncode, printed)


def environment(folder: Path, given: dict[str, str]) -> dict[str, str]:
    """Return an environment in which nothing of the machine's user speaks for bulkops."""
    others = ("BULKOPS_", "ELEVEN", *OF_THE_START)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return {**clean, **INTERPRETER, "XDG_CONFIG_HOME": str(folder / "no-config"), **given}


def accounts(folder: Path) -> dict[str, str]:
    """Write an accounts file with the accounts that examples name; return the environment in which it is found."""
    file = folder / "config" / "bulkops" / "accounts.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    names = ("us-prod", "eu-prod")
    file.write_text("".join(f'[accounts.{name}]\napi_key_command = "exit 1"\n' for name in names), "utf-8")
    return {"XDG_CONFIG_HOME": str(folder / "config")}


def matches(expected: str, printed: str) -> bool:
    """Tell whether a command printed what the text says: `…` is any text, on a line of its own any lines."""
    parts = []
    for line in expected.splitlines():
        if line.strip() == "…":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(re.escape(line).replace("…", r"[^\n]*?") + r"\n")
    return re.fullmatch("".join(parts), printed) is not None


def told(call: Call, printed: str) -> str:
    """Return what to show when a text and the program disagree."""
    return f"$ {call.command}\n--- the text says\n{call.output}\n--- it prints\n{printed}"


def play(text: str, folder: Path, environ: dict[str, str]) -> Iterator[tuple[Call, str, int]]:
    """Save the files and run the commands of a text in order; yield each command, what it printed, its code.

    `environ` is added where a command is meant to go to the real API, that is, without `--emulate`.
    """
    for block in blocks(text):
        if block.file is not None:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")
        elif block.kind == "console" and block.mark != "server":
            for call in calls(block):
                given = (
                    {} if "--emulate" in call.command or not call.command.startswith("bulkops r") else environ
                )
                done = run_bulkops(call.command, folder, given)
                yield call, done.stdout, done.returncode
