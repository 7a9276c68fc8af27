"""The command in a process of its own, forked from one that has already imported what it needs.

Nine tenths of what a short command takes is the loading of its modules, and the tests start more than a thousand of
them. A fork is a process like any other: it is signalled, killed, waited for and traced by its own id. Whatever makes
the start itself matter (another interpreter, another program around it, limits set before it) is started for real, and
so is everything in `make soak`; tests/test_forked.py holds the two ways against each other.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

SOURCE = str(Path(__file__).parents[1])
"""Where commands find the package: where the tests stand."""
INTERPRETER = {"PYTHONPATH": SOURCE, "PYTHONWARNINGS": "error::ResourceWarning"}
"""What the environment of a forked command tells Python. It counts when Python starts, so it must be just this."""
OF_THE_START = ("PYTHON", "LANG", "LC_", "LD_", "TZ", "MALLOC_")
COMMAND = (sys.executable, "-m", "bulkops")
LARGEST = 100_000
"""Bytes that fit into one message between processes."""
PR_SET_CHILD_SUBREAPER = 36


class Command(subprocess.Popen[str]):
    """A command that is running: forked if it is one of ours and its start does not matter, else started."""

    def __init__(self, words: list[str], **more: Any) -> None:
        self._asked = _message(words, more)
        super().__init__(words, **more)

    def _execute_child(self, *given: Any) -> None:
        """Fork instead of starting; `given` is what Popen hands on, the ends of the pipes from the eleventh on."""
        if self._asked is None:
            super()._execute_child(*given)  # type: ignore[misc] # it is not in the published types
            return
        ends = given[10:16]
        own = [end if end >= 0 else number for number, end in enumerate((ends[0], ends[3], ends[5]))]
        try:
            self.pid = _nursery().fork(self._asked, own)
            self._child_created = True
        finally:
            self._close_pipe_fds(*ends)  # type: ignore[attr-defined] # the same


class Nursery:
    """The process from which commands are forked; it ends with the connection to it."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._turn = threading.Lock()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OF_THE_START)}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
                env={**kept, **INTERPRETER},
                cwd=SOURCE,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def fork(self, asked: bytes, own: list[int]) -> int:
        """Fork a command whose standard streams are `own`; its process is a child of this one."""
        with self._turn:
            _adopt_orphans(wanted=True)
            try:
                socket.send_fds(self._connection, [asked], own)
                return int(self._connection.recv(LARGEST))
            finally:
                _adopt_orphans(wanted=False)

    def end(self) -> None:
        """Let the process end."""
        self._connection.close()
        self._process.wait()


@cache
def _nursery() -> Nursery:
    nursery = Nursery()
    atexit.register(nursery.end)
    return nursery


def _adopt_orphans(*, wanted: bool) -> None:
    """Become the parent of processes below this one that lose theirs, so that they can be waited for."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)


def _message(words: list[str], more: dict[str, Any]) -> bytes | None:
    """Return what is asked of the nursery; None for what has to be started."""
    env = more.get("env") or {}
    told = {name: value for name, value in env.items() if name.startswith(OF_THE_START)}
    if (
        sys.platform != "linux"
        or os.environ.get("SOAK")
        or tuple(words[:3]) != COMMAND
        or told != INTERPRETER
        or more.keys() - {"cwd", "env", "stdin", "stdout", "stderr", "text"}
    ):
        return None
    asked = json.dumps({"words": words[3:], "env": env, "cwd": str(more.get("cwd") or Path.cwd())}).encode()
    return asked if len(asked) < LARGEST else None


def _serve(connection: socket.socket) -> dict[str, Any]:
    """Fork for each message until the other side is gone; in a fork, return what it is to do."""
    while True:
        asked, own, _, _ = socket.recv_fds(connection, LARGEST, 3)
        if not asked:
            connection.close()
            sys.exit()
        reader, writer = os.pipe()
        between = os.fork()
        if not between:
            number = os.fork()
            if number:
                os.write(writer, str(number).encode())
                os._exit(0)  # and the fork is an orphan, for the process of the test to adopt
            for end in (reader, writer, connection.detach()):
                os.close(end)
            for number, end in enumerate(own):
                os.dup2(end, number)
                os.close(end)
            todo: dict[str, Any] = json.loads(asked)
            return todo
        os.waitpid(between, 0)
        connection.send(os.read(reader, LARGEST))
        for end in (reader, writer, *own):
            os.close(end)


def _load() -> None:
    """Import what commands need, their entry apart, and leave it out of what is ever collected."""
    import importlib
    import pkgutil

    import bulkops

    for module in pkgutil.walk_packages(bulkops.__path__, "bulkops."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert len([*Path("/proc/self/task").iterdir()]) == 1, "a fork of a process with threads may hang"
    gc.collect()
    gc.freeze()


def _become(todo: dict[str, Any]) -> None:
    """Take over what a started process would have been given."""
    os.environ.clear()
    os.environ.update(todo["env"])
    os.chdir(todo["cwd"])
    sys.path[0] = todo["cwd"]
    sys.argv = ["bulkops", *todo["words"]]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # type: ignore[misc] # noqa: SIM115
    for name, number, errors in (("stdout", 1, "surrogateescape"), ("stderr", 2, "backslashreplace")):
        raw = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
        whole_lines = name == "stderr" or raw.isatty()
        stream = io.TextIOWrapper(raw, "utf-8", errors, line_buffering=whole_lines)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is for the tests
        _load()
        ASKED = _serve(socket.socket(fileno=int(sys.argv[1])))
    _become(ASKED)
    runpy.run_module("bulkops", run_name="__main__", alter_sys=True)
