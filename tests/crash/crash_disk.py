"""A disk as a power cut may leave it: replays what a run changed, and forgets what was not synced.

What POSIX promises, and no more: the content of a file is there after fsync or fdatasync of it, its name after fsync
of the folder. Whatever was not synced may be there or not, in any order, or torn at 512 bytes. A rename is one thing:
the old name or the new one; so is the making or the end of a name.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from pathlib import Path

SECTOR = 512
_HEAD = struct.Struct("=IIQQQQ")


class What(IntEnum):
    """What a record tells of."""

    OPENED = 1
    WRITTEN = 2
    TRUNCATED = 3
    SYNCED = 4
    RENAMED = 5
    UNLINKED = 6
    FOLDER_MADE = 7


@dataclass(frozen=True, slots=True)
class Change:
    """One record: `began` is when the call began, in seconds since the epoch."""

    what: What
    began: float
    ino: int
    offset: int
    path: str
    data: bytes


def changes(log: Path) -> list[Change]:
    """Return what a recorder wrote down, in order."""
    found = []
    with log.open("rb") as file:
        while head := file.read(_HEAD.size):
            what, path_length, began, ino, offset, length = _HEAD.unpack(head)
            path = os.fsdecode(file.read(path_length))
            found.append(Change(What(what), began / 1e9, ino, offset, path, file.read(length)))
    return found


Pending: TypeAlias = tuple[int, bytes] | int
"""A write (offset, data) or a new length."""


@dataclass(slots=True)
class File:
    """What is on disk of a file, and what was done to it since."""

    safe: bytearray = field(default_factory=bytearray)
    pending: list[Pending] = field(default_factory=list)

    def content(self) -> bytes:
        """Return what a process sees."""
        return _applied(self.safe, self.pending)

    def sync(self) -> None:
        """Put everything on disk."""
        if self.pending:
            self.safe, self.pending = bytearray(self.content()), []


@dataclass(slots=True)
class Folder:
    """The names that are on disk, and what was done to them since: a name and what it stands for, None for an end."""

    safe: dict[str, File | Folder] = field(default_factory=dict)
    pending: list[list[tuple[str, File | Folder | None]]] = field(default_factory=list)

    def names(self) -> dict[str, File | Folder]:
        """Return what a process sees."""
        return _named(self.safe, self.pending)

    def sync(self) -> None:
        """Put all names on disk."""
        self.safe, self.pending = self.names(), []


class Disk:
    """The folder that was recorded, as it was at one record after the other."""

    def __init__(self, prefix: Path, before: Path) -> None:
        """Begin with what is in `before`, all of it on disk."""
        self._prefix = str(prefix)
        self.root = _loaded(before)
        self._by_ino: dict[int, File | Folder] = {}

    def apply(self, change: Change) -> None:
        """Take the next record into account."""
        match change.what:
            case What.OPENED:
                if not change.offset:  # it was not there before
                    folder, name = self._place(change.path)
                    folder.pending.append([(name, File())])
                self._by_ino[change.ino] = self._at(change.path)
            case What.FOLDER_MADE:
                folder, name = self._place(change.path)
                folder.pending.append([(name, Folder())])
            case What.WRITTEN:
                self._file(change.ino).pending.append((change.offset, change.data))
            case What.TRUNCATED:
                self._file(change.ino).pending.append(change.offset)
            case What.SYNCED:
                self._by_ino[change.ino].sync()
            case What.RENAMED:
                old, _, new = change.path.partition("\0")
                folder, name = self._place(old)
                target, new_name = self._place(new)
                assert folder is target, "files move within their folder only"
                folder.pending.append([(name, None), (new_name, folder.names()[name])])
            case What.UNLINKED:
                folder, name = self._place(change.path)
                folder.pending.append([(name, None)])

    def state(self, chance: random.Random) -> dict[str, bytes]:
        """Return what may be left after a power cut now: files by path, as drawn."""
        how = chance.choice(WAYS)
        torn = chance.random() < 0.5
        left: dict[str, bytes] = {}

        def collect(folder: Folder, path: str) -> None:
            kept_names = _drawn(folder.pending, how, chance)
            for name, thing in _named(folder.safe, kept_names).items():
                if isinstance(thing, Folder):
                    collect(thing, f"{path}{name}/")
                    continue
                kept = _drawn(thing.pending, how, chance)
                if torn and kept:
                    last = chance.randrange(len(kept))
                    kept[last : last + 1] = _torn(kept[last], chance)
                left[path + name] = _applied(thing.safe, kept)

        collect(self.root, "")
        return left

    def _place(self, path: str) -> tuple[Folder, str]:
        """Return the folder of a path, and the name in it."""
        parent, _, name = path.rpartition("/")
        folder = self._at(parent)
        assert isinstance(folder, Folder)
        return folder, name

    def _at(self, path: str) -> File | Folder:
        thing: File | Folder = self.root
        for name in path.removeprefix(self._prefix).strip("/").split("/"):
            if name:
                assert isinstance(thing, Folder)
                thing = thing.names()[name]
        return thing

    def _file(self, ino: int) -> File:
        file = self._by_ino[ino]
        assert isinstance(file, File)
        return file


WAYS = ("nothing", "everything", "up to a moment", "any", "any", "nearly everything")
"""What is kept of what was not synced."""
T = TypeVar("T")


def _drawn(pending: Sequence[T], how: str, chance: random.Random) -> list[T]:
    match how:
        case "nothing":
            return []
        case "everything":
            return list(pending)
        case "up to a moment":
            return list(pending[: chance.randint(0, len(pending))])
        case "nearly everything":
            return [each for each in pending if chance.random() < 0.9]
        case _:
            return [each for each in pending if chance.random() < 0.5]


def _torn(one: Pending, chance: random.Random) -> list[Pending]:
    """Keep some sectors of a write."""
    if isinstance(one, int):
        return [one]
    offset, data = one
    pieces: list[Pending] = []
    start = 0
    while start < len(data):
        end = min(len(data), (offset + start) // SECTOR * SECTOR + SECTOR - offset)
        if chance.random() < 0.5:
            pieces.append((offset + start, data[start:end]))
        start = end
    return pieces


def _applied(safe: bytes | bytearray, pending: Sequence[Pending]) -> bytes:
    content = bytearray(safe)
    for one in pending:
        if isinstance(one, int):
            del content[one:]
            content.extend(bytes(one - len(content)))
            continue
        offset, data = one
        if len(content) < offset:
            content.extend(bytes(offset - len(content)))
        content[offset : offset + len(data)] = data
    return bytes(content)


def _named(
    safe: dict[str, File | Folder], pending: Sequence[list[tuple[str, File | Folder | None]]]
) -> dict[str, File | Folder]:
    names = dict(safe)
    for one in pending:
        for name, thing in one:
            if thing is None:
                names.pop(name, None)
            else:
                names[name] = thing
    return names


def _loaded(folder: Path) -> Folder:
    return Folder(
        {
            path.name: _loaded(path) if path.is_dir() else File(bytearray(path.read_bytes()))
            for path in folder.iterdir()
        }
    )
