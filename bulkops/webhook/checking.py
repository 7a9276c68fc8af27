"""Whether a body is an event, and which digest, kind and JSON it is kept with."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NoReturn

import orjson

from bulkops.webhook.event import is_post_call, type_of
from bulkops.webhook.spool import OTHER, POST_CALL
from bulkops.webhook.writer import Delivery

if TYPE_CHECKING:
    from bulkops.api import Webhook


class NoEvent(ValueError):
    """A body that is no event; its text says why, and nothing of the body."""


def delivery_of(body: bytes, received_at: float, webhook: Webhook, sha256: str | None = None) -> Delivery:
    """Return an event as it is to be kept; NoEvent for a body that is none. A type that is not known is one."""
    event, text = _parsed(body)
    if not isinstance(event, dict):
        raise NoEvent("the body is no JSON object")
    if type_of(event, webhook) is None:
        raise NoEvent("the event names no type")
    kind = POST_CALL if is_post_call(event, webhook) else OTHER
    return Delivery(kind, received_at, sha256 or hashlib.sha256(body).hexdigest(), text)


def _parsed(body: bytes) -> tuple[Any, bytes]:
    """Return the value of a JSON text, and the text; NoEvent for anything else."""
    try:
        return orjson.loads(body), body
    except orjson.JSONDecodeError:
        pass
    try:
        return _mended(body)
    except (ValueError, RecursionError):
        raise NoEvent("the body is no JSON") from None


def _mended(body: bytes) -> tuple[Any, bytes]:
    """Return the value of a JSON text with halves of characters, each of which becomes U+FFFD.

    Other software writes them as escapes (an emoji that was cut apart); no UTF-8 text can hold one.
    """
    value = json.loads(body.decode("utf-8"), parse_constant=_no_number)
    text = (
        json.dumps(value, ensure_ascii=False)
        .encode("utf-16-le", "surrogatepass")
        .decode("utf-16-le", "replace")
    )
    return orjson.loads(text), text.encode()


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)
