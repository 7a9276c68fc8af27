"""The conversations that the API is asked for: a job of our own, and what came of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import orjson

from bulkops.checkpoint import open_reader
from bulkops.checkpoint.folder import make_private_folder
from bulkops.exporting.catalogue import Seen, Sight, Staged, State
from bulkops.exporting.partitions import API
from bulkops.moments import moment
from bulkops.outputs.atomic import atomic_write
from bulkops.settings import RunFolder
from bulkops.transcripts import REDACTED, at

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bulkops.api.profile import Profile
    from bulkops.exporting.catalogue import Catalogue
    from bulkops.exporting.partitions import Keeping
    from bulkops.exporting.window import Window
    from bulkops.model import Json

NOT_FOUND = 404


class Asking:
    """The job, of one part of what is wanted at a time: a kill loses nothing of it, and its end is small."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.job = folder / "job.jsonl"
        self.run = RunFolder(folder / "job.run")

    @property
    def begun(self) -> bool:
        """Whether there is one that was not taken yet."""
        return self.job.exists()

    def write(self, ids: Iterable[str], keeping: Keeping, wait: str) -> None:
        """Write the job."""
        make_private_folder(self._folder)
        shutil.rmtree(self.run.path, ignore_errors=True)
        said: dict[str, Json] = {"deadline": wait, "if_unfinished": "leave"}
        if keeping.redact:
            said["redact"] = list(keeping.redact)
        if keeping.drop_text:
            said["drop_text"] = True
        header = {"name": "export conversations", "defaults": {"conversation.export": said}}
        with atomic_write(self.job) as file:
            file.write(orjson.dumps({"$job": header}, option=orjson.OPT_APPEND_NEWLINE))
            file.writelines(
                orjson.dumps(
                    {"op": "conversation.export", "id": entity, "conversation_id": entity},
                    option=orjson.OPT_APPEND_NEWLINE,
                )
                for entity in ids
            )

    def take(self, catalogue: Catalogue, window: Window, api: Profile) -> bool:
        """Note what came of it; again, where that was not finished. Return whether the API answered with anything."""
        reader = open_reader(self.run.checkpoint)
        if reader is None:
            return False
        answered = False
        with reader, catalogue.together():
            for record in map(orjson.loads, reader.records()):
                answered = record["error"] is None or answered
                self._take(catalogue, record, window, api)
        return answered

    def _take(self, catalogue: Catalogue, record: Json, window: Window, api: Profile) -> None:
        entity, result = record["id"], record["result"]
        created = moment(at(result, api.conversation.created))
        if created is not None:
            catalogue.see([Sight(entity, Seen(0), created)], 0.0)
        error, answered = record["error"], at(result, api.conversation.id)
        if error is not None:
            gone = error["http_status"] == NOT_FOUND
            catalogue.not_exported(entity, State.MISSING, error["message"], gone=gone)
        elif answered not in (None, entity, REDACTED):
            words = f"the API answers with another one: {answered!r:.80}"
            catalogue.not_exported(entity, State.MISSING, words)
        elif result.get("exported") is False:
            status = at(result, api.conversation.status)
            catalogue.not_exported(entity, State.PENDING, f"not over: {status!r:.40}", created)
        elif window.holds(created):
            file = whole_file(record)
            path = (self.run.path / file["path"]).resolve()
            catalogue.stage([Staged(entity, created, API, str(path), 0, file["bytes"])])

    def forget(self) -> None:
        """Remove it: what it brought is in the data set, or not wanted."""
        self.job.unlink(missing_ok=True)
        self.clear()

    def clear(self) -> None:
        """Remove what a kill has left of one that is over."""
        if not self.begun:
            shutil.rmtree(self.run.path, ignore_errors=True)


def whole_file(record: Json) -> Json:
    """Return what the record of an export says of the file with the whole conversation; None where there is none."""
    return next((file for file in record["files"] if file["path"].endswith(".json")), None)
