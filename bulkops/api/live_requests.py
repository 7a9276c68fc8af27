"""What jobs say in the words of the reference, as the service takes it today; and what it cannot be told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bulkops.api.live_answers import MODELS
from bulkops.api.profile import NOT_IN_API
from bulkops.errors import OperationFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bulkops.model import Json, Request

_TYPES = {
    "document.upload": "file",
    "document.create_text": "text",
    "document.create_url": "url",
    "folder.create": "folder",
}
"""What a document is called that an endpoint makes."""
_PAGING = frozenset({"cursor", "page_size"})
_GET_WITH = frozenset({"GET", "DELETE"})
"""Methods whose parameters stand in the query."""
_SEED_TOOL = frozenset({"name", "description", "url", "method", "parameters", "headers"})
_SEED_SIMULATION = ("scenario", "user_messages", "success_criteria")


def refuses(op: str, fields: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield what of a line cannot be said: a field, and why, with the nearest that can."""
    body = fields.get("body")
    paging = sorted(_PAGING.intersection(fields.get("query") or ()))
    if paging:
        yield "query", f"has `{paging[0]}`, by which pages are read; leave it out"
    if op == "conversation.create" and isinstance(body, dict):
        yield from _refused_conversation(body)
    if op == "agent.simulate" and isinstance(body, dict):
        yield from _refused_simulation(body)
    if (
        op in ("tool.create", "tool.update")
        and isinstance(body, dict)
        and "tool_config" in body
        and "url" in body
    ):
        yield "body", "has `tool_config` beside `url`: give the one or the other way to say it"


def _refused_conversation(body: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    for name in ("dynamic_variables", "overrides"):
        if name in body:
            what = f"has `{name}`, and the live API makes no conversation before somebody joins it: take that out"
            yield (
                "body",
                f"{what}, and send it as `conversation_initiation_client_data` when you join by the URL",
            )
    if "agent_id" not in body:
        yield "body", "has no `agent_id`, which the live API needs for a signed URL"
    for name, part in body.items():
        if name not in ("dynamic_variables", "overrides") and isinstance(part, dict | list):
            yield (
                "body",
                f"has `{name}`, which is no plain value; the live API asks for a signed URL by the query",
            )


def _refused_simulation(body: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    ours = [name for name in _SEED_SIMULATION if name in body]
    if "simulation_specification" in body:
        if ours:
            what = f"has `simulation_specification` beside `{ours[0]}`"
            yield "body", f"{what}: give the one or the other way to say it"
        return
    if not isinstance(body.get("scenario"), str | type(None)) and not _is_open(body["scenario"]):
        yield "body", "has a `scenario` that is no text"
    for name in ours[1:] if "scenario" in ours else ours:
        part = body[name]
        if not _is_open(part) and not (
            isinstance(part, list) and all(isinstance(row, str) or _is_open(row) for row in part)
        ):
            yield "body", f"has `{name}`, which is no list of texts"
    if "scenario" not in body:
        yield (
            "body",
            "has neither `scenario` nor `simulation_specification`; the live API needs one to simulate",
        )


def _is_open(part: Json) -> bool:
    """Tell whether a value is not known yet: what JSON does not have is a reference."""
    return not isinstance(part, str | int | float | bool | dict | list | type(None))


def seen_of_document(request: Request) -> tuple[Json, Json]:
    """Return what the listing of documents tells of what a request has made: neither its text nor its file."""
    if request.form is not None:
        sent: dict[str, Json] = dict(request.form.fields)
        hidden: Json = request.form.path
    else:
        sent = hidden = request.body
    seen = {"type": _TYPES.get(request.endpoint)}
    folder = sent.get("parent_folder_id")
    return (seen if folder is None else {**seen, "folder_parent_id": folder}), hidden


def seen_of_tool(request: Request) -> tuple[Json, Json]:
    """Return what is told of a tool: its whole configuration."""
    rest = {key: part for key, part in request.body.items() if key != "tool_config"}
    return {"tool_config": request.body.get("tool_config")}, rest


def seen_of_test(request: Request) -> tuple[Json, Json]:
    """Return what is sure to be told of a test: its name."""
    return {"name": request.body.get("name")}, request.body


def index(request: Request) -> Request:
    """Name the model as the service does."""
    model = request.body.get("embedding_model")
    return replace(request, body={"model": MODELS.get(model, model)})


def index_batch(document_ids: Sequence[str], model: str) -> Json:
    """Ask for the indexes of documents with a model, and have none made.

    The endpoint computes what is missing unless it is told not to. Then a look would begin, and the user pay for, an
    index that was deleted meanwhile; and a lost answer would leave it open whether it did. So it is told not to, for
    each document: the request is a read, and may be repeated freely.
    """
    asked = {"create_if_missing": False, "model": MODELS.get(model, model)}
    return {"items": [{"document_id": each, **asked} for each in document_ids]}


def conversation(request: Request) -> Request:
    """Ask for a signed URL: a read, whose query is the body."""
    body = request.body
    _check("conversation.create", body)
    query = tuple((name, _plain(part)) for name, part in body.items() if part is not None)
    return replace(request, body=None, query=(*request.query, *query))


def tool(request: Request) -> Request:
    """Put a tool of the reference into the shape of today; one that has that already goes as it stands."""
    body = request.body
    _check("tool.create", body)
    if "tool_config" in body or "url" not in body:
        return request
    method = body.get("method", "GET")
    schema: dict[str, Json] = {"url": body["url"], "method": method}
    if "headers" in body:
        schema["request_headers"] = body["headers"]
    if "parameters" in body:
        in_query = isinstance(method, str) and method.upper() in _GET_WITH
        parameters = body["parameters"]
        if in_query and isinstance(parameters, dict):
            # What stands in a query has no type of its own there.
            parameters = {key: part for key, part in parameters.items() if key != "type"}
        schema["query_params_schema" if in_query else "request_body_schema"] = parameters
    rest = {key: part for key, part in body.items() if key not in _SEED_TOOL}
    named = {key: body[key] for key in ("name", "description") if key in body}
    return replace(request, body={"tool_config": {"type": "webhook", **named, "api_schema": schema, **rest}})


def simulation(request: Request) -> Request:
    """Have the simulated user told of the scenario and of what to say, and each criterion judged."""
    body = request.body
    _check("agent.simulate", body)
    if "scenario" not in body:
        return request
    prompt = str(body["scenario"])
    if says := body.get("user_messages"):
        prompt += "\n\nSay this, one message after the other, before anything else:\n"
        prompt += "\n".join(f"{number}. {message}" for number, message in enumerate(says, 1))
    criteria = [
        {"id": f"criterion_{number}", "name": text, "type": "prompt", "conversation_goal_prompt": text}
        for number, text in enumerate(body.get("success_criteria") or (), 1)
    ]
    rest = {key: part for key, part in body.items() if key not in _SEED_SIMULATION}
    told: dict[str, Json] = {
        "simulation_specification": {"simulated_user_config": {"prompt": {"prompt": prompt}}}
    }
    if criteria:
        told["extra_evaluation_criteria"] = criteria
    return replace(request, body={**told, **rest})


def _check(op: str, body: Json) -> None:
    for _, why in refuses(op, {"body": body}):
        raise OperationFailed(NOT_IN_API, f"`body` {why}")


def _plain(part: Json) -> str:
    return ("false", "true")[part] if isinstance(part, bool) else str(part)
