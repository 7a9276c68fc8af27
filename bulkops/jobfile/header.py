"""The first line of a job file, where it says once what counts for all: `{"$job": {…}}`."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

import orjson

from bulkops.errors import JobError
from bulkops.jobfile.expressions import may_hold_expressions
from bulkops.jobfile.header_checks import MARK, wrong_header
from bulkops.jobfile.problems import LineError, LineProblems
from bulkops.jobfile.strict import parse_object
from bulkops.jobfile.variables import values_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.jobfile.reading import JobFile, RawLine
    from bulkops.model import Json


@dataclass(frozen=True, slots=True)
class Given:
    """What the user gives a run beside the job file. `vars` are values by name, which win over the header's."""

    vars: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says; without a header, nothing. The lines start at offset `start`, number `first`."""

    name: str | None = None
    about: str | None = None
    account: str | None = None
    defaults: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    templates: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    vars: Mapping[str, Json] = field(default_factory=dict)
    """The value of each."""
    may_hold_expressions: bool = False
    """Do the defaults and templates have to be searched for expressions?"""
    start: int = 0
    first: int = 1

    @property
    def digest(self) -> str:
        """A digest, in hex digits, that is the same while lines mean the same under this header."""
        return blake2b(orjson.dumps([self.defaults, self.templates, self.vars]), digest_size=16).hexdigest()


def read_header(
    file: JobFile, environ: Mapping[str, str] | None = None, given: Given | None = None
) -> Header:
    """Return the header of a job file.

    `environ` is where `${env:…}` looks. JobError with everything that is wrong with the header, UsageError for what
    is given and cannot be.
    """
    first = next(file.lines(), None)
    try:
        written = None if first is None else _written(first)
        said = {} if written is None else written[MARK]
        values = values_of(
            said.get("vars", {}), {} if given is None else given.vars, environ or {}, f"{MARK}.vars"
        )
    except LineProblems as problems:
        assert first is not None
        raise JobError([file.problem(first.number, *wrong) for wrong in problems.found]) from None
    if first is None or written is None:
        return Header()
    defaults = {op: defaults for op, defaults in said.get("defaults", {}).items() if defaults}
    templates = said.get("templates", {})
    return Header(
        name=said.get("name"),
        about=said.get("about"),
        account=said.get("account"),
        defaults=defaults,
        templates=templates,
        vars=values,
        may_hold_expressions=may_hold_expressions(orjson.dumps([defaults, templates])),
        start=file.after(first),
        first=first.number + 1,
    )


def _written(first: RawLine) -> dict[str, Json] | None:
    """Return the line if it is a header; a line that cannot be read is reported where lines are parsed."""
    try:
        written = parse_object(first.raw)
    except LineError as error:
        if b'"$job"' in first.raw:
            raise LineProblems([error]) from None
        return None
    if MARK not in written:
        return None
    if problems := list(wrong_header(written)):
        raise LineProblems(problems)
    return written
