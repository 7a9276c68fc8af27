"""Writes a spool: what came at once with one write and one sync, into files of this process alone."""

from __future__ import annotations

import errno
import os
import secrets
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bulkops.errors import CheckpointError, UsageError
from bulkops.outputs.atomic import make_folder, open_private, sync_folder
from bulkops.webhook.spool import KINDS, SUFFIX, day_of, folder_of, line_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO}
_OPEN = 4
"""So many files are kept open: two kinds, on the two sides of midnight."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event to be kept: of which kind, when it came, the digest of its raw body, and its JSON."""

    kind: str
    received_at: float
    sha256: str
    body: bytes


@dataclass(slots=True)
class _File:
    descriptor: int
    size: int = 0


@dataclass(slots=True)
class SpoolWriter:
    """Appends to a spool. For one thread at a time.

    A file that has reached `rotate` bytes gets no more, and neither does one with which the disk has made trouble:
    what it has may end in half a line.
    """

    spool: Path
    rotate: int
    _files: dict[tuple[str, str], _File] = field(default_factory=dict)

    def prepare(self) -> None:
        """Make the folders that are not there. UsageError or CheckpointError when nothing can be written there."""
        try:
            make_folder(self.spool)
            for kind in KINDS:
                make_folder(self.spool / kind)
                if not os.access(self.spool / kind, os.R_OK | os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as refused:
            why = f"the spool {self.spool} cannot be written: {refused.strerror or refused}"
            if refused.errno in _FULL:
                raise CheckpointError(f"{why}; make room, then start again") from None
            raise UsageError(
                f"{why}; name a folder with --spool that you may write, in one that exists"
            ) from None

    def append(self, deliveries: Sequence[Delivery]) -> None:
        """Keep deliveries: when it returns, all are on the disk. After OSError, some may be and some not."""
        groups: dict[tuple[str, str], list[bytes]] = defaultdict(list)
        for each in deliveries:
            groups[each.kind, day_of(each.received_at)].append(
                line_of(each.received_at, each.sha256, each.body)
            )
        for place, lines in groups.items():
            self._write(place, b"".join(lines))

    def close(self) -> None:
        """Close what is open."""
        for file in self._files.values():
            os.close(file.descriptor)
        self._files.clear()

    def _write(self, place: tuple[str, str], lines: bytes) -> None:
        file = self._file(place)
        rest = memoryview(lines)
        try:
            while rest:
                written = os.write(file.descriptor, rest)
                file.size += written
                rest = rest[written:]
            os.fsync(file.descriptor)
        except OSError:
            if len(rest) < len(lines):
                self._drop(place)
            raise

    def _file(self, place: tuple[str, str]) -> _File:
        file = self._files.get(place)
        if file is not None and file.size < self.rotate:
            return file
        if file is not None:
            self._drop(place)
        elif len(self._files) >= _OPEN:
            self._drop(next(iter(self._files)))
        file = self._files[place] = _File(self._created(*place))
        return file

    def _created(self, kind: str, day: str) -> int:
        folder = folder_of(self.spool, kind, day)
        make_folder(folder)
        # By the time first: files of several processes and days sort as they were begun.
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        path = folder / f"{now}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        descriptor = open_private(path, os.O_WRONLY | os.O_APPEND)
        try:
            sync_folder(folder)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _drop(self, place: tuple[str, str]) -> None:
        with suppress(OSError):
            os.close(self._files.pop(place).descriptor)
