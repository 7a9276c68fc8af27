"""Where conversations are seen: in the spool of a webhook, in a file of ids, in an earlier run, in the listing."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Final

import orjson

from bulkops.api.profile import is_entity_id
from bulkops.checkpoint import open_reader
from bulkops.errors import UsageError
from bulkops.exporting.asking import whole_file
from bulkops.exporting.catalogue import Seen, Sight, Staged
from bulkops.exporting.partitions import WEBHOOK
from bulkops.exporting.rows import created_of
from bulkops.moments import moment
from bulkops.reporting.words import number
from bulkops.transcripts import at
from bulkops.webhook import spool
from bulkops.webhook.event import conversation_of, happened_at, is_post_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from bulkops.api.profile import Profile
    from bulkops.checkpoint.rows import OperationRow
    from bulkops.exporting.catalogue import Catalogue
    from bulkops.exporting.window import Window
    from bulkops.model import Json

LISTING: Final = "listing"
CONVERSATIONS: Final = "conversation.list"
"""The listing of the API that is meant by that."""
CHECKPOINT: Final = "checkpoint.db"
_AT_ONCE: Final = 5_000
_KINDS: Final = "conversation."
RUN: Final = "run"


def check(named: Path, api: Profile) -> None:
    """Raise UsageError for what is no source."""
    if is_listing(named):
        if CONVERSATIONS not in api.listings():
            raise UsageError(f"--ids-from {LISTING}: the API {api.name!r} has no listing of conversations")
        return
    if not named.exists():
        raise UsageError(f"--ids-from: there is no {named}; name a file of ids, a spool or a run folder")
    if named.is_dir() and any(named.iterdir()) and not (_is_run(named) or _is_spool(named)):
        raise UsageError(
            f"--ids-from: {named} is neither the run folder of a job nor a spool of `bulkops listen`"
        )


def is_listing(named: Path) -> bool:
    """Tell whether the API's listing is meant, and no file that is called so."""
    return str(named) == LISTING and not named.exists()


def _is_run(folder: Path) -> bool:
    return (folder / CHECKPOINT).exists()


def _is_spool(folder: Path) -> bool:
    return any((folder / kind).is_dir() for kind in spool.KINDS)


class Gathering:
    """Notes in the catalogue what sources have, and stages what is whole there already.

    `export` is the number of the export, `again` from when on what is exported may be looked at again. `lost` counts
    what a source had and nobody can tell any more which conversation it was about; `note` is told of each.
    """

    def __init__(
        self, catalogue: Catalogue, api: Profile, *, export: int, again: float, note: Callable[[str], None]
    ) -> None:
        self._catalogue = catalogue
        self._api = api
        self._export = export
        self._again = again
        self._note = note
        self._now = time.time()
        self.lost = 0

    def take(self, named: Path) -> None:
        """Read a source; a spool from where the last export has ended, in steps that are durable each.

        UsageError for a file that holds what is no id; nothing of it is noted then.
        """
        if not named.is_dir():
            with self._catalogue.together():
                ids = (Sight(entity, Seen.NAMED) for entity in _listed(named, self._api))
                self._catalogue.see(ids, self._now, self._export, self._again)
        elif _is_run(named):
            self._of_run(named)
        else:
            for file in spool.files(named.resolve(), spool.POST_CALL):
                self._of_file(file.path)

    def see_listed(self, rows: Iterable[Json], wanted: Window) -> None:
        """Note the wanted of a listing, durably: it has them all each time, so what is exported is not read again."""
        listing = self._api.listing(CONVERSATIONS)
        sights = [
            Sight(at(row, listing.id_field), Seen.LISTING, moment(at(row, listing.created_field or "")))
            for row in rows
        ]
        with self._catalogue.together():
            known = (sight for sight in sights if is_entity_id(sight.id) and wanted.holds(sight.created))
            self._catalogue.see(known, self._now)
        for sight in sights:
            if not is_entity_id(sight.id):
                self._lose(f"the listing has a row with {sight.id!r:.80}, which is no id; it is left out")

    def _lose(self, words: str) -> None:
        self.lost += 1
        self._note(words)

    def _of_file(self, file: Path) -> None:
        path, size = str(file), file.stat().st_size
        offset = self._catalogue.offset(path)
        if size < offset:
            self._note(f"{path} is shorter than it was: it is read from its begin")
            offset = 0
        if size == offset:
            return
        found = self._events(file, path, offset)
        while some := list(islice(found, _AT_ONCE)):
            with self._catalogue.together():
                self._catalogue.see((sight for sight, _, _ in some if sight is not None), self._now)
                self._catalogue.stage(staged for _, staged, _ in some if staged is not None)
                self._catalogue.read_to(path, some[-1][2])

    def _events(
        self, file: Path, path: str, offset: int
    ) -> Iterator[tuple[Sight | None, Staged | None, int]]:
        """Yield what each event says, where its content stands if it is whole, and where it ends."""
        for line in spool.read(file, offset, problem=lambda damage: self._lose(str(damage))):
            entity, created = _told(line.event, self._api)
            end = line.offset + line.length
            if entity is None:
                self._lose(f"{path}: the event at byte {line.offset:,} names no conversation; it is left out")
                yield None, None, end
                continue
            whole = _is_whole(line.event, self._api)
            staged = Staged(entity, created, WEBHOOK, path, line.offset, line.length) if whole else None
            yield Sight(entity, Seen.WEBHOOK, created), staged, end

    def _of_run(self, folder: Path) -> None:
        """Note the conversations of a run: those that it exported are taken from it, others asked for."""
        reader = open_reader(folder / CHECKPOINT)
        if reader is None:
            return
        unnamed = 0
        with reader:
            found = (row for row in reader.rows() if row.kind.startswith(_KINDS))
            while some := list(islice(found, _AT_ONCE)):
                told = [_in_run(row, folder, self._api) for row in some]
                unnamed += told.count(None)
                known = [each for each in told if each is not None]
                whole = {sight.id: staged for sight, staged in known if staged is not None}
                with self._catalogue.together():
                    self._catalogue.see((sight for sight, staged in known if staged is not None), self._now)
                    others = (sight for sight, staged in known if staged is None and sight.id not in whole)
                    self._catalogue.see(others, self._now, self._export, self._again)
                    self._catalogue.stage(whole.values())
        if unnamed:
            self.lost += unnamed - 1
            self._lose(
                f"{folder}: {number(unnamed, 'operation')} that are not done do not tell their conversation"
            )


def _told(event: Json, api: Profile) -> tuple[str | None, float | None]:
    """Return the conversation that an event is about, and when it began."""
    entity = conversation_of(event, api.webhook) if is_post_call(event, api.webhook) else None
    if not is_entity_id(entity):
        return None, None
    return entity, created_of(
        api.conversation_get.heard(event[api.webhook.data_field]), api, happened_at(event, api.webhook)
    )


def _is_whole(event: Json, api: Profile) -> bool:
    return event[api.webhook.data_field].get(api.transcript_field) is not None


def _listed(file: Path, api: Profile) -> Iterator[str]:
    """Yield the ids of a file: one on each line, or JSON lines that have them under the API's own name."""
    with file.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            line = raw.removeprefix(b"\xef\xbb\xbf").strip()
            if not line:
                continue
            entity = (
                _field(line, api.conversation.id) if line.startswith(b"{") else line.decode(errors="replace")
            )
            if not is_entity_id(entity):
                raise UsageError(
                    f"{file}, line {number}: {line[:80].decode(errors='replace')!r} is no id of a conversation; write "
                    f"one on each line, or JSON lines with `{api.conversation.id}`"
                )
            yield entity


def _field(line: bytes, name: str) -> Json:
    try:
        return at(orjson.loads(line), name)
    except orjson.JSONDecodeError:
        return None


def _in_run(row: OperationRow, folder: Path, api: Profile) -> tuple[Sight, Staged | None] | None:
    """Return what an operation of a run tells: its conversation, and where that stands if it was exported."""
    record = orjson.loads(row.record)
    told = record["result"]
    if told is None and row.raw is not None:
        # Not done; the line says what for, unless a template or a row does.
        told = orjson.loads(row.raw)
    entity = at(told, api.conversation.id)
    if not is_entity_id(entity):
        return None
    created = moment(at(record["result"], api.conversation.created))
    file = _file_of(record, folder)
    staged = None if file is None else Staged(entity, created, RUN, str(file[0]), 0, file[1])
    return Sight(entity, Seen.NAMED, created), staged


def _file_of(record: Json, folder: Path) -> tuple[Path, int] | None:
    """Return the file that a run has written, and its length; None where it has written none, or it is gone."""
    file = whole_file(record)
    path = file and (folder / file["path"]).resolve()
    if path is None or not path.is_file() or path.stat().st_size != file["bytes"]:
        return None
    return path, file["bytes"]
