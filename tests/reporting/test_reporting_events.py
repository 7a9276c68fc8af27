from __future__ import annotations

import os
from typing import TYPE_CHECKING

import orjson
import pytest

from bulkops.reporting.events import EventLog
from bulkops.reporting.redacting import Redacting
from bulkops.settings import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from bulkops.model import Json

KEY = "sk_0123456789"


def opened(path: Path, log_file: Path | None = None) -> EventLog:
    """Return a log with a key to hide, whose clock stands still."""
    return EventLog(
        path,
        redact=Redacting([Secret(KEY)]),
        secret_fields=frozenset({"signed_url"}),
        log_file=log_file,
        now=lambda: 1.5,
    )


def read(path: Path) -> list[Json]:
    """Return the events of a file."""
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_an_event_is_there_at_once(tmp_path: Path) -> None:
    """An event is in the file when `note` returns, with its type and time first."""
    path = tmp_path / "events.jsonl"
    with opened(path) as log:
        log.note("retry", id="a", attempt=2)
        assert path.read_bytes() == b'{"type":"retry","at":"1970-01-01T00:00:01.500Z","id":"a","attempt":2}\n'


def test_events_are_appended(tmp_path: Path) -> None:
    """A later run's events follow; a line that a crash cut short spoils only itself."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"type":"run_started"}\n{"type":"ret')
    with opened(path) as log:
        log.note("run_started")
    lines = path.read_bytes().splitlines()
    assert lines[1] == b'{"type":"ret'
    assert orjson.loads(lines[2])["type"] == "run_started"


def test_no_secret_is_in_events(tmp_path: Path) -> None:
    """Keys are hidden and secret fields left out, at any depth, in both files."""
    path, lines = tmp_path / "events.jsonl", tmp_path / "log"
    with opened(path, lines) as log:
        log.note(
            "warning",
            message=f"bad {KEY}",
            result={"signed_url": "wss://x", "rows": [{KEY: [KEY]}]},
            signed_url="y",
        )
    [event] = read(path)
    assert event["message"] == "bad ***"
    assert event["result"] == {"rows": [{"***": ["***"]}]}
    for content in (path.read_text(), lines.read_text()):
        assert KEY not in content
        assert "signed_url" not in content


def test_the_log_file_is_for_people(tmp_path: Path) -> None:
    """The log file has a line for each event, with its time, that no terminal obeys."""
    path = tmp_path / "log"
    with opened(tmp_path / "events.jsonl", path) as log:
        log.note("operation_failed", id="a", line=3, message="no\x1b[2J\nway", status=None)
    assert path.read_text() == (
        "1970-01-01T00:00:01.500Z operation_failed id=a line=3 message=no\\x1b[2J\\nway\n"
    )


def test_both_files_are_private(tmp_path: Path) -> None:
    """Only the owner may read the events."""
    opened(tmp_path / "a", tmp_path / "b").close()
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "ab"] == [0o600, 0o600]


def test_any_text_can_be_an_event(tmp_path: Path) -> None:
    """A file name that is no valid Unicode, or a value JSON does not know, does not end the run."""
    with opened(tmp_path / "events.jsonl") as log:
        log.note("warning", file="a\udcff", path=tmp_path)
    [event] = read(tmp_path / "events.jsonl")
    assert (event["file"], event["path"]) == ("a\\udcff", str(tmp_path))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")  # noqa: PTH110
def test_a_full_disk_ends_the_log_not_the_run(tmp_path: Path) -> None:
    """When the disk refuses an event, the log says so once and the run goes on."""
    path = tmp_path / "events.jsonl"
    path.symlink_to("/dev/full")
    log = opened(path)
    log.note("retry")
    log.note("retry")
    assert log.trouble is not None
    assert "No space left" in log.trouble
    log.close()
