"""Upload a document to the knowledge base, and index it."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from bulkops.model import Form
from bulkops.operation import TEXT, Operation, checked, duration, seconds, text, upload
from bulkops.polling import indexed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps

# What Python's table lacks and knowledge bases hold; the rest is sent as plain bytes.
_MORE_TYPES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".rst": "text/x-rst",
    ".jsonl": "application/jsonl",
}


def _is_index(value: Any) -> str | None:
    if (
        isinstance(value, dict)
        and set(value) == {"model"}
        and isinstance(value["model"], str)
        and value["model"]
    ):
        return None
    return 'has to name the embedding model, such as {"model": "e5_mistral_7b"}'


def content_type(path: str) -> str:
    """Return the content type of a file by the end of its name."""
    suffix = PurePath(path).suffix.lower()
    return _MORE_TYPES.get(suffix) or mimetypes.types_map.get(suffix) or "application/octet-stream"


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
    deadline: str = duration("how long to wait for the index", default="30m")

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        file_name = PurePath(self.file).name
        form = Form(
            fields=((api.upload_name_field, self.name or file_name),),
            file_field=api.upload_file_field,
            path=self.file,
            file_name=file_name,
            content_type=content_type(self.file),
        )
        uploaded = yield api.document_upload.request(form=form)
        if self.index is None:
            return dict(uploaded.json)

        document_id = uploaded.json[api.document_id_field]
        index = yield from indexed(
            api, document_id, self.index["model"], seconds(self.deadline), file=self.file
        )
        return {**uploaded.json, **index}
