"""Everything that can be wrong with a line that is an object; found at once, as errors with their field."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bulkops.jobfile.expressions import prepare
from bulkops.jobfile.header_checks import MARK
from bulkops.jobfile.holes import Collect, Ref, Text, places_of
from bulkops.jobfile.marks import MARKS, TAG_MARK, read_need
from bulkops.jobfile.problems import LineError, LineProblems
from bulkops.jobfile.tables import KINDS_WITH_MANY, TABLES, unknown_key, wrong_op
from bulkops.jobfile.uploads import wrong_file, wrong_object, wrong_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from bulkops.jobfile.holes import LookedUp
    from bulkops.jobfile.tables import Table
    from bulkops.model import Json


def without_kind(written: Mapping[str, Json], op: Json) -> list[LineError]:
    """Return what can be said about a line whose kind, of this name, is not known."""
    directives = [key for key in written if key.startswith("$")]
    if directives:
        return [LineError(key, _wrong_directive(key)) for key in directives]
    problems = [LineError("op", wrong_op(op))]
    given = [(key, look, written[key]) for key, look in MARKS.items() if written.get(key) is not None]
    problems += [LineError(key, wrong) for key, look, value in given if (wrong := look(value))]
    return problems


def _wrong_key(key: str, op: str) -> str:
    return _wrong_directive(key) if key.startswith("$") else unknown_key(key, op)


def _wrong_directive(key: str) -> str:
    if key == MARK:
        return "may stand on the first line only; move it there"
    return "is not available in this version; write the lines out"


def check(
    written: Mapping[str, Json], op: str, table: Table, unresolved: set[str], problems: list[LineError]
) -> None:
    """Check every key that is there, and that no field is missing. A null counts as not given."""
    checks = table.checks
    for key, value in written.items():
        look = checks.get(key)
        if look is None:
            problems.append(LineError(key, _wrong_key(key, op)))
        elif value is not None and key not in unresolved and (wrong := look(value)):
            problems.append(LineError(key, wrong))
    missing = [key for key in table.required if written.get(key) is None]
    # What is missing may be in a template whose name is wrong.
    if missing and all(error.field != "use" for error in problems):
        problems += [LineError(key, f"is missing; {op} needs it") for key in missing]
    if table.wrong_together is not None and all(error.field != "use" for error in problems):
        problems += [LineError(field, wrong) for field, wrong in table.wrong_together(written)]
    if written.get("custom_id") is not None and written.get("id") is not None:
        problems.append(LineError("custom_id", "stands beside `id` and means the same; keep one of them"))


def with_expressions(
    written: dict[str, Json],
    op: str,
    environ: Mapping[str, str],
    vars: Mapping[str, Json],
    problems: list[LineError],
) -> tuple[dict[str, Json], frozenset[LookedUp], set[str]]:
    """Read the expressions in the kind's fields: the line after it, its references, the fields left open."""
    table = TABLES[op]
    read = dict(written)
    refs: set[LookedUp] = set()
    unresolved: set[str] = set()
    for key in [key for key in written if key in table.fields]:
        try:
            prepared = prepare(written[key], environ, key, vars)
        except LineProblems as wrong:
            problems.extend(LineError(field, message) for field, message in wrong.found)
            unresolved.add(key)  # not to be checked any further
            continue
        read[key] = prepared.value
        if prepared.dynamic:
            unresolved.add(key)
            refs |= prepared.refs
        if prepared.dynamic and key in table.literal:
            problems.append(
                LineError(key, "has to be known beforehand; only ${env:NAME} and ${var:NAME} may stand in it")
            )
        elif prepared.adds and not table.kind.adds:
            what = "holds a `$collect` with `merge`, which adds to what is there, as only agent.update can"
            problems.append(LineError(key, f"{what}; take it out"))
        elif prepared.copies and table.kind.many is None:
            kinds = ", ".join(KINDS_WITH_MANY)
            problems.append(
                LineError(key, f"holds ${{copy}}, which has a meaning in {kinds} only; take it out")
            )
    return read, frozenset(refs), unresolved


def check_surroundings(
    written: dict[str, Json],
    table: Table,
    base: Path,
    refs: frozenset[LookedUp],
    problems: list[LineError],
    *,
    look_for_files: bool,
) -> None:
    """Check the lines it waits for and the files it sends, whose paths become absolute."""
    places = {error.field for error in problems}
    for key in table.files:
        path = written.get(key)
        if isinstance(path, str) and key not in places:
            path = written[key] = os.path.join(base, path)
            wrong = wrong_file(path) if look_for_files else None
            if look_for_files and wrong is None and key in table.objects:
                wrong = wrong_object(path)
            if wrong:
                problems.append(LineError(key, wrong))
    if look_for_files and any(isinstance(ref, Text) for ref in refs):
        _check_texts(written, table, base, problems)
    if not places & {"needs", "id", "tags"}:
        own = written.get("id") or written.get("custom_id")
        tags = {TAG_MARK + tag for tag in written.get("tags") or ()}
        for source, _ in sources_of(written.get("needs") or (), refs):
            if source == own:
                problems.append(LineError("id", "is waited for by its own line; refer to another line"))
            elif source in tags:
                what = f"has {source[1:]!r}, and the line waits for all lines with that tag"
                problems.append(LineError("tags", f"{what}; give it another one"))


def _check_texts(written: dict[str, Json], table: Table, base: Path, problems: list[LineError]) -> None:
    """Check the files whose text is filled in."""
    for place, ref in places_of({key: written[key] for key in table.fields if key in written}):
        wrong = wrong_text(os.path.join(base, ref.path)) if isinstance(ref, Text) else None
        if wrong:
            problems.append(LineError(place, wrong))


def sources_of(needs: Iterable[str], refs: Iterable[LookedUp]) -> frozenset[tuple[str, int | None]]:
    """Return what is waited for: ids, with a number (from 1) where one operation is meant, and `@TAG`s."""
    needed = (read_need(need) for need in needs)
    lines = ((ref.id, ref.index) for ref in refs if isinstance(ref, Ref))
    tags = ((TAG_MARK + ref.tag, None) for ref in refs if isinstance(ref, Collect))
    return frozenset([*(need for need in needed if need), *lines, *tags])
