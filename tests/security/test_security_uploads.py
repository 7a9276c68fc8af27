"""Which files may be sent: those that the user may read, and with --upload-root only those below it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from bulkops.errors import OperationFailed
from bulkops.sending import Gate
from bulkops.sending.body import GatedForm
from bulkops.sending.confining import open_upload
from tests.e2e.e2e_commands import check_ending, results
from tests.sending.sending_doubles import answers, attempt, raw_server, run, upload, wired

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.e2e_commands import Desk


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a folder with files, links and oddities, and secrets beside it."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.txt").write_text("secret")
    root = tmp_path / "root"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "a.txt").write_text("a")
    (root / "deep" / "er" / "a.txt").write_text("a")
    (root / "link.txt").symlink_to("../secret.txt")
    (root / "inside.txt").symlink_to("a.txt")
    (root / "folder").symlink_to("../elsewhere")
    (tmp_path / "root-of-others").mkdir()
    (tmp_path / "root-of-others" / "a.txt").write_text("secret")
    return root


@pytest.mark.parametrize("path", ["a.txt", "deep/er/a.txt", "deep/../a.txt", "./deep//er/a.txt"])
def test_what_lies_below_the_root_is_sent(root: Path, path: str) -> None:
    """Files below the root are opened, however their path is spelled."""
    with os.fdopen(open_upload(f"{root}/{path}", root), "rb") as file:
        assert file.read() == b"a"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "deep/../../secret.txt",
        "link.txt",
        "inside.txt",
        "folder/b.txt",
        "../root-of-others/a.txt",
        "",
        "/etc/passwd",
    ],
)
def test_what_lies_elsewhere_is_not_opened(root: Path, path: str) -> None:
    """Neither by dots, nor by links to files or folders, nor by a name that only begins alike."""
    with pytest.raises((OperationFailed, OSError)):
        os.close(open_upload(os.path.join(root, path), root))  # noqa: PTH118 - as the job file's paths are joined


@pytest.mark.parametrize("change", ["link", "other file", "pipe"])
def test_what_takes_a_files_place_is_withheld(root: Path, change: str) -> None:
    """Exchanged between the look and the reading, a file that became something else is not even begun."""
    form = upload(root / "a.txt").form
    assert form is not None
    gate = Gate()
    body = GatedForm(form, gate)
    (root / "a.txt").unlink()
    if change == "link":
        (root / "a.txt").symlink_to("../secret.txt")
    elif change == "pipe":
        os.mkfifo(root / "a.txt")
    else:
        (root / "a.txt").write_text("b")

    sent = b""

    async def main() -> None:
        nonlocal sent
        with suppress(EOFError):
            async for chunk in body:
                sent += chunk

    run(main())
    assert sent.endswith(b"\r\n\r\n")
    assert not gate.passed
    assert gate.trouble is not None
    assert "nothing was uploaded" in gate.trouble.message


def test_a_pipe_that_takes_a_files_place_keeps_nobody_waiting(root: Path) -> None:
    """A pipe that nobody writes to is not waited for: it is no regular file."""
    os.mkfifo(root / "pipe")

    async def main() -> None:
        async with raw_server(answers) as server, wired(server.base_url) as wire:
            with pytest.raises(OperationFailed, match="not a regular file"):
                await wire.send(attempt(upload(root / "pipe")))
            assert server.arrivals == []

    run(main())


def test_the_command_keeps_to_the_root(desk: Desk) -> None:
    """With --upload-root a file elsewhere fails its line and leaves nothing; without it any file may be sent."""
    inside = desk.folder / "docs"
    inside.mkdir()
    (inside / "a.txt").write_text("a" * 100)
    (desk.folder / "b.txt").write_text("b" * 100)
    lines = [{"op": "document.upload", "id": name, "file": name} for name in ("docs/a.txt", "b.txt")]
    job = desk.job(lines)
    ended = desk.run(job, "--upload-root", "docs")
    assert ended.code == 3, ended.err
    check_ending(job, ended)
    assert [row["status"] for row in results(job)] == ["done", "failed"]
    assert results(job)[1]["error"]["code"] == "outside"
    assert desk.made("document.upload") == ["a.txt"]
    assert desk.retry(job).code == 0
    assert desk.made("document.upload") == ["a.txt", "b.txt"]
