"""One line of a job: everything that can be known about it before its references have values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from bulkops.errors import OperationFailed
from bulkops.jobfile.checking import check, check_surroundings, sources_of, with_expressions, without_kind
from bulkops.jobfile.expressions import may_hold_expressions
from bulkops.jobfile.holes import Collect, Ref, resolve
from bulkops.jobfile.marks import TAG_MARK
from bulkops.jobfile.merging import under
from bulkops.jobfile.problems import LineError, LineProblems
from bulkops.jobfile.strict import parse_object
from bulkops.jobfile.tables import TABLES
from bulkops.jobfile.templates import beneath, kind_of, used_by
from bulkops.model import value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bulkops.jobfile.header import Header
    from bulkops.jobfile.holes import LookedUp
    from bulkops.jobfile.id_maps import IdMaps
    from bulkops.jobfile.reading import RawLine
    from bulkops.jobfile.tables import Table
    from bulkops.model import Json
    from bulkops.operation import Operation

_NO_REFS: frozenset[LookedUp] = frozenset()


@value
class Line:
    """A line that has been checked.

    `fields` are its kind's, with `${env:…}` and `${var:…}` filled in and texts with holes where references are
    left. `count` is how many operations it becomes; `dynamic` tells whether they need anything that is not known yet.
    """

    number: int
    offset: int
    raw: bytes
    id: str | None
    op: str
    kind: type[Operation]
    fields: Mapping[str, Json]
    needs: tuple[str, ...]
    refs: frozenset[LookedUp]
    tags: tuple[str, ...]
    account: str | None
    on_error: str
    meta: Mapping[str, Json] | None
    count: int
    dynamic: bool
    accounts: tuple[str, ...] = ()
    """All accounts that it names, also those that it only reads."""
    ids: IdMaps | None = None
    """What the header's `id_map` says, where the kind has use for it."""

    def sources(self) -> frozenset[tuple[str, int | None]]:
        """Return what the line waits for: ids, with a number (from 1) where one operation is meant, and `@TAG`s."""
        if not self.needs and not self.refs:
            return frozenset()
        return sources_of(self.needs, self.refs)

    def referred(self) -> list[str]:
        """Return whose results the line is given: `ID`, `ID[N]`, or `@TAG` for all lines with a tag."""
        lines = {ref.source for ref in self.refs if isinstance(ref, Ref)}
        tags = {TAG_MARK + ref.tag for ref in self.refs if isinstance(ref, Collect)}
        return sorted(lines | tags)

    def forgives(self, source: str) -> bool:
        """Tell whether the line goes on although what it waits for has failed: it only collects what is done."""
        if source in self.needs:
            return False
        collects = [ref for ref in self.refs if isinstance(ref, Collect) and TAG_MARK + ref.tag == source]
        return bool(collects) and all(collect.omit for collect in collects)

    def operation(
        self, lookup: Callable[[LookedUp], Json], copy: int, account: str | None = None
    ) -> Operation:
        """Return the line's operation with this number (from 1); `lookup` gives the values of references.

        `account` is the name of the account that it is for, where that is known.
        OperationFailed names the field whose value turned out to be of no use.
        """
        table = TABLES[self.op]
        if not self.dynamic and self.ids is None:
            return table.build(**self.fields)
        fields = dict(self.fields) if not self.dynamic else self._resolved(lookup, copy)
        if self.ids is not None:
            assert table.id_map is not None
            fields[table.id_map] = self.ids.over(fields.get(table.id_map) or {}, account)
        return table.build(**fields)

    def _resolved(self, lookup: Callable[[LookedUp], Json], copy: int) -> dict[str, Json]:
        table = TABLES[self.op]
        resolved: dict[str, Json] = {}
        for key, given in self.fields.items():
            try:
                found = resolve(given, lookup, copy)
            except LineError as error:
                raise OperationFailed("bad_line", f"`{key}` cannot be filled in: {error.message}") from None
            if found is not None:
                wrong = table.fields[key](found)
                if wrong:
                    raise OperationFailed("bad_line", f"`{key}` {wrong}")
                resolved[key] = found
            elif key in table.required:
                raise OperationFailed("bad_line", f"`{key}` is null after its references were filled in")
        return resolved


def parse_line(
    raw_line: RawLine,
    header: Header,
    environ: Mapping[str, str],
    base: Path,
    *,
    known_good: bool = False,
    look_for_files: bool = True,
) -> Line:
    """Return the line, with what the header says once under it; LineProblems with everything that is wrong.

    `environ` is where `${env:…}` looks, `header` where `${var:…}` does, `base` the folder at which relative paths
    start. A line whose very bytes were found good before is `known_good`: it is not checked again, nor are its files
    looked for. Nor are they without `look_for_files`.
    """
    number, offset, raw = raw_line
    try:
        written = orjson.loads(raw) if known_good else parse_object(raw)
    except LineError as error:
        raise LineProblems([error]) from None
    problems: list[LineError] = []
    op, used = written.get("op"), None
    if written.get("use") is not None:
        used = used_by(written, header.templates, problems)
        op = kind_of(written, used)
    if not isinstance(op, str) or op not in TABLES:
        raise LineProblems(problems or without_kind(written, op))
    table = TABLES[op]

    defaults = header.defaults.get(op)
    if used:
        defaults = beneath(defaults or {}, used)
    if defaults:
        written = under(defaults, written)
    refs = _NO_REFS
    unresolved: set[str] = set()
    if may_hold_expressions(raw) or (defaults and header.may_hold_expressions):
        written, refs, unresolved = with_expressions(written, op, environ, header.vars, problems)
    if not known_good:
        check(written, op, table, unresolved, problems)

    needs = written.get("needs") or ()
    if table.files or needs or refs:
        check_surroundings(
            written, table, base, refs, problems, look_for_files=look_for_files and not known_good
        )
    if problems:
        raise LineProblems(problems)
    many = table.kind.many
    known = table.fields
    fields = {key: value for key, value in written.items() if key in known and value is not None}
    account = None if written.get("account") is None else header.account_of(written["account"])
    return Line(
        number,
        offset,
        raw,
        written.get("id") or written.get("custom_id"),
        op,
        table.kind,
        fields,
        tuple(needs),
        refs,
        tuple(written.get("tags") or ()),
        account,
        written.get("on_error") or "block",
        written.get("meta"),
        (written.get(many) or 1) if many else 1,
        bool(unresolved),
        _named(account, fields, table, header) if account is not None or table.accounts else (),
        header.ids if table.id_map is not None else None,
    )


def _named(account: str | None, fields: dict[str, Json], table: Table, header: Header) -> tuple[str, ...]:
    """Return the accounts that a line names; fields that do so name them as the accounts file does afterwards."""
    others = [key for key in table.accounts if key in fields]
    for key in others:
        fields[key] = header.account_of(fields[key])
    return (*(() if account is None else (account,)), *(fields[key] for key in others))
