"""What every kind is: a frozen dataclass with a generator of steps, whose fields are the job line's format."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from bulkops.api.profile import ENTITY_ID_LENGTH, is_entity_id
from bulkops.model import Json, Reply, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulkops.api.profile import Profile

Steps: TypeAlias = Generator[Step, Reply, Mapping[str, Json]]
"""An operation under way: yields steps, is sent replies, returns its result."""

Check: TypeAlias = Callable[[Any], str | None]
"""Looks at a field's value; returns what is wrong with it as the end of a sentence, or None."""

Schema: TypeAlias = Mapping[str, Json]
"""What a field's values look like, as a JSON Schema (draft 2020-12): for editors, while the check decides."""

MOST_OPERATIONS_PER_LINE = 100_000
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

TEXT: Schema = {"type": "string", "minLength": 1}
_ENTITY: Schema = {"type": "string", "pattern": f"^[A-Za-z0-9][A-Za-z0-9_-]{{0,{ENTITY_ID_LENGTH - 1}}}$"}
_ID_MAP: Schema = {"type": "object", "additionalProperties": _ENTITY}
_OBJECT: Schema = {"type": "object"}
_COUNT: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_OPERATIONS_PER_LINE}
_DURATION: Schema = {"type": "string", "pattern": r"^([0-9]+\.?[0-9]*|\.[0-9]+)[smhd]$"}
_PLAIN: Schema = {"type": ["string", "number", "boolean"]}
_QUERY: Schema = {
    "type": "object",
    "additionalProperties": {"anyOf": [_PLAIN, {"type": "array", "items": _PLAIN}]},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(ABC):
    """One thing to do. A subclass is a kind; its file is named after it.

    `kind` is the word in a line's `op`. `example` is a line that works, used by documentation and tests.
    `many` names the field that says how many operations a line of this kind becomes.
    """

    kind: ClassVar[str]
    example: ClassVar[Mapping[str, Json]]
    many: ClassVar[str | None] = None
    snapshot: ClassVar[str | None] = None
    """The field that names what is read once for all operations of a line, and for all rows of an `$each`."""
    makes: ClassVar[str | None] = None
    """The kind of thing that it makes, as the API lists such things."""
    lists: ClassVar[bool] = False
    """Whether it writes a row for each thing of a listing, as the `$each` of a job may read them."""
    adds: ClassVar[bool] = False
    """Whether lists in its fields may be added to what is there (`merging.Added`)."""
    deletes: ClassVar[str | None] = None
    """The field that names what it deletes, which has to be agreed to first."""
    replaces: ClassVar[str | None] = None
    """The field that names what it changes without having read it before."""
    may_tell: ClassVar[frozenset[str]] = frozenset()
    """Fields of its own that a result has only sometimes, besides those of the documented answers."""

    @classmethod
    def wrong_together(cls, given: Mapping[str, Json]) -> Iterator[tuple[str, str]]:  # noqa: ARG003 - kinds whose fields depend on each other use it
        """Yield what is wrong with the fields of a line together, each of which is good: a field, and the message."""
        return iter(())

    @abstractmethod
    def steps(self, api: Profile) -> Steps:
        """Yield the steps of this operation, hear a reply to each, return the result."""

    def passed(self, api: Profile, result: Mapping[str, Json]) -> bool | None:  # noqa: ARG002 - kinds that check something use it
        """Tell whether the check that this operation is passed; None for those that check nothing."""
        return None


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a kind's line: what it means, how a value is checked and looks, and whether it must be there."""

    name: str
    about: str
    check: Check
    schema: Schema
    required: bool
    is_file: bool = False
    is_sent: bool = False
    """The file itself is uploaded."""
    is_account: bool = False
    is_id_map: bool = False
    """What the header's `id_map` says stands under it."""


def _field(about: str, check: Check, schema: Schema, *, required: bool, default: Json, **more: bool) -> Any:
    metadata = {"about": about, "check": check, "schema": schema, "more": more}
    if required:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def entity(about: str, *, required: bool = True) -> Any:
    """Declare a field that holds the id of something at the API."""
    return _field(about, _is_entity, _ENTITY, required=required, default=None)


def account(about: str) -> Any:
    """Declare a field that names an account, or says what the header calls one."""
    return _field(about, _is_text, TEXT, required=False, default=None, is_account=True)


def id_map(about: str) -> Any:
    """Declare a field that holds ids by other ids, over those of the header."""
    return _field(about, _is_id_map, _ID_MAP, required=False, default=None, is_id_map=True)


def json_file(about: str) -> Any:
    """Declare a field that holds the path of a file with a JSON object, which is read here."""
    return _field(about, _is_text, TEXT, required=False, default=None, is_file=True)


def text(about: str, *, required: bool = False, default: str | None = None) -> Any:
    """Declare a field that holds a text that is not empty."""
    return _field(about, _is_text, TEXT, required=required, default=default)


def json_object(about: str, *, required: bool = False) -> Any:
    """Declare a field that holds a JSON object; it is sent as it stands."""
    return _field(about, _is_object, _OBJECT, required=required, default=None)


def query(about: str) -> Any:
    """Declare an optional field that holds what else is asked: an object of plain values, or of lists of them."""
    return _field(about, _is_query, _QUERY, required=False, default=None)


def whole(about: str, *, default: int) -> Any:
    """Declare a field that holds a whole number from 1 to 100,000."""
    return _field(about, _is_count, _COUNT, required=False, default=default)


def upload(about: str) -> Any:
    """Declare a required field that holds the path of a file to send."""
    return _field(about, _is_text, TEXT, required=True, default=None, is_file=True, is_sent=True)


def duration(about: str, *, default: str) -> Any:
    """Declare a field that holds a duration such as `30s`, `5m`, `2h`, `7d`."""
    return _field(about, _is_duration, _DURATION, required=False, default=default)


def checked(about: str, check: Check, schema: Schema) -> Any:
    """Declare an optional field with a check of its own; the schema takes whatever the check takes."""
    return _field(about, check, schema, required=False, default=None)


def seconds(text_: str) -> float:
    """Return the seconds of a duration such as `30s`, `5m`, `2h`, `7d`; ValueError for anything else."""
    unit = _UNITS.get(text_[-1:])
    number = text_[:-1]
    digits = number.replace(".", "", 1)
    if unit is None or len(number) > 12 or not (digits.isascii() and digits.isdecimal()):  # noqa: PLR2004 - more digits than any duration needs
        raise ValueError(text_)
    return float(number) * unit


def fields_of(kind: type[Operation]) -> Mapping[str, Field]:
    """Return the fields of a kind's line by name, in the order they are declared."""
    known = _FIELDS.get(kind)
    if known is None:
        known = _FIELDS[kind] = MappingProxyType(
            {
                field_name(f.name): Field(
                    name=field_name(f.name),
                    about=f.metadata["about"],
                    check=f.metadata["check"],
                    schema=f.metadata["schema"],
                    required=f.default is dataclasses.MISSING,
                    **f.metadata["more"],
                )
                for f in dataclasses.fields(kind)
            }
        )
    return known


def field_name(attribute: str) -> str:
    """Return how a line calls an attribute: words of Python, such as `from`, have a sign behind them there."""
    return attribute.removesuffix("_")


_FIELDS: dict[type[Operation], Mapping[str, Field]] = {}


def _is_entity(value: Any) -> str | None:
    return None if is_entity_id(value) else "has to be an id: letters, digits, `_` and `-`, at most 120"


def _is_id_map(value: Any) -> str | None:
    if not isinstance(value, dict):
        return 'has to be an object of ids by ids, such as {"tool_123": "tool_456"}'
    for old, new in value.items():
        if not is_entity_id(new):
            return f"says what is no id for {old!r:.80}: write letters, digits, `_` and `-`, at most {ENTITY_ID_LENGTH}"
    return None


def _is_text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "has to be a text that is not empty"


def _is_object(value: Any) -> str | None:
    return None if isinstance(value, dict) else "has to be a JSON object"


def _is_query(value: Any) -> str | None:
    if isinstance(value, dict):
        parts = [part if isinstance(part, list) else [part] for part in value.values()]
        if all(isinstance(each, str | int | float) for part in parts for each in part):
            return None
    return 'has to be an object of plain values, or of lists of them, such as {"force": true}'


def _is_count(value: Any) -> str | None:
    whole_number = isinstance(value, int) and not isinstance(value, bool)
    if whole_number and 1 <= value <= MOST_OPERATIONS_PER_LINE:
        return None
    return f"has to be a whole number from 1 to {MOST_OPERATIONS_PER_LINE}"


def _is_duration(value: Any) -> str | None:
    try:
        seconds(value)
    except (ValueError, TypeError):
        return 'has to be a duration such as "30s", "5m" or "2h"'
    return None
