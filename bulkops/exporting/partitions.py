"""From what waits on disk to files, rows and manifests: a part for each day, then the catalogue, in that order.

A kill at any point leaves parts that no manifest names, which are written again, or a manifest that the catalogue does
not know yet, which `recover` takes up.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import orjson

from bulkops.checkpoint.folder import make_private_folder
from bulkops.exporting.catalogue import Sight, State, Version, seen_as
from bulkops.exporting.manifests import NAME, Entry, Part, entries, extended, read_summary
from bulkops.exporting.rows import (
    MOST_EXTRAS,
    Facts,
    changed,
    columns,
    content_of,
    extras_of,
    row_of,
)
from bulkops.model import value
from bulkops.outputs.atomic import PREFIX, disk_errors, sweep, sync_file_system
from bulkops.outputs.dataset import Writer
from bulkops.outputs.names import safe_name
from bulkops.transcripts import as_text, at, kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from bulkops.api.profile import Profile
    from bulkops.exporting.catalogue import Catalogue, Seen, Staged
    from bulkops.exporting.window import Window
    from bulkops.model import Json
    from bulkops.outputs.dataset import Format

WEBHOOK: Final = "webhook"
API: Final = "api"
ROWS: Final = "conversations"
FILES: Final = "transcripts"
GROUP_ROWS: Final = 1_000
GROUP_BYTES: Final = 2 * 2**20
"""A group of rows, which is in memory as a whole, is closed at the first of these."""


@value
class Keeping:
    """What is kept of conversations, and how."""

    api: Profile
    format: Format
    text: bool = False
    redact: tuple[str, ...] = ()
    drop_text: bool = False


@value
class Written:
    """What came into the data set: so many conversations, so many new versions of known ones, in so many parts."""

    conversations: int = 0
    versions: int = 0
    parts: int = 0

    def __add__(self, other: Written) -> Written:
        """Return both together."""
        return Written(
            self.conversations + other.conversations, self.versions + other.versions, self.parts + other.parts
        )


@value
class _Made:
    """A version that is on disk as a file: its row, its entry, and what the catalogue is to know of it."""

    conversation: dict[str, Json]
    facts: Facts
    size: int
    content: bytes
    text: str | None
    seen: tuple[str, ...]


def folder_of(out: Path, kind: str, day: str) -> Path:
    """Return the folder of a day's rows or files."""
    return out / kind / f"day={day}"


def recover(catalogue: Catalogue, out: Path) -> None:
    """Let a catalogue that is new know what manifests tell."""
    if not catalogue.days():
        for day in _days_in(out / ROWS):
            with catalogue.together():
                _catch_up(catalogue, out, day)


def _catch_up(catalogue: Catalogue, out: Path, day: str) -> None:
    """Let the catalogue know what the manifest of a day tells and it does not: a kill came between the two.

    Or it is new, or an older one that was put back.
    """
    path = folder_of(out, ROWS, day) / NAME
    told = read_summary(path)
    if told is None or len(told.parts) <= (parts := catalogue.parts(day)):
        return
    new = {each.name for each in told.parts[parts:]}
    fresh = (each for each in entries(path) if each.part in new)
    while some := list(islice(fresh, 1000)):
        catalogue.see([Sight(e.conversation_id, seen_as(e.seen), e.created) for e in some], 0.0)
        catalogue.exported(
            day, [Version(e.conversation_id, e.version, bytes.fromhex(e.content), e.created) for e in some]
        )
    catalogue.set_parts(day, len(told.parts))


def _days_in(rows: Path) -> list[str]:
    return sorted(path.name.removeprefix("day=") for path in rows.glob("day=*")) if rows.is_dir() else []


def write_staged(catalogue: Catalogue, out: Path, window: Window, keeping: Keeping) -> Written:
    """Write what waits and is wanted into the data set; durable, day by day."""
    done = Written()
    with Writer(keeping.format) as writer:
        for day in catalogue.staged_days():
            with catalogue.together():
                _catch_up(catalogue, out, day)
                for kind in (ROWS, FILES):
                    sweep(folder_of(out, kind, day))
                done += _Partition(catalogue, out, day, keeping, writer).write(window)
    return done


class _Partition:
    def __init__(self, catalogue: Catalogue, out: Path, day: str, keeping: Keeping, writer: Writer) -> None:
        self._writer = writer
        self._catalogue = catalogue
        self._out = out
        self._day = day
        self._keeping = keeping
        self._rows = folder_of(out, ROWS, day)
        self._files = folder_of(out, FILES, day)
        self._extras = catalogue.extras()
        self._now = time.time()
        self._folder = str(self._files)
        self._below = self._files.relative_to(out).as_posix()
        self._ready = False

    def write(self, window: Window) -> Written:
        """Write the part and its manifest, and note it in the catalogue, whose changes the caller commits."""
        made = self._made(window)
        first = next(made, None)
        if first is None:
            return Written()
        make_private_folder(self._rows)
        number = self._catalogue.parts(self._day) + 1
        name = f"part-{number:05}.{self._keeping.format}"
        conversations = versions = 0
        with extended(self._rows / NAME, self._day) as manifest:
            # The columns are those that are known when the first group is whole.
            groups = _grouped(chain([first], made))
            group = next(groups)
            shape = columns(self._extras, drop_text=self._keeping.drop_text)
            named = frozenset(self._extras)
            with self._writer.part(self._rows / name, shape) as rows:
                for each in chain([group], groups):
                    rows.add([row_of(m.conversation, self._keeping.api, m.facts, named) for m in each])
                    for m in each:
                        manifest.add(self._entry(m, name))
                        versions += m.facts.version > 1
                        conversations += m.facts.version == 1
                sync_file_system(self._files)
            path = self._rows / name
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            manifest.end(Part(name, conversations + versions, path.stat().st_size, digest))
        self._catalogue.set_parts(self._day, number)
        return Written(conversations, versions, 1)

    def _entry(self, made: _Made, part: str) -> Entry:
        facts = made.facts
        return Entry(
            facts.id, facts.version, part, facts.source, facts.file, made.size, facts.sha256, made.content.hex(),
            facts.created, made.text, made.seen,
        )  # fmt: skip

    def _made(self, window: Window) -> Iterator[_Made]:
        """Yield what is new, each with its file under its name; what is not is forgotten."""
        with _Contents(self._keeping.api) as contents:
            for staged in self._catalogue.staged(self._day, window):
                ids = {one.id for _, one in staged}
                versions, seen = self._catalogue.versions(ids), self._catalogue.seen(ids)
                new: list[Version] = []
                for _, one in staged:
                    before = versions.setdefault(one.id, [])
                    read = contents.read(one) or self._moved(one)
                    made = None if read is None else self._tried(one, *read, before, seen[one.id])
                    if made is not None:
                        before.append(made.content)
                        new.append(Version(one.id, made.facts.version, made.content, one.created))
                        yield made
                self._catalogue.exported(self._day, new)
                self._catalogue.unstage(number for number, _ in staged)

    def _moved(self, staged: Staged) -> tuple[bytes, dict[str, Json]] | None:
        """Return a conversation whose file was moved here before a kill."""
        if staged.source != API:
            return None
        with _Contents(self._keeping.api) as contents:
            return contents.read(staged._replace(path=f"{self._folder}/{Path(staged.path).name}"))

    def _tried(
        self, staged: Staged, raw: bytes, found: dict[str, Json], before: Sequence[bytes], seen: Seen
    ) -> _Made | None:
        """Do what `_one` does; what cannot be written, such as JSON that nests too deep, is missing."""
        try:
            return self._one(staged, raw, found, before, seen)
        except (TypeError, ValueError, RecursionError) as error:
            words = f"what was received cannot be written: {error}"
            self._catalogue.not_exported(staged.id, State.MISSING, words)
            return None

    def _one(
        self, staged: Staged, raw: bytes, found: dict[str, Json], before: Sequence[bytes], seen: Seen
    ) -> _Made | None:
        """Return the next version of a conversation, None where a reading brings nothing new."""
        api, keeping = self._keeping.api, self._keeping
        conversation = kept(found, api, redact=keeping.redact, drop_text=keeping.drop_text)
        content = changed(before, content_of(conversation, api))
        if content is None:
            return None
        version = len(before) + 1
        stem = safe_name(staged.id) + (f".v{version}" if version > 1 else "")
        data = orjson.dumps(conversation, option=orjson.OPT_APPEND_NEWLINE)
        if staged.source == API and version == 1 and data == raw:
            self._move(staged.path, f"{stem}.json")
        else:
            self._save(f"{stem}.json", data)
        text = None
        told = as_text(conversation.get(api.transcript_field), api.conversation) if keeping.text else None
        if told is not None:
            plain = told.encode("utf-8", "replace")
            self._save(f"{stem}.txt", plain)
            text = hashlib.sha256(plain).hexdigest()
        for name in extras_of(conversation, api):
            if name not in self._extras and len(self._extras) < MOST_EXTRAS:
                self._extras.append(name)
                self._catalogue.add_extra(name)
        facts = Facts(
            staged.id, version, staged.source, f"{self._below}/{stem}.json", hashlib.sha256(data).hexdigest(),
            self._now, staged.created, over=staged.source == WEBHOOK,
        )  # fmt: skip
        return _Made(conversation, facts, len(data), content, text, seen.words)

    def _move(self, path: str, name: str) -> None:
        """Put the file of a run of ours, which holds just what is kept, under its name here."""
        self._make_ready()
        with disk_errors(self._files / name), suppress(FileNotFoundError):
            # One that is not there was moved before a kill.
            os.replace(path, f"{self._folder}/{name}")  # noqa: PTH105 - paths as texts: a million are moved

    def _make_ready(self) -> None:
        if not self._ready:
            make_private_folder(self._files)
            self._ready = True

    def _save(self, name: str, data: bytes) -> None:
        """Write a file aside and rename it; all of them are flushed together, before the manifest names them."""
        self._make_ready()
        # Paths as texts: a million are written.
        path = f"{self._folder}/{name}"
        aside = f"{self._folder}/{PREFIX}{name}.part"
        with disk_errors(self._files / name):
            descriptor = os.open(
                aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                with open(descriptor, "wb", closefd=False) as file:
                    file.write(data)
            finally:
                os.close(descriptor)
            os.replace(aside, path)  # noqa: PTH105 - see above


def _grouped(made: Iterator[_Made]) -> Iterator[list[_Made]]:
    group: list[_Made] = []
    size = 0
    for each in made:
        group.append(each)
        size += each.size
        if len(group) == GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


class _Contents:
    """Reads what waits, from files that hold many; the last one stays open."""

    def __init__(self, api: Profile) -> None:
        self._api = api
        self._path: str | None = None
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._file is not None:
            self._file.close()

    def read(self, staged: Staged) -> tuple[bytes, dict[str, Json]] | None:
        """Return the bytes that wait, and the conversation in them; None where it is not there any more.

        The API is then asked for it.
        """
        if staged.path != self._path:
            self.__exit__()
            self._file, self._path = None, staged.path
            with suppress(FileNotFoundError):
                self._file = Path(staged.path).open("rb")  # noqa: SIM115 - it is closed at the end, or for the next one
        if self._file is None:
            return None
        self._file.seek(staged.offset)
        raw = self._file.read(staged.length)
        found = _parsed(raw)
        # A line of a spool holds the event, and that the conversation.
        if staged.source == WEBHOOK:
            found = at(found, f"event.{self._api.webhook.data_field}")
            if at(found, self._api.webhook.conversation_id_field) != staged.id:
                return None
            found = self._api.conversation_get.heard(found)
        return (raw, found) if isinstance(found, dict) else None


def _parsed(data: bytes) -> Json:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
