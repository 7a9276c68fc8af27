"""What a line of each kind may hold, looked up once instead of at every line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulkops.jobfile.marks import MARKS
from bulkops.jobfile.problems import nearest, shown
from bulkops.operation import fields_of
from bulkops.operations import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.model import Json
    from bulkops.operation import Check, Operation


@dataclass(frozen=True, slots=True)
class Table:
    """One kind, as its lines are checked. `checks` has the kind's fields and the reserved keys."""

    kind: type[Operation]
    fields: Mapping[str, Check]
    checks: Mapping[str, Check]
    required: tuple[str, ...]
    files: tuple[str, ...]
    literal: frozenset[str]
    """Fields in which a reference cannot stand: how many operations there are, and which file is sent, has to
    be known beforehand, and no answer of a server may decide which file is read."""


def table_for(kind: type[Operation]) -> Table:
    """Return the table of a kind."""
    fields = fields_of(kind)
    checks = {name: field.check for name, field in fields.items()}
    files = tuple(name for name, field in fields.items() if field.is_file)
    many = () if kind.many is None else (kind.many,)
    return Table(
        kind=kind,
        fields=checks,
        checks={**MARKS, **checks},
        required=tuple(name for name, field in fields.items() if field.required),
        files=files,
        literal=frozenset([*files, *many]),
    )


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
