"""Which endpoint answers which method and path: how that is written down, and what the API reference has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import endpoints
from .answers import Refusal
from .upload import read_upload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from .answers import Answer
    from .endpoints import Call
    from .upload import Upload


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What answers a method of a path: its name, its act, and how its body is read."""

    name: str
    act: Callable[[Call], Answer]
    read: Callable[[Request], Awaitable[bytes | Upload]]


async def body(request: Request) -> bytes:
    """Read a body whole."""
    return await request.body()


async def nothing(_: Request) -> bytes:
    """Read nothing: the method has no body."""
    return b""


Routes = Mapping[str, Mapping[str, Endpoint]]

# A path is a room, an id (`*`) and what is done there; where words and ids could stand, words come first.
ROUTES: Routes = {
    "agents/create": {"POST": Endpoint("agent.create", endpoints.agent_create, body)},
    "agents": {"GET": Endpoint("agent.list", endpoints.agent_list, nothing)},
    "agents/*": {
        "GET": Endpoint("agent.get", endpoints.agent_get, nothing),
        "PATCH": Endpoint("agent.update", endpoints.agent_update, body),
        "DELETE": Endpoint("agent.delete", endpoints.agent_delete, nothing),
    },
    "agents/*/simulate": {"POST": Endpoint("agent.simulate", endpoints.agent_simulate, body)},
    "conversations/create": {"POST": Endpoint("conversation.create", endpoints.conversation_create, body)},
    "conversations/*": {"GET": Endpoint("conversation.get", endpoints.conversation_get, nothing)},
    "knowledge-base/upload": {"POST": Endpoint("document.upload", endpoints.document_upload, read_upload)},
    "knowledge-base/*/rag-index": {
        "POST": Endpoint("document.index", endpoints.document_index, body),
        "GET": Endpoint("document.index_status", endpoints.document_index_status, nothing),
    },
    "tools/webhook": {"POST": Endpoint("tool.create", endpoints.tool_create, body)},
}


def find_endpoint(method: str, path: str, routes: Routes = ROUTES) -> tuple[Endpoint, str]:
    """Find what answers `method` on `path` (after /v1/convai/), and the id in it; two with a slash between.

    Refuses with 404 or 405.
    """
    methods, entity = routes.get(path), ""
    if methods is None:
        room, _, rest = path.partition("/")
        entity, slash, tail = rest.partition("/")
        methods = routes.get(f"{room}/*{slash}{tail}") if entity else None
        deed, _, second = tail.partition("/")
        if methods is None and second:
            methods, entity = routes.get(f"{room}/*/{deed}/*"), f"{entity}/{second}"
    if methods is None:
        raise Refusal(404, "not_found", f"there is nothing at /v1/convai/{path}")
    endpoint = methods.get(method)
    if endpoint is None:
        allowed = ", ".join(methods)
        raise Refusal(405, "method_not_allowed", f"this path takes {allowed}", {"Allow": allowed})
    return endpoint, entity
