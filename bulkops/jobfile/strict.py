"""Strict JSON, fast: orjson reads, and cheap checks notice when it may have hidden something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from bulkops.jobfile.exact import DEEPEST, parse_exactly
from bulkops.jobfile.problems import LineError

if TYPE_CHECKING:
    from bulkops.model import Json

# Nothing beyond 64 bits has fewer than nineteen digits.
_DIGITS_TO_ZERO = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else byte for byte in range(256))  # noqa: PLR2004 - the first byte that is not ASCII
_MANY_DIGITS = b"0" * 19

_KINDS_OF_JSON = {
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def parse_object(raw: bytes) -> dict[str, Json]:
    """Return the object that a line holds; LineError for anything that is not one object of strict JSON.

    Refused are, beside bad JSON: a key twice in one object, integers beyond 64 bits, nesting deeper than 64.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = parse_exactly(raw)
    else:
        if _suspicious(raw, value):
            value = parse_exactly(raw)
    if type(value) is dict:
        return value
    kind = _KINDS_OF_JSON[type(value)]
    raise LineError(None, f'the line is {kind}; it has to be a JSON object, such as {{"op": "agent.list"}}')


def _suspicious(raw: bytes, value: Json) -> bool:
    """Tell whether orjson may have dropped a key, rounded an integer or followed too deep; often wrongly yes.

    orjson keeps the last of two equal keys, so its own text of the value then has fewer quotes than the line.
    """
    if raw.count(b"{") + raw.count(b"[") > DEEPEST:
        return True
    again = orjson.dumps(value)
    # All characters the same but for the blanks between them: nothing was dropped, no digit changed.
    if again.replace(b" ", b"") == raw.replace(b" ", b""):
        return False
    # Not `in`, which would try the needle as a number first: ten times the price.
    return raw.translate(_DIGITS_TO_ZERO).find(_MANY_DIGITS) >= 0 or _quotes(raw) != _quotes(again)


def _quotes(text: bytes) -> int:
    """Count the quotes around texts, but not one after a backslash.

    That leaves out the end of a text that ends in a backslash: of each text one quote counts at least, and in
    orjson's own writing never more than in the line. So a dropped key always shows.
    """
    quotes = text.count(b'"')
    return quotes if text.find(b"\\") < 0 else quotes - text.count(rb"\"")
