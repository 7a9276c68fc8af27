"""What is done with the documents of the knowledge base that are there, and how others get there than as files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bulkops.asked import Asked, Deletion, Listed, request_of, result_of
from bulkops.guarding import wrong_moment
from bulkops.operation import TEXT, Operation, checked, entity, json_object, query, upload
from bulkops.uploading import file_form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps

_FORCE = 'what else is asked for, as the API wants it, such as {"force": true} for what is in use'


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateText(Asked):
    """Add a text to the knowledge base (live API: `/knowledge-base/text`).

    `body` is sent as it stands. Give it a `name`: by that it is found again where the answer was lost.
    """

    kind: ClassVar[str] = "document.create_text"
    makes: ClassVar[str | None] = "document"
    example: ClassVar[Mapping[str, Json]] = {
        "op": "document.create_text",
        "body": {"text": "Refunds take 3 to 5 working days.", "name": "Refunds"},
    }

    body: Json = json_object("the text, as the API wants it", required=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateUrl(Asked):
    """Add a page of the web to the knowledge base (live API: `/knowledge-base/url`).

    `body` is sent as it stands. Give it a `name`: by that it is found again where the answer was lost.
    """

    kind: ClassVar[str] = "document.create_url"
    makes: ClassVar[str | None] = "document"
    example: ClassVar[Mapping[str, Json]] = {
        "op": "document.create_url",
        "body": {"url": "https://example.com/refunds", "name": "Refunds"},
    }

    body: Json = json_object("the address, as the API wants it", required=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateFolder(Asked):
    """Add a folder to the knowledge base (live API: `/knowledge-base/folder`); its id is a `document_id`."""

    kind: ClassVar[str] = "folder.create"
    makes: ClassVar[str | None] = "document"
    example: ClassVar[Mapping[str, Json]] = {"op": "folder.create", "body": {"name": "Handbook"}}

    body: Json = json_object("the folder, as the API wants it", required=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDocuments(Listed):
    """Write one row per document and folder to `lists/ID.jsonl` in the run folder (live API: `/knowledge-base`)."""

    kind: ClassVar[str] = "document.list"
    example: ClassVar[Mapping[str, Json]] = {"id": "documents", "op": "document.list"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GetDocument(Asked):
    """Read what is known about a document, without what was read out of it (live API: `/knowledge-base/:id`)."""

    kind: ClassVar[str] = "document.get"
    example: ClassVar[Mapping[str, Json]] = {"op": "document.get", "document_id": "doc_456"}

    document_id: str = entity("the document to read")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateFile(Operation):
    """Put another file in the place of a document's, under the same id (live API: `/knowledge-base/:id/update-file`).

    The document is called as the file is then. What was edited by hand is lost, and so are its indexes.
    """

    kind: ClassVar[str] = "document.update_file"
    replaces: ClassVar[str | None] = "document_id"
    example: ClassVar[Mapping[str, Json]] = {
        "op": "document.update_file",
        "document_id": "doc_456",
        "file": "handbook.md",
    }

    document_id: str = entity("the document to change")
    file: str = upload("the file to send; a relative path starts at the job file's folder")

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        answer = yield request_of(self, api, form=file_form(api, self.file))
        return result_of(self, api, answer.json)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteDocument(Deletion):
    """Delete a document or a folder (live API: `/knowledge-base/:id`); `bulkops undo` cannot make it again.

    Refused by the API while an agent uses it, unless `query` has `force`. With `expected` or `unchanged_since` it is
    read once before that, and left alone with the code `changed_since` when it does not read so. One that is gone
    already counts as deleted; its result says `gone`.
    """

    kind: ClassVar[str] = "document.delete"
    deletes: ClassVar[str | None] = "document_id"
    example: ClassVar[Mapping[str, Json]] = {"op": "document.delete", "document_id": "doc_456"}

    document_id: str = entity("the document to delete")
    query: Json = query(_FORCE)
    expected: Json = json_object("how it has to read before that: of objects, the keys that are named here")
    unchanged_since: str | None = checked(
        "when it has to have been changed last, or earlier; `made` for when it was made", wrong_moment, TEXT
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteIndex(Deletion):
    """Delete an index of a document (live API: `/knowledge-base/:id/rag-index/:index_id`), to make room or begin anew.

    One that is gone already counts as deleted; its result says `gone`.
    """

    kind: ClassVar[str] = "document.index_delete"
    deletes: ClassVar[str | None] = "index_id"
    example: ClassVar[Mapping[str, Json]] = {
        "op": "document.index_delete",
        "document_id": "doc_456",
        "index_id": "index_1",
    }

    document_id: str = entity("the document whose index it is")
    index_id: str = entity("the index to delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexQuota(Asked):
    """Read how much room the indexes take up, and how much they may (live API: `/knowledge-base/rag-index`)."""

    kind: ClassVar[str] = "document.index_quota"
    example: ClassVar[Mapping[str, Json]] = {"op": "document.index_quota"}
