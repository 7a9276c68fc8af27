"""What a job says once, for all its lines: its first line, `{"$job": {…}}`, over a header file that is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING

import orjson

from bulkops.errors import JobError
from bulkops.jobfile.expressions import may_hold_expressions
from bulkops.jobfile.header_checks import MARK, wrong_header
from bulkops.jobfile.id_maps import read_id_maps
from bulkops.jobfile.merging import under
from bulkops.jobfile.problems import LineError, LineProblems
from bulkops.jobfile.reading import LONGEST_LINE, JobFile
from bulkops.jobfile.strict import parse_object
from bulkops.jobfile.variables import values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from bulkops.errors import Problem
    from bulkops.jobfile.id_maps import IdMaps
    from bulkops.jobfile.reading import RawLine
    from bulkops.model import Json


@dataclass(frozen=True, slots=True)
class Given:
    """What the user gives a run beside the job file.

    `vars` are values by name, which win over those of headers. `header` is a file with a header, which stands under
    that of the job.
    """

    vars: Mapping[str, str] = field(default_factory=dict)
    header: Path | None = None
    accounts: frozenset[str] | None = None
    """The names of the accounts that there are; None where lines may name any."""


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
    accounts: Mapping[str, str] = field(default_factory=dict)
    """The names of accounts by what the lines call them."""
    ids: IdMaps | None = None
    """What the files of its `id_map` say."""
    may_hold_expressions: bool = False
    """Do the defaults and templates have to be searched for expressions?"""
    start: int = 0
    first: int = 1

    @property
    def digest(self) -> str:
        """A digest, in hex digits, that is the same while lines mean the same under this header."""
        said: list[Json] = [self.defaults, self.templates, self.vars]
        if self.accounts:
            said.append(self.accounts)
        if self.ids is not None:
            said.append([[account, ids] for account, ids in self.ids.of.items()])
        return blake2b(orjson.dumps(said), digest_size=16).hexdigest()

    def account_of(self, written: str | None) -> str | None:
        """Return the name of the account that a line means; None for the run's own."""
        return None if written is None else self.accounts.get(written, written)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a header says, and the problem that something wrong with it is."""

    said: Mapping[str, Json]
    problem: Callable[[str | None, str], Problem]

    @property
    def vars(self) -> Mapping[str, Json]:
        """The vars that it declares."""
        return self.said.get("vars") or {}


def read_header(
    file: JobFile,
    environ: Mapping[str, str] | None = None,
    given: Given | None = None,
    *,
    problems: list[Problem] | None = None,
) -> Header:
    """Return the header of a job file, over the one that is given.

    `environ` is where `${env:…}` looks. JobError with everything that is wrong with both, UsageError for a var that
    is given and cannot be. Where `problems` are gathered, what is wrong with the files of an `id_map` goes there: the
    lines can be read all the same.
    """
    given = given or Given()
    first = next(file.lines(), None)
    lower, own = _headers(file, given.header)
    said = _over(lower, own)
    declared = said.get("vars") or {}
    try:
        values = values_of(declared, given.vars, environ or {}, f"{MARK}.vars")
    except LineProblems as wrong:
        raise JobError([_of_var(*found, own, lower) for found in wrong.found]) from None
    defaults = {op: fields for op, fields in (said.get("defaults") or {}).items() if fields}
    templates = {name: fields for name, fields in (said.get("templates") or {}).items() if fields is not None}
    return Header(
        name=said.get("name"),
        about=said.get("about"),
        account=said.get("account"),
        defaults=defaults,
        templates=templates,
        vars=values,
        accounts={name: account for name, account in (said.get("accounts") or {}).items() if account},
        ids=_ids(said["id_map"], file, own, lower, problems) if said.get("id_map") else None,
        may_hold_expressions=may_hold_expressions(orjson.dumps([defaults, templates])),
        start=0 if own is None or first is None else file.after(first),
        first=1 if own is None or first is None else first.number + 1,
    )


def said_once(file: JobFile | None, header: Path | None = None) -> Mapping[str, Json]:
    """Return what the header of a job file says, over a header file that is given; vars as they are declared.

    JobError with everything that is wrong with both.
    """
    return _over(*_headers(file, header))


def _headers(file: JobFile | None, header: Path | None) -> tuple[_Said | None, _Said | None]:
    """Return the header that is given and the job's own; JobError with everything that is wrong with both."""
    problems: list[Problem] = []
    first = None if file is None else next(file.lines(), None)
    own = None if file is None or first is None else _own(file, first, problems)
    lower = None if header is None else _in_file(header, problems)
    if problems:
        raise JobError(problems)
    return lower, own


def _own(file: JobFile, first: RawLine, problems: list[Problem]) -> _Said | None:
    """Return what the first line says, if it is a header; one that cannot be read is told where lines are parsed."""
    problem = partial(file.problem, first.number)
    try:
        written = parse_object(first.raw)
    except LineError as error:
        if b'"$job"' in first.raw:
            problems.append(problem(error.field, error.message))
        return None
    if MARK not in written:
        return None
    problems += [problem(error.field, error.message) for error in wrong_header(written)]
    return _Said(written[MARK], problem)


def _in_file(path: Path, problems: list[Problem]) -> _Said | None:
    """Return what a header file says; JobError when there is no such file."""
    with JobFile.open(path) as file:
        raw = b"".join(file.blocks(end=LONGEST_LINE + 1))
    problem = partial(file.problem, None)
    try:
        written = _header_of(raw)
    except LineError as error:
        problems.append(problem(error.field, error.message))
        return None
    problems += [problem(error.field, error.message) for error in wrong_header(written)]
    return _Said(written[MARK], problem)


def _header_of(raw: bytes) -> dict[str, Json]:
    """Return the object of a header file, which may stand on several lines; LineError when it is none."""
    remedy = f'write one object, such as {{"{MARK}": {{"vars": {{"agent": "agent_abc123"}}}}}}'
    if len(raw) > LONGEST_LINE:
        raise LineError(None, f"the header is longer than {LONGEST_LINE // 2**20} MiB; say less")
    try:
        written = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise LineError(None, f"the header is not JSON ({error}); {remedy}") from None
    if not isinstance(written, dict) or MARK not in written:
        raise LineError(None, f"the file holds no header; {remedy}")
    return parse_object(raw)


def _over(lower: _Said | None, own: _Said | None) -> Mapping[str, Json]:
    """Return the job's own header over the one that is given: objects merge, null removes.

    But for a var: null says that it has no value here, so that one from below serves.
    """
    if lower is None or own is None:
        only = lower or own
        return {} if only is None else only.said
    said = dict(own.said)
    if own.vars:
        said["vars"] = {
            name: value for name, value in own.vars.items() if value is not None or name not in lower.vars
        }
    return under(lower.said, said)


def _ids(
    paths: Sequence[str],
    file: JobFile,
    own: _Said | None,
    lower: _Said | None,
    problems: list[Problem] | None,
) -> IdMaps:
    """Return what the files of an `id_map` say; JobError with what is wrong, unless that is gathered."""
    header = own if own is not None and own.said.get("id_map") else lower
    assert header is not None
    found: list[Problem] = []
    ids = read_id_maps(paths, file.folder, found, partial(header.problem, f"{MARK}.id_map"))
    if found and problems is None:
        raise JobError(found)
    if problems is not None:
        problems += found
    return ids


def _of_var(place: str | None, message: str, *headers: _Said | None) -> Problem:
    """Return what is wrong with a var, at the header that says its value."""
    name = (place or "").removeprefix(f"{MARK}.vars.").partition(".")[0]
    declaring = [header for header in headers if header is not None and name in header.vars]
    header = next((header for header in declaring if header.vars[name] is not None), declaring[0])
    return header.problem(place, message)
