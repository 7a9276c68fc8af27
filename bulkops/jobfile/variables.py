"""Vars: values that the header says once, under a name, and that the user may give for a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.errors import UsageError
from bulkops.jobfile.exact import parse_exactly
from bulkops.jobfile.expressions import KEY_VARIABLE, prepare
from bulkops.jobfile.problems import LineError, LineProblems, nearest, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.model import Json

_JSON = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list of JSON",
    dict: "a JSON object",
}


def values_of(
    declared: Mapping[str, Json], given: Mapping[str, str], environ: Mapping[str, str], place: str
) -> dict[str, Json]:
    """Return every var that a header declares with its value: the one that is given, else its own.

    UsageError for what cannot be given; LineProblems for what has no value of its own, with places below `place`.
    """
    for name, text in given.items():
        _check_given(name, text, declared, environ)
    values: dict[str, Json] = {}
    problems: list[LineError] = []
    for name, own in declared.items():
        if name in given:
            values[name] = _as_declared(name, given[name], own)
            continue
        try:
            values[name] = _own_value(name, own, environ, f"{place}.{name}")
        except LineProblems as wrong:
            problems += [LineError(field, message) for field, message in wrong.found]
    if problems:
        raise LineProblems(problems)
    return values


def _check_given(name: str, text: str, declared: Mapping[str, Json], environ: Mapping[str, str]) -> None:
    if name not in declared:
        hint = nearest(name, declared) if declared else "it declares none"
        raise UsageError(
            f"--var {shown(name)}: the job's header declares no such var; {hint}. "
            f'To give it, declare it there: {{"$job": {{"vars": {{"{shown(name)}": null}}}}}}'
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"--var {name}: is not UTF-8; correct it") from None
    key = environ.get(KEY_VARIABLE)
    if key and key in text:
        raise UsageError(f"--var {name}: holds the API key, which never becomes part of a job; take it out")


def _as_declared(name: str, text: str, declared: Json) -> Json:
    """Return what was given: text, and JSON where the header's own value is something else than text."""
    if declared is None or isinstance(declared, str):
        return text
    kind = _JSON[type(declared)]
    try:
        found = parse_exactly(text.encode())
    except LineError:
        found = None
    if _JSON.get(type(found)) != kind:
        raise UsageError(f"--var {name}: has to be {kind}, as in the header, and {shown(repr(text))} is not")
    return found


def _own_value(name: str, own: Json, environ: Mapping[str, str], place: str) -> Json:
    if own is None:
        raise LineProblems([LineError(place, f"has no value; give it one here, or with --var {name}=…")])
    prepared = prepare(own, environ, place)
    if prepared.dynamic:
        wrong = "has to be known beforehand; only ${env:NAME} may stand in a var"
        raise LineProblems([LineError(place, wrong)])
    return prepared.value
