"""The rehearsal of trouble in docs/emulator.md goes as it is told there."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.docs.docs_texts import blocks, calls, environment, matches, play, read, told
from tests.forked import COMMAND, Command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PORT_OF_TEXT = "8765"


@contextmanager
def _serving(command: str, folder: Path, port: str) -> Iterator[str]:
    """Start the server as the text says, but on a free port; give what it prints first."""
    words = [*COMMAND, *shlex.split(command)[1:], "--port", port]
    with Command(
        words,
        cwd=folder,
        env=environment(folder, {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline()
        finally:
            server.terminate()


def test_docs_trouble_rehearsal(tmp_path: Path) -> None:
    """Whoever follows the text sees the lost agent found, the lost call held, the refusal blocked, the rest retried."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    text = read("docs/emulator.md").replace(PORT_OF_TEXT, port)
    found = {block.mark: block for block in blocks(text) if block.mark}
    (tmp_path / "faults.json").write_text(found["file: faults.json"].text, "utf-8")
    (start,) = calls(found["server"])
    environ = dict(re.findall(r"^export (\w+)=(\S+)$", found["environment"].text, re.MULTILINE))
    with _serving(start.command, tmp_path, port) as address:
        assert address.strip() == start.output == environ["BULKOPS_BASE_URL"]
        for call, printed, code in play(text, tmp_path, environ):
            assert matches(call.output, printed), told(call, printed)
            assert code == call.code, told(call, printed)
    assert '"South"' in (tmp_path / "trouble.run/lists/all.jsonl").read_text("utf-8")
