"""The knowledge base, as the live API tells it: files, texts, pages of the web, and folders."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from bulkops.emulator.answers import Answer, Refusal

from .agents import ACCESS
from .dependents import agents_with
from .paging import page
from .refusing import body_of, flag, invalid, missing, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulkops.emulator.endpoints import Call
    from bulkops.emulator.things import Document
    from bulkops.emulator.world import World

_PLACED = {"name": str, "parent_folder_id": str}


def create_file(call: Call) -> Answer:
    """POST /knowledge-base/file: without a name, that of the file is taken."""
    size, name = _file(call), call.form.fields.get("name")
    if name == "":
        short = "String should have at least 1 character"
        raise invalid([problem(["body", "name"], "string_too_short", short)])
    folder = _folder(call, call.form.fields.get("parent_folder_id"))
    name = name or call.form.filename or "upload"
    source, digest = call.form.filename, call.form.sha256
    return _added(call, "document.upload", name, size, digest, type="file", source=source, folder=folder)


def create_text(call: Call) -> Answer:
    """POST /knowledge-base/text."""
    body = body_of(call, {"text": str}, _PLACED)
    text = body["text"]
    return _written(call, body, "text", text, body.get("name") or text[:40] or "Untitled", "")


def create_url(call: Call) -> Answer:
    """POST /knowledge-base/url: nobody looks at the address; the emulator writes the page."""
    body = body_of(call, {"url": str}, _PLACED)
    url = body["url"]
    if not url.startswith(("http://", "https://")):
        raise invalid([problem(["body", "url"], "url_parsing", "Input should be a valid URL")])
    return _written(call, body, "url", f"What stands at {url}. " * 20, body.get("name") or url, url)


def create_folder(call: Call) -> Answer:
    """POST /knowledge-base/folder."""
    body = body_of(call, {"name": str}, {"parent_folder_id": str})
    folder = _folder(call, body.get("parent_folder_id"))
    return _added(call, "folder.create", body["name"], 0, "", type="folder", folder=folder)


def listing(call: Call) -> Answer:
    """GET /knowledge-base: those whose names begin with the search, of some types, in a folder or below it."""
    world, query = call.world, call.query
    search, types = query.get("search", "").casefold(), query.getlist("types")
    parent, ancestor = query.get("parent_folder_id"), query.get("ancestor_folder_id")
    rows = [
        each
        for each in world.documents.values()
        if each.name.casefold().startswith(search)
        and (not types or each.type in types)
        and (not parent or each.folder == parent)
        and (not ancestor or ancestor in {folder.document_id for folder in _above(world, each)})
    ]
    told, rest = page(
        call,
        rows,
        lambda each: each.document_id,
        {
            "created_at": lambda each: each.created,
            "updated_at": lambda each: each.updated,
            "size": lambda each: each.size,
            "name": lambda each: each.name.casefold(),
        },
    )
    return Answer(200, {"documents": [_line(world, each) for each in told], **rest})


def get(call: Call) -> Answer:
    """GET /knowledge-base/:id: what was read out of it comes along."""
    return Answer(200, _whole(call.world, document_of(call)))


def content(call: Call) -> Answer:
    """GET /knowledge-base/:id/content."""
    return Answer(200, _content(document_of(call)).encode(), kind=b"text/plain; charset=utf-8")


def update(call: Call) -> Answer:
    """PATCH /knowledge-base/:id: another name, and of a text another content, which has no index yet."""
    document = document_of(call)
    body = body_of(call, {}, {"name": str, "content": str})
    changes: dict[str, Any] = {"name": body["name"]} if body.get("name") else {}
    if (text := body.get("content")) is not None:
        changes |= {"text": text, **_measured(text.encode()), "indexes": {}}
    return _changed(call, document, "document.update", **changes)


def update_file(call: Call) -> Answer:
    """PATCH /knowledge-base/:id/update-file: another file under the same id, which has no index yet."""
    document = document_of(call)
    size, form = _file(call), call.form
    named = {"name": form.filename, "source": form.filename} if form.filename else {}
    return _changed(
        call, document, "document.update_file", size=size, sha256=form.sha256, text=None, indexes={}, **named
    )


def delete(call: Call) -> Answer:
    """DELETE /knowledge-base/:id: refused while it is in use or, of a folder, not empty; unless forced."""
    _delete(call, document_of(call), force=flag(call, "force"))
    return Answer(200, None)


def bulk_delete(call: Call) -> Answer:
    """POST /knowledge-base/bulk-delete: each id has an end of its own."""
    body = body_of(call, {"document_ids": list}, {"force": bool})
    ends: dict[str, Any] = {}
    for entity in body["document_ids"]:
        try:
            if entity not in ends:
                _delete(call, document_of(call, str(entity)), force=bool(body.get("force")))
                ends[str(entity)] = {"status": "success", "data": {"id": entity}}
        except Refusal as refusal:
            ends[str(entity)] = failure(refusal)
    return Answer(200, ends)


def dependents(call: Call) -> Answer:
    """GET /knowledge-base/:id/dependent-agents."""
    users = [agent for agent, _ in agents_with(call.world, "knowledge_base", document_of(call).document_id)]
    told, rest = page(call, users, lambda agent: agent.agent_id, {"created_at": lambda agent: agent.created})
    return Answer(
        200,
        {
            "agents": [
                {
                    "type": "available",
                    "id": agent.agent_id,
                    "name": agent.name,
                    "created_at_unix_secs": int(agent.created),
                    "access_level": "admin",
                    "referenced_resource_ids": [call.id],
                }
                for agent in told
            ],
            **rest,
        },
    )


def document_of(call: Call, document_id: str | None = None) -> Document:
    """Find a document, that of the path unless another is meant."""
    document_id = call.id if document_id is None else document_id
    document = call.world.documents.get(document_id)
    if document is None:
        raise missing("document", document_id)
    return document


def failure(refusal: Refusal) -> dict[str, Any]:
    """Tell a refusal as one end among several."""
    return {
        "status": "failure",
        "error_code": refusal.status,
        "error_status": refusal.code,
        "error_message": refusal.message,
    }


def _file(call: Call) -> int:
    if call.form.size is None:
        raise invalid([problem(["body", "file"], "missing", "Field required")])
    return call.form.size


def _folder(call: Call, folder_id: str | None) -> str | None:
    if not folder_id:
        return None
    if document_of(call, folder_id).type != "folder":
        raise Refusal(400, "not_a_folder", f"document {folder_id} is not a folder")
    return folder_id


def _written(call: Call, body: dict[str, Any], kind: str, text: str, name: str, source: str) -> Answer:
    raw = text.encode()
    folder = _folder(call, body.get("parent_folder_id"))
    digest = hashlib.sha256(raw).hexdigest()
    op = f"document.create_{kind}"
    return _added(call, op, name, len(raw), digest, type=kind, source=source, text=text, folder=folder)


def _added(call: Call, kind: str, name: str, size: int, digest: str, **more: Any) -> Answer:
    made = call.world.add_document(name, size, digest, now=call.now, request=call.ordinal, kind=kind, **more)
    return Answer(200, {"id": made.document_id, "name": made.name, "folder_path": _path(call.world, made)})


def _changed(call: Call, document: Document, kind: str, **changes: Any) -> Answer:
    world, entity = call.world, document.document_id
    changed = world.change_document(entity, kind, now=call.now, request=call.ordinal, **changes)
    return Answer(200, _whole(world, changed))


def _delete(call: Call, document: Document, *, force: bool) -> None:
    world, entity = call.world, document.document_id
    users = agents_with(world, "knowledge_base", entity)
    if users and not force:
        raise Refusal(
            400, "document_in_use", f"{len(users)} agents use document {entity}; force takes it from them"
        )
    children = [each for each in world.documents.values() if each.folder == entity]
    if children and not force:
        raise Refusal(400, "folder_not_empty", f"there are {len(children)} documents in folder {entity}")
    for child in children:
        _delete(call, child, force=True)
    for agent, without in users:
        world.update_agent(agent.agent_id, agent.name, without, now=call.now, request=call.ordinal)
    world.delete_document(entity, now=call.now, request=call.ordinal)


def _measured(raw: bytes) -> dict[str, Any]:
    return {"size": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}


def _content(document: Document) -> str:
    # An uploaded file was not kept: what could be read out of it is made up.
    return document.text if document.text is not None else f"{document.name}: {document.size} bytes"


def _line(world: World, document: Document) -> dict[str, Any]:
    line: dict[str, Any] = {
        "type": document.type,
        "id": document.document_id,
        "name": document.name,
        "metadata": {
            "created_at_unix_secs": int(document.created),
            "last_updated_at_unix_secs": int(document.updated),
            "size_bytes": document.size,
        },
        "supported_usages": ["prompt", "auto"],
        "access_info": ACCESS,
        "folder_parent_id": document.folder,
        "folder_path": _path(world, document),
        "dependent_agents": [],
    }
    if document.type == "folder":
        held = [each for each in world.documents.values() if each.folder == document.document_id]
        line |= {"children_count": len(held), "document_count": sum(each.type != "folder" for each in held)}
    elif document.type == "url":
        line["url"] = document.source
    return line


def _whole(world: World, document: Document) -> dict[str, Any]:
    whole = _line(world, document)
    del whole["dependent_agents"]
    if document.type == "folder":
        return whole
    whole["extracted_inner_html"] = f"<p>{_content(document)}</p>"
    if document.type == "file":
        whole["filename"] = document.source or document.name
    return whole


def _path(world: World, document: Document) -> list[dict[str, str]]:
    above = [{"id": each.document_id, "name": each.name} for each in _above(world, document)]
    return above[::-1]


def _above(world: World, document: Document) -> Iterator[Document]:
    """Yield the folders a document is in, the nearest first."""
    folder = world.documents.get(document.folder or "")
    while folder is not None:
        yield folder
        folder = world.documents.get(folder.folder or "")
