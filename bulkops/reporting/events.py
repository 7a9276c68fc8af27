"""What happened, while it happens: `events.jsonl` for programs, and the same as lines of a log for people."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Literal, Self, TypeAlias

import orjson

from bulkops.reporting.text import safe_text
from bulkops.reporting.words import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from bulkops.model import Json

Type: TypeAlias = Literal[
    "run_started",
    "operation_failed",
    "in_doubt",
    "retry",
    "paused",
    "lengthened",
    "limit",
    "stalled",
    "warning",
    "sample",
    "stopped",
    "run_finished",
]


class EventLog:
    """Appends events to a file, flushed one by one; both files are their owner's alone (0600).

    Texts pass `redact`; fields named in `secret_fields` are left out at any depth. The log serves the run and
    does not end it: when the disk refuses an event, `trouble` says why and nothing more is written.
    """

    def __init__(
        self,
        path: Path,
        *,
        redact: Callable[[str], str],
        secret_fields: frozenset[str],
        log_file: Path | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.trouble: str | None = None
        self._redact = redact
        self._secret_fields = secret_fields
        self._now = now
        self._events = _appending(path)
        self._lines = None if log_file is None else _appending(log_file)

    def note(self, type: Type, **fields: Json) -> None:
        """Write an event."""
        if self.trouble is not None:
            return
        at = rfc3339(self._now())
        clean = self._clean(fields)
        try:
            self._events.write(orjson.dumps({"type": type, "at": at, **clean}, default=str) + b"\n")
            self._events.flush()
            # What was counted is for programs; it would bury what happened.
            if self._lines is not None and type != "sample":
                self._lines.write(_line(type, at, clean).encode() + b"\n")
                self._lines.flush()
        except OSError as refused:
            self.trouble = f"events are no longer written: {refused.strerror or refused}"

    def close(self) -> None:
        """Close the files."""
        for file in (self._events, self._lines):
            # A full disk refuses what is still buffered; `trouble` told so already.
            with suppress(OSError):
                if file is not None:
                    file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _clean(self, value: Json) -> Json:
        if isinstance(value, str):
            # Half of a surrogate pair (from a file name) cannot be written as UTF-8.
            return self._redact(value).encode("utf-8", "backslashreplace").decode()
        if isinstance(value, Mapping):
            return {
                self._clean(str(key)): self._clean(inner)
                for key, inner in value.items()
                if key not in self._secret_fields
            }
        if isinstance(value, list | tuple):
            return [self._clean(inner) for inner in value]
        return value


def _appending(path: Path) -> BinaryIO:
    """Open a file to append whole lines; one that a crash cut short is ended first."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    file = os.fdopen(os.open(path, flags, 0o600), "ab")
    size = os.fstat(file.fileno()).st_size
    if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
        file.write(b"\n")
    return file


def _line(type_: str, at: str, fields: Mapping[str, Json]) -> str:
    told = (f"{name}={_told(value)}" for name, value in fields.items() if value is not None)
    return " ".join([at, type_, *told])


def _told(value: Json) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    shown = safe_text(text)
    return f'"{shown}"' if not shown or " " in shown else shown
