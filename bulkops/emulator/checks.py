"""What must hold of a request before anything happens: a check gives the value, or refuses with 400."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from .answers import bad

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIGITS = 18  # keeps int() away from numbers that only an attack would send


def json_object(raw: bytes) -> dict[str, Any]:
    """Read a body that must be a JSON object."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise bad(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise bad("the body must be a JSON object")
    return body


def text(body: Mapping[str, Any], key: str) -> str:
    """Give a required text."""
    value = body.get(key)
    if not isinstance(value, str) or not value.strip():
        raise bad(f"`{key}` is required: a text that is not empty")
    return value


def texts(body: Mapping[str, Any], key: str) -> list[str]:
    """Give a list of texts; left out, it is empty."""
    value = body.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise bad(f"`{key}` must be a list of texts")
    return value


def mapping(body: Mapping[str, Any], key: str, *, required: bool = False) -> None:
    """Look whether a key holds a JSON object."""
    value = body.get(key)
    if value is None and required:
        raise bad(f"`{key}` is required: a JSON object")
    if value is not None and not isinstance(value, dict):
        raise bad(f"`{key}` must be a JSON object")


def number(query: Mapping[str, str], key: str, *, default: int, most: int | None = None) -> int:
    """Give a whole number from 1 (up to `most`) of the query."""
    written = query.get(key)
    if written is None:
        return default
    value = int(written) if written.isascii() and written.isdecimal() and len(written) <= _DIGITS else 0
    if value < 1 or (most is not None and value > most):
        raise bad(f"`{key}` must be a whole number from 1{f' to {most}' if most else ''}")
    return value
