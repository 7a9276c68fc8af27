"""Uploading and indexing documents: replies in, requests out."""

from __future__ import annotations

from typing import Any

import pytest

from bulkops.api import REFERENCE
from bulkops.errors import OperationFailed, Overdue
from bulkops.model import Await, Form, Reply, Request
from bulkops.operations.document_index import IndexDocument
from bulkops.operations.document_upload import UploadDocument
from bulkops.uploading import content_type
from tests.operations.steps_doubles import drive, requests

UPLOADED = {"document_id": "doc_1", "name": "guide.md", "status": "processing"}
COMPUTING = {"document_id": "doc_1", "status": "computing"}
READY = {"document_id": "doc_1", "status": "ready", "embedding_model": "e5"}
FAILED = {"document_id": "doc_1", "status": "failed", "error": "no text to index"}


def upload(**more: Any) -> UploadDocument:
    """Return an upload of a file."""
    return UploadDocument(file="/docs/guide.md", **more)


def test_an_upload_without_index_is_one_request() -> None:
    """Without `index` nothing is computed and nothing is awaited."""
    steps, result = drive(upload(), [UPLOADED])
    assert [step.endpoint for step in steps if isinstance(step, Request)] == ["document.upload"]
    assert len(steps) == 1
    assert result == UPLOADED


def test_an_upload_sends_file_name_type_and_name() -> None:
    """The form carries the file's own name and a real content type; without `name` the file names it."""
    steps, _ = drive(upload(), [UPLOADED])
    assert isinstance(steps[0], Request)
    assert steps[0].form == Form(
        (("name", "guide.md"),), "file", "/docs/guide.md", "guide.md", "text/markdown"
    )
    steps, _ = drive(upload(name="Guide"), [UPLOADED])
    assert isinstance(steps[0], Request)
    assert steps[0].form is not None
    assert steps[0].form.fields == (("name", "Guide"),)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a.pdf", "application/pdf"),
        ("a.MD", "text/markdown"),
        ("a.html", "text/html"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("a.epub", "application/epub+zip"),
        ("a", "application/octet-stream"),
        ("a.unheard", "application/octet-stream"),
    ],
)
def test_a_content_type_follows_from_the_name(path: str, kind: str) -> None:
    """What is known by its ending gets its type, everything else the type of plain bytes."""
    assert content_type(path) == kind


def test_an_upload_with_index_computes_and_waits() -> None:
    """With `index` the document's index is computed for the model and awaited; the result is the settled state."""
    steps, result = drive(upload(index={"model": "e5"}, deadline="90s"), [UPLOADED, COMPUTING, READY])
    assert requests(steps)[1] == ("POST", "/knowledge-base/doc_1/rag-index", {"embedding_model": "e5"})
    awaited = steps[2]
    assert isinstance(awaited, Await)
    assert (awaited.what, awaited.id, awaited.deadline) == ("index", "doc_1", 90.0)
    assert result == {**UPLOADED, **READY}


def test_an_index_that_is_there_is_not_awaited() -> None:
    """An index that is ready at once needs no look."""
    steps, _ = drive(IndexDocument(document_id="doc_1", model="e5"), [READY])
    assert len(steps) == 1


@pytest.mark.parametrize("answers", [[UPLOADED, FAILED], [UPLOADED, COMPUTING, FAILED]])
def test_a_failed_index_fails_with_the_reason(answers: list[Any]) -> None:
    """An index that cannot be built fails the operation with the API's own reason, whenever it is told."""
    with pytest.raises(OperationFailed, match="no text to index") as caught:
        drive(upload(index={"model": "e5"}), answers)
    assert caught.value.code == "index_failed"


def test_a_failed_index_without_reason_fails_all_the_same() -> None:
    """Where the API gives no reason, its status is told."""
    with pytest.raises(OperationFailed, match="'failed'"):
        drive(IndexDocument(document_id="doc_1", model="e5"), [{"status": "failed"}] * 2)


def test_the_reason_of_an_earlier_failure_is_asked_for() -> None:
    """Where the answer to computing says only that an index failed before, the status is asked for the reason."""
    with pytest.raises(OperationFailed, match="no text to index"):
        drive(IndexDocument(document_id="doc_1", model="e5"), [{"status": "failed"}, FAILED])


@pytest.mark.parametrize("answer", [{}, {"status": "queued"}, {"status": None}, {"status": "READYING"}])
def test_an_unknown_status_keeps_waiting(answer: Any) -> None:
    """A status that is not documented counts as not settled yet."""
    steps, _ = drive(IndexDocument(document_id="doc_1", model="e5"), [answer, READY])
    awaited = steps[-1]
    assert isinstance(awaited, Await)
    assert not awaited.settled(answer)
    assert awaited.settled(READY)
    assert awaited.settled({"status": "Ready"})


def test_an_overdue_index_is_heard_by_the_kind() -> None:
    """The deadline's end is raised where the index is awaited, and ends the operation."""
    generator = IndexDocument(document_id="doc_1", model="e5").steps(REFERENCE)
    next(generator)
    generator.send(Reply(200, COMPUTING))
    with pytest.raises(Overdue):
        generator.throw(Overdue("overdue", "too late"))


def test_an_answer_with_a_wild_document_id_is_not_used() -> None:
    """An id of the server that could leave its place in a path is never asked for."""
    with pytest.raises(OperationFailed, match="not an id"):
        drive(upload(index={"model": "e5"}), [{**UPLOADED, "document_id": "../agents"}])
