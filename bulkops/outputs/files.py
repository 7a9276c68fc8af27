"""The files that operations save: each stands whole under its name before its operation is done."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiofiles
from anyio import CancelScope, CapacityLimiter, to_thread

from bulkops.outputs import atomic
from bulkops.outputs.names import safe_name
from bulkops.outputs.saved import Saved

if TYPE_CHECKING:
    from pathlib import Path

    from aiofiles.threadpool.binary import AsyncBufferedIOBase

    from bulkops.model import Save

FOLDERS = ("lists", "transcripts", "audio")
MOST_KEPT = 16 * 2**20
"""So many bytes, of all operations together, are kept in memory until their operation ends.

A small file then costs one thread hop in all; what comes beyond goes to disk as it comes.
"""
SEALED_AT_ONCE = 8
"""So many operations put their files under their names at once.

Each does so on a thread, which keeps some memory of its own for good; more of them wait for the same disk.
"""
_SUFFIX = re.compile(r"\.[a-z0-9]{1,10}")


@dataclass(slots=True)
class _Part:
    """What was appended to one file so far: in memory, or in a temporary file."""

    target: Path
    kept: list[bytes] = field(default_factory=list)
    spilled: Path | None = None
    file: AsyncBufferedIOBase | None = None


class OutputFiles:
    """Carries out `Save` steps below the run folder, whose lock the caller holds.

    An operation that ends well is finished, any other discarded. A cancellation waits for what was begun.
    What the disk refuses ends as `CheckpointError`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: dict[bytes, dict[Path, _Part]] = {}
        self._kept = 0
        self._made: set[Path] = set()
        self._hands = CapacityLimiter(SEALED_AT_ONCE)

    async def append(self, key: bytes, save: Save) -> None:
        """Add to a file of the operation `key`; it stands under its name only after `finish`."""
        target = self._target(save)
        part = self._parts.setdefault(key, {}).setdefault(target, _Part(target))
        if part.file is None and self._kept + len(save.data) <= MOST_KEPT:
            part.kept.append(save.data)
            self._kept += len(save.data)
            return
        with CancelScope(shield=True), atomic.disk_errors(target):
            await self._spill(part, save.data)

    def holds(self, key: bytes) -> bool:
        """Tell whether an operation has appended something."""
        return key in self._parts

    async def finish(self, key: bytes) -> list[Saved]:
        """Put the operation's files under their names, durably; tell about them in order of their begin."""
        if key not in self._parts:
            return []
        parts = list(self._parts.pop(key).values())
        with CancelScope(shield=True):
            try:
                with atomic.disk_errors(parts[0].target):
                    for part in parts:
                        if part.file is not None:
                            await part.file.close()
                    saved = await to_thread.run_sync(self._seal, parts, limiter=self._hands)
            finally:
                await self._forget(parts)
        return saved

    async def discard(self, key: bytes) -> None:
        """Drop what an operation appended."""
        with CancelScope(shield=True):
            await self._forget(list(self._parts.pop(key, {}).values()))

    def sweep(self) -> int:
        """Remove the temporary files that a killed run left in the run folder; return how many there were."""
        return sum(atomic.sweep(self._folder / name) for name in ("", *FOLDERS))

    def _target(self, save: Save) -> Path:
        if save.folder not in FOLDERS:
            raise ValueError(f"{save.folder!r} is no output folder; there are: {', '.join(FOLDERS)}")
        if not _SUFFIX.fullmatch(save.suffix):
            raise ValueError(f"{save.suffix!r} is no suffix of a file name")
        if save.name is None:
            raise ValueError("a file to save needs a name; the engine gives it that of its operation")
        return self._folder / save.folder / (safe_name(save.name) + save.suffix)

    async def _spill(self, part: _Part, data: bytes) -> None:
        if part.file is None:
            await to_thread.run_sync(self._make_folders, part.target)
            part.spilled = atomic.beside(part.target)
            part.file = await aiofiles.open(part.spilled, "xb", opener=atomic.open_private)
            data = b"".join([*self._taken(part), data])
        await part.file.write(data)

    async def _forget(self, parts: list[_Part]) -> None:
        for part in parts:
            self._taken(part)
            if part.file is not None:
                # A full disk refuses to take what is still buffered; the file goes anyway.
                with suppress(OSError):
                    await part.file.close()
            if part.spilled is not None:
                await to_thread.run_sync(_remove, part.spilled)

    def _taken(self, part: _Part) -> list[bytes]:
        kept, part.kept = part.kept, []
        self._kept -= sum(map(len, kept))
        return kept

    def _make_folders(self, target: Path) -> None:
        if target.parent not in self._made:
            atomic.make_folder(self._folder)
            atomic.make_folder(target.parent)
            self._made.add(target.parent)

    def _seal(self, parts: list[_Part]) -> list[Saved]:
        """Do all that waits for the disk in one go, on a worker thread."""
        saved = [self._seal_one(part) for part in parts]
        for folder in {part.target.parent for part in parts}:
            atomic.sync_folder(folder)
        return saved

    def _seal_one(self, part: _Part) -> Saved:
        if part.spilled is None:
            self._make_folders(part.target)
            data = b"".join(part.kept)
            with atomic.written_aside(part.target) as file:
                file.write(data)
            size, digest = len(data), hashlib.sha256(data).hexdigest()
        else:
            with part.spilled.open("rb") as written:
                digest = hashlib.file_digest(written, "sha256").hexdigest()
                size = written.tell()
                os.fsync(written.fileno())
            part.spilled.replace(part.target)
        return Saved(part.target.relative_to(self._folder).as_posix(), size, digest)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
