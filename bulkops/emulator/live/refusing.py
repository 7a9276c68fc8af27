"""The shapes in which the live API refuses, and what must hold of a request before anything happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from bulkops.emulator.answers import Answer, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulkops.emulator.endpoints import Call

_TYPES = {
    400: "validation_error",
    401: "authentication_error",
    402: "payment_required",
    403: "authorization_error",
    404: "not_found",
    429: "rate_limit_error",
}
# What the gates call by the words of the reference: its code, and the older word that stands beside it.
_SPELLED = {
    "too_many_requests": ("rate_limit_exceeded", "rate_limit_exceeded"),
    "too_many_concurrent_requests": ("concurrent_limit_exceeded", "too_many_concurrent_requests"),
    "missing_api_key": ("needs_authorization", "needs_authorization"),
    "invalid_request": ("invalid_parameters", "invalid_parameters"),
}
_OF_OLD = frozenset({"system_busy"})  # nobody has seen another name of it
_KINDS = {
    str: ("string_type", "Input should be a valid string"),
    dict: ("dict_type", "Input should be a valid dictionary"),
    list: ("list_type", "Input should be a valid list"),
    bool: ("bool_type", "Input should be a valid boolean"),
    int: ("int_type", "Input should be a valid integer"),
}

Problem = dict[str, Any]


def refused(request_id: str, refusal: Refusal) -> Answer:
    """Tell a refusal: in the shape it brings along, in the older one, or in that of today."""
    if refusal.detail is not None:
        detail = refusal.detail
    elif refusal.code in _OF_OLD:
        detail = {"status": refusal.code, "message": refusal.message}
    else:
        code, status = _SPELLED.get(refusal.code, (refusal.code, refusal.code))
        detail = {
            "type": _TYPES.get(refusal.status, "internal_error"),
            "code": code,
            "message": refusal.message,
            "status": status,
            "request_id": request_id,
        }
    return Answer(refusal.status, {"detail": detail}, refusal.headers)


def problem(loc: Sequence[str | int], kind: str, message: str) -> Problem:
    """Say what is wrong at a place of the request."""
    return {"loc": list(loc), "msg": message, "type": kind}


def invalid(problems: Sequence[Problem]) -> Refusal:
    """Refuse what the service's validation would find."""
    return Refusal(422, "validation_error", problems[0]["msg"], detail=list(problems))


def missing(what: str, entity: str) -> Refusal:
    """Refuse what is about nothing there is."""
    return Refusal(404, f"{what}_not_found", f"{what} {entity} does not exist")


def body_of(
    call: Call, required: Mapping[str, type], optional: Mapping[str, type] | None = None
) -> dict[str, Any]:
    """Read a body that must be a JSON object with fields of these types; optional ones may be null."""
    try:
        body = orjson.loads(call.body)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, "invalid_json", "no JSON", detail="There was an error parsing the body") from error
    if not isinstance(body, dict):
        kind, message = _KINDS[dict]
        raise invalid([problem(["body"], kind, message)])
    found = fields(body, ["body"], required, optional or {})
    if found:
        raise invalid(found)
    return body


def fields(
    body: Mapping[str, Any],
    loc: Sequence[str | int],
    required: Mapping[str, type],
    optional: Mapping[str, type],
) -> list[Problem]:
    """Find what is wrong with the fields of an object."""
    found = [problem([*loc, key], "missing", "Field required") for key in required if key not in body]
    for key, kind in {**required, **optional}.items():
        value = body.get(key)
        if key not in body or (value is None and key in optional):
            continue
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            found.append(problem([*loc, key], *_KINDS[kind]))
    return found


def one_of(value: Any, values: Sequence[str], loc: Sequence[str | int]) -> list[Problem]:
    """Find fault with a value that is none of these."""
    if value in values:
        return []
    *most, last = [f"'{each}'" for each in values]
    said = f"{', '.join(most)} or {last}" if most else last
    return [problem(loc, "enum", f"Input should be {said}")]


def flag(call: Call, key: str) -> bool:
    """Read a yes or no of the query; left out, it is no."""
    return call.query.get(key, "false").lower() in {"true", "1", "yes", "on"}


def whole(call: Call, key: str, *, default: int, least: int, most: int) -> int:
    """Read a whole number of the query."""
    written = call.query.get(key)
    if written is None:
        return default
    loc = ["query", key]
    try:
        value = int(written[:20])
    except ValueError:
        raise invalid([problem(loc, "int_parsing", "Input should be a valid integer")]) from None
    if value < least:
        raise invalid(
            [problem(loc, "greater_than_equal", f"Input should be greater than or equal to {least}")]
        )
    if value > most:
        raise invalid([problem(loc, "less_than_equal", f"Input should be less than or equal to {most}")])
    return value
