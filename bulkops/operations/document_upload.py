"""Upload a document to the knowledge base, and index it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from bulkops.model import Find
from bulkops.operation import TEXT, Operation, checked, duration, seconds, text, upload
from bulkops.polling import indexed
from bulkops.uploading import file_form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps

_WAYS = ("create", "skip")


def _is_index(value: Any) -> str | None:
    if (
        isinstance(value, dict)
        and set(value) == {"model"}
        and isinstance(value["model"], str)
        and value["model"]
    ):
        return None
    return 'has to name the embedding model, such as {"model": "e5_mistral_7b"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadDocument(Operation):
    """Upload a file; with `index`, also compute its index and wait until it can be searched.

    API reference: Upload Document, Compute RAG Index, Get RAG Index Status. Other lines go on meanwhile, and a
    later run goes on waiting without uploading or computing again.
    """

    kind: ClassVar[str] = "document.upload"
    makes: ClassVar[str | None] = "document"
    example: ClassVar[Mapping[str, Json]] = {
        "op": "document.upload",
        "file": "handbook.md",
        "name": "Support Documentation",
        "index": {"model": "e5_mistral_7b"},
    }

    file: str = upload("the file to send; a relative path starts at the job file's folder")
    name: str | None = text("the document's name; without it the file's")
    index: Json = checked(
        'the index to compute, such as {"model": "e5_mistral_7b"}',
        _is_index,
        {
            "type": "object",
            "properties": {"model": TEXT},
            "required": ["model"],
            "additionalProperties": False,
        },
    )
    if_exists: str | None = checked(
        "what is done where this run, or one that --ledger names, has uploaded the same content under the same name: "
        "create (default: upload it again), skip",
        lambda value: None if value in _WAYS else f"has to be one of {', '.join(_WAYS)}",
        {"enum": list(_WAYS)},
    )
    deadline: str = duration("how long to wait for the index", default="30m")

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        form = file_form(api, self.file, (api.upload_name_field, self.name or PurePath(self.file).name))
        known: dict[str, Json] = {}
        if self.if_exists == "skip":
            looked = yield Find("document", form.fields[0][1], api.document_upload.name, self.file)
            found = looked.json["found"] if looked.json else []
            known = {"sha256": looked.json["sha256"]} if looked.json else {}
            if found:
                return (yield from self._taken(api, found[0], form.fields[0][1], known))
        uploaded = yield api.document_upload.request(form=form)
        return (yield from self._indexed(api, {**uploaded.json, **known}))

    def _taken(self, api: Profile, found: Json, name: str, known: dict[str, Json]) -> Steps:
        """Take a document that is there already, and index it unless it was."""
        document = {api.document_id_field: found["id"], api.name_field: name, **known, "existed": True}
        watch = api.watches["index"]
        told = {watch.status_field: found.get("status")}
        if (
            self.index is not None
            and found.get("model") == self.index["model"]
            and watch.status(told) in watch.ready
        ):
            return {**document, **told, api.index_model_field: found["model"]}
        return (yield from self._indexed(api, document))

    def _indexed(self, api: Profile, document: dict[str, Json]) -> Steps:
        if self.index is None:
            return document
        index = yield from indexed(
            api,
            document[api.document_id_field],
            self.index["model"],
            seconds(self.deadline),
            file=self.file,
        )
        # Not every answer says which index it is about.
        return {**document, api.index_model_field: self.index["model"], **index}
