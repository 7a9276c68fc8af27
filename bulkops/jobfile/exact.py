"""Strict JSON, exactly: slower than orjson, and able to name what orjson hides."""

from __future__ import annotations

import math
import re
from codecs import BOM_UTF8
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from typing import TYPE_CHECKING, Any

from bulkops.jobfile.problems import LineError

if TYPE_CHECKING:
    from bulkops.model import Json

DEEPEST = 64
SMALLEST_INTEGER = -(2**63)
LARGEST_INTEGER = 2**64 - 1
"""What orjson reads as an integer; beyond it, digits would be lost."""

_MOST_DIGITS = 20
# Possessive, so that a text of 8 MiB costs no memory for going back; \Z is for a text without its end.
_TEXT = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\Z)', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


class _Pairs(list[tuple[str, Any]]):
    """An object as it is written: its keys in order, the repeated ones too."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands where a number cannot be taken, until its place is known."""

    message: str


def parse_exactly(raw: bytes) -> Json:
    """Return the value of one line of JSON; LineError names what is wrong and where."""
    text = _decoded(raw)
    _check_depth(text)
    try:
        tree = _DECODER.decode(text)
    except JSONDecodeError as error:
        reason = error.msg.removesuffix(" at")
        raise LineError(
            None,
            f"the line is not JSON ({reason}, column {error.colno}); write a whole JSON object on each line",
        ) from None
    return _plain(tree, "")


def _decoded(raw: bytes) -> str:
    if raw.startswith(BOM_UTF8):
        raise LineError(None, "the line starts with a byte order mark; save the file as UTF-8 without BOM")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise LineError(
            None, f"byte {error.start + 1} of the line is not UTF-8; save the file as UTF-8"
        ) from None


def _check_depth(text: str) -> None:
    depth = 0
    for bracket in _BRACKET.finditer(_TEXT.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > DEEPEST:
            raise LineError(None, f"the line nests deeper than {DEEPEST} levels; make it flatter")


def _integer(digits: str) -> int | _Refused:
    if len(digits.removeprefix("-")) <= _MOST_DIGITS:
        number = int(digits)
        if SMALLEST_INTEGER <= number <= LARGEST_INTEGER:
            return number
    return _Refused(f"is an integer beyond 64 bits ({digits[:24]}…); write it as a text")


def _float(digits: str) -> float | _Refused:
    number = float(digits)
    if math.isinf(number):
        return _Refused(f"is a number too large to hold ({digits[:24]}); write it as a text")
    return number


def _constant(word: str) -> _Refused:
    return _Refused(f"is {word}, which JSON does not have; use null or leave the field out")


_DECODER = JSONDecoder(
    object_pairs_hook=_Pairs, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def _plain(node: Any, path: str) -> Json:
    if isinstance(node, _Pairs):
        return _object(node, path)
    if isinstance(node, list):
        return [_plain(item, f"{path}.{index}" if path else str(index)) for index, item in enumerate(node)]
    if isinstance(node, _Refused):
        raise LineError(path or None, node.message)
    if isinstance(node, str):
        _check_text(node, path)
    return node


def _object(pairs: _Pairs, path: str) -> dict[str, Json]:
    plain: dict[str, Json] = {}
    for key, value in pairs:
        place = f"{path}.{key}" if path else key
        _check_text(key, path)
        if key in plain:
            raise LineError(place, "stands twice in the same object; keep one of them")
        plain[key] = _plain(value, place)
    return plain


def _check_text(text: str, path: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(text[error.start]):04x}"
            raise LineError(
                path or None, f"holds half a character ({half} without its other half); write the whole one"
            ) from None
