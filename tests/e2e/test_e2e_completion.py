"""What shells complete, in the real shells: the script is read by the shell, and a TAB is typed."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from bulkops.cli.options import VERBS
from bulkops.operations import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk

START = {
    "bash": ("--norc", "--noprofile", "-i"),
    "zsh": ("-f", "-i"),
    "fish": ("--no-config", "-i"),
}
NAMED = {
    "bash": "bulkops() { printf '<%s>' \"$@\"; echo DONE; }; PS1='READY '",
    "zsh": "autoload -Uz compinit; compinit -u -D; bulkops() { printf '<%s>' \"$@\"; echo DONE }; PS1='READY '",
    "fish": "function bulkops; printf '<%s>' $argv; echo DONE; end; function fish_prompt; echo 'READY '; end",
}
SHELLS = [
    pytest.param(
        shell, marks=pytest.mark.skipif(shutil.which(shell) is None, reason=f"there is no {shell} here")
    )
    for shell in START
]
TYPED = [
    ("reso\tjob", "<resolve><job>"),
    ("resu\tjo\t --form\tc\t", "<results><job one.jsonl>…csv"),
    ("run --chan\tk\t jo\t", "<run>…keep…<job one.jsonl>"),
    ("run x.jsonl --run-dir my\t", "<run><x.jsonl><--run-dir><my docs"),
    ("schema conversation.e\t", "<schema><conversation.export>"),
    ("completion f\t", "<completion><fish>"),
    ("new up\tmy\t", "<new><upload><my docs"),
]


def script(desk: Desk, shell: str) -> Path:
    """Write the script of a shell, as a user would."""
    ended = desk.bulkops("completion", shell)
    assert (ended.code, ended.err) == (0, "")
    path = desk.folder / f"complete.{shell}"
    path.write_text(ended.out)
    return path


def typed(desk: Desk, shell: str, line: str) -> str:
    """Type a line into an interactive shell that has read the script; return the words that the command was given."""
    process, screen = pty.fork()
    if process == 0:
        os.chdir(desk.folder)
        os.execve(
            str(shutil.which(shell)),
            [shell, *START[shell]],
            {**os.environ, "HOME": str(desk.folder), "TERM": "dumb", "COLUMNS": "200"},
        )
    try:
        os.write(screen, f"{NAMED[shell]}; source complete.{shell}; echo LOADE''D\n".encode())
        _until(screen, "LOADED\r\n", "READY ")
        os.write(screen, f"bulkops {line}\n".encode())
        shown = _until(screen, "DONE\r\n")
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(screen)
    return shown


def _until(screen: int, *marks: str) -> str:
    """Read until these marks were shown, one after the other."""
    shown, end = "", time.monotonic() + 20
    while not _has(shown, "…".join(marks)):
        assert time.monotonic() < end, f"{marks} never came: {shown!r}"
        if select.select([screen], [], [], 0.5)[0]:
            with suppress(OSError):
                shown += os.read(screen, 65536).decode(errors="replace")
    return shown


def _has(shown: str, expected: str) -> bool:
    place = 0
    for part in expected.split("…"):
        place = shown.find(part, place)
        if place < 0:
            return False
    return True


@pytest.mark.parametrize("shell", SHELLS)
def test_a_tab_completes(lone_desk: Desk, shell: str) -> None:
    """A TAB completes commands, options, words that an option takes, files, folders and kinds."""
    script(lone_desk, shell)
    (lone_desk.folder / "job one.jsonl").write_text("")
    (lone_desk.folder / "my docs").mkdir()
    (lone_desk.folder / "my.txt").write_text("")
    for line, expected in TYPED:
        shown = typed(lone_desk, shell, line)
        assert _has(shown, expected), (line, shown)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_can_read_its_script(lone_desk: Desk, shell: str) -> None:
    """The shell itself finds nothing wrong with the script."""
    checked = subprocess.run(
        [shell, "-n", script(lone_desk, shell)], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize("shell", START)
def test_a_script_has_every_word(lone_desk: Desk, shell: str) -> None:
    """Every command, option, choice and kind stands in the script, and it starts no Python."""
    text = script(lone_desk, shell).read_text()
    for name, verb in VERBS.items():
        flags = [
            flag.lstrip("-") if shell == "fish" else flag for option in verb.options for flag in option.flags
        ]
        choices = [choice for option in verb.options for choice in option.offers]
        for word in (name, *verb.verbs, *flags, *choices, *KINDS):
            assert word in text
    assert "$(bulkops" not in text
    assert "python" not in text


def bash_offers(desk: Desk, *words: str) -> list[str]:
    """Return what bash offers for the last of these words, all of them as bash takes them apart."""
    path = script(desk, "bash")
    code = (
        'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bulkops; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", code, path, "bulkops", *words],
        cwd=desk.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_what_bash_offers(lone_desk: Desk) -> None:
    """An option's words are offered after a blank and after `=`, an argument's in its place, and no others there."""
    assert set(bash_offers(lone_desk, "")) == {*VERBS, "--help", "--version"}
    assert bash_offers(lone_desk, "run", "--changed", "") == ["keep", "rerun"]
    assert bash_offers(lone_desk, "run", "--changed", "=", "r") == ["rerun"]
    assert bash_offers(lone_desk, "run", "--changed", "=") == ["keep", "rerun"]
    assert bash_offers(lone_desk, "retry", "--in-doubt", "=", "s") == ["skip"]
    assert len(bash_offers(lone_desk, "retry", "--in-doubt", "=")) == 4
    assert bash_offers(lone_desk, "retry", "--in-doubt", "") == []
    assert bash_offers(lone_desk, "schema", "--job", "=", "x.jsonl", "tool.c") == ["tool.create"]
    assert bash_offers(lone_desk, "schema", "--job", "x.jsonl", "tool.c") == ["tool.create"]
    assert bash_offers(lone_desk, "schema", "agent.get", "") == []
    assert bash_offers(lone_desk, "plan", "a.jsonl", "--dry") == []
    assert bash_offers(lone_desk, "run", "a.jsonl", "--dry") == ["--dry-run"]


def test_a_shell_that_is_not_known(lone_desk: Desk) -> None:
    """Another shell is refused, and the nearest named."""
    for given, told in (("bsh", "did you mean 'bash'?"), ("powershell", "there are: bash, zsh, fish")):
        ended = lone_desk.bulkops("completion", given)
        assert (ended.code, ended.out) == (2, "")
        assert told in ended.err
