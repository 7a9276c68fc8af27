"""RAG indexes, as the live API tells them: one for each model of a document, in eight states, singly and in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bulkops.emulator.answers import Answer, Refusal

from .configs import EMBEDDING_MODELS
from .documents import document_of, failure
from .refusing import body_of, fields, invalid, missing, one_of, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulkops.emulator.endpoints import Call
    from bulkops.emulator.things import Document, Index

SMALLEST = 500
"""Bytes of a document below which there is nothing to index."""
MOST = 100
"""Documents in one batch."""
_ITEM = {"document_id": str, "create_if_missing": bool, "model": str}
_NEW, _CREATED = 0.05, 0.2  # parts of an index's time until it is called something else


def compute(call: Call) -> Answer:
    """POST /knowledge-base/:id/rag-index: get or create, so a second call tells how far the first is."""
    document = document_of(call)
    model = body_of(call, {"model": str})["model"]
    if wrong := one_of(model, EMBEDDING_MODELS, ["body", "model"]):
        raise invalid(wrong)
    return Answer(200, _told(call, document, _begun(call, document, model)))


def listing(call: Call) -> Answer:
    """GET /knowledge-base/:id/rag-index: one for each model, none until one was asked for."""
    document = document_of(call)
    return Answer(200, {"indexes": [_told(call, document, index) for index in document.indexes.values()]})


def delete(call: Call) -> Answer:
    """DELETE /knowledge-base/:id/rag-index/:index_id: the deleted index comes back."""
    document_id, _, name = call.id.partition("/")
    document = document_of(call, document_id)
    index = next((each for each in document.indexes.values() if each.id == name), None)
    if index is None:
        raise missing("rag_index", name)
    call.world.delete_index(document_id, index.model, now=call.now, request=call.ordinal)
    return Answer(200, _told(call, document, index))


def batch(call: Call) -> Answer:
    """POST /knowledge-base/rag-index: each document has an end of its own, under its id."""
    items = body_of(call, {"items": list})["items"]
    if wrong := list(_wrong_with(items)):
        raise invalid(wrong)
    ends: dict[str, Any] = {}
    for item in items:
        try:
            document = document_of(call, item["document_id"])
            may_begin = item["create_if_missing"]
            index = (_begun if may_begin else _present)(call, document, item["model"])
            ends[item["document_id"]] = {"status": "success", "data": _told(call, document, index)}
        except Refusal as refusal:
            ends[item["document_id"]] = failure(refusal)
    return Answer(200, ends)


def quota(call: Call) -> Answer:
    """GET /knowledge-base/rag-index: what the indexes take up, and how much they may."""
    used = dict.fromkeys(EMBEDDING_MODELS[:2], 0)
    for document, index in _all(call):
        used[index.model] = used.get(index.model, 0) + _bytes(document, index)
    models = [{"model": model, "used_bytes": size} for model, size in used.items()]
    total = {"total_used_bytes": sum(used.values()), "total_max_bytes": call.world.index_bytes}
    return Answer(200, {**total, "models": models})


def status_of(index: Index, now: float) -> str:
    """Say how far an index is, in the words of the live API."""
    done = index.progress(now)
    if done < _NEW:
        return "new"
    if done < _CREATED:
        return "created"
    if done < 1:
        return "processing"
    if index.fails is None:
        return "succeeded"
    return index.fails if index.fails in _AT_ONCE else "failed"


_TOO_SMALL, _FOLDER, _NO_ROOM = "document_too_small", "cannot_index_folder", "rag_limit_exceeded"
_AT_ONCE = (_TOO_SMALL, _FOLDER, _NO_ROOM)


def _begun(call: Call, document: Document, model: str) -> Index:
    fails = None
    if document.type == "folder":
        fails = _FOLDER
    elif document.size < SMALLEST:
        fails = _TOO_SMALL
    elif model not in document.indexes:
        used = sum(_bytes(each, index) for each, index in _all(call))
        fails = _NO_ROOM if used + document.size > call.world.index_bytes else None
    return call.world.compute_index(
        document.document_id, model, now=call.now, request=call.ordinal, beside=True, fails=fails
    )


def _present(_: Call, document: Document, model: str) -> Index:
    index = document.indexes.get(model)
    if index is None:
        raise Refusal(404, "rag_index_not_found", f"document {document.document_id} has no index for {model}")
    return index


def _told(call: Call, document: Document, index: Index) -> dict[str, Any]:
    status = status_of(index, call.now)
    return {
        "id": index.id,
        "model": index.model,
        "status": status,
        "progress_percentage": 0.0 if index.fails else round(index.progress(call.now) * 100, 1),
        "document_model_index_usage": {"used_bytes": _bytes(document, index)},
    }


def _bytes(document: Document, index: Index) -> int:
    return 0 if index.fails else document.size


def _all(call: Call) -> Iterator[tuple[Document, Index]]:
    for document in call.world.documents.values():
        for index in document.indexes.values():
            yield document, index


def _wrong_with(items: list[Any]) -> Iterator[dict[str, Any]]:
    loc = ["body", "items"]
    if not items:
        yield problem(loc, "too_short", "List should have at least 1 item after validation, not 0")
    if len(items) > MOST:
        message = f"List should have at most {MOST} items after validation, not {len(items)}"
        yield problem(loc, "too_long", message)
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            yield problem([*loc, number], "dict_type", "Input should be a valid dictionary")
            continue
        wrong = fields(item, [*loc, number], _ITEM, {})
        yield from wrong or one_of(item["model"], EMBEDDING_MODELS, [*loc, number, "model"])
