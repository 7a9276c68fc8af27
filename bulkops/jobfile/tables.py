"""What a line of each kind may hold, looked up once instead of at every line."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bulkops.jobfile.marks import MARKS
from bulkops.jobfile.problems import nearest, shown
from bulkops.operation import Operation, field_name, fields_of
from bulkops.operations import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bulkops.model import Json
    from bulkops.operation import Check


@dataclass(frozen=True, slots=True)
class Table:
    """One kind, as its lines are checked. `checks` has the kind's fields and the reserved keys."""

    kind: type[Operation]
    fields: Mapping[str, Check]
    checks: Mapping[str, Check]
    required: tuple[str, ...]
    files: tuple[str, ...]
    objects: frozenset[str]
    """Those of them that hold a JSON object."""
    build: Callable[..., Operation]
    """Makes an operation of fields by their names."""
    accounts: tuple[str, ...]
    """Fields that name accounts."""
    id_map: str | None
    """The field that the header's `id_map` stands under."""
    wrong_together: Callable[[Mapping[str, Json]], Iterator[tuple[str, str]]] | None
    literal: frozenset[str]
    """Fields in which a reference cannot stand: how many operations there are, and which file is sent, has to
    be known beforehand, and no answer of a server may decide which file is read."""


def table_for(kind: type[Operation]) -> Table:
    """Return the table of a kind."""
    fields = fields_of(kind)
    checks = {name: field.check for name, field in fields.items()}
    files = tuple(name for name, field in fields.items() if field.is_file)
    many = () if kind.many is None else (kind.many,)
    accounts = tuple(name for name, field in fields.items() if field.is_account)
    renamed = {field_name(each.name): each.name for each in dataclasses.fields(kind)}
    plain = all(name == attribute for name, attribute in renamed.items())
    own = kind.wrong_together.__func__ is not Operation.wrong_together.__func__  # type: ignore[attr-defined] # methods of classes have it
    return Table(
        kind=kind,
        fields=checks,
        checks={**MARKS, **checks},
        required=tuple(name for name, field in fields.items() if field.required),
        files=files,
        objects=frozenset(name for name in files if not fields[name].is_sent),
        build=kind if plain else partial(_renamed, kind, renamed),
        accounts=accounts,
        id_map=next((name for name, field in fields.items() if field.is_id_map), None),
        wrong_together=kind.wrong_together if own else None,
        literal=frozenset([*files, *many, *accounts]),
    )


def _renamed(kind: type[Operation], attributes: Mapping[str, str], **fields: Json) -> Operation:
    return kind(**{attributes[name]: value for name, value in fields.items()})


TABLES: Mapping[str, Table] = {op: table_for(kind) for op, kind in KINDS.items()}
KINDS_WITH_MANY = tuple(op for op, kind in KINDS.items() if kind.many)


def wrong_op(op: Json) -> str:
    """Return what is wrong with an `op` that has no table."""
    if op is None:
        return f"is missing; each line names what to do, one of {', '.join(sorted(TABLES))}"
    if isinstance(op, str):
        return f"is {shown(op)!r}, which is no known kind; {nearest(op, TABLES)}"
    return 'has to be a text, such as "agent.create"'


def unknown_key(key: str, op: str) -> str:
    """Return what is wrong with a key that a line of this kind cannot have."""
    return f"is not a field of {op}; {nearest(key, TABLES[op].checks)}"
