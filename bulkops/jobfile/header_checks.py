"""Everything that can be wrong with what a header says, as far as that can be known without its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from bulkops.jobfile.expressions import is_name
from bulkops.jobfile.marks import MARKS, NAME_RULE, is_plain_name
from bulkops.jobfile.problems import LineError, nearest
from bulkops.jobfile.tables import TABLES, wrong_op

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bulkops.model import Json

MARK = "$job"
MARKS_WITH_DEFAULT = frozenset({"account", "meta", "on_error", "tags"})
MARKS_OF_TEMPLATES = MARKS_WITH_DEFAULT | {"needs", "op"}
_LATER = frozenset({"version"})
_NEVER = frozenset(
    {"api_key", "apikey", "base_url", "host", "key", "password", "secret", "token", "url", "xi-api-key"}
)
_EVERY_FIELD = frozenset(name for table in TABLES.values() for name in table.fields)
_TEXTS = ("name", "about", "account")
_OBJECTS = ("defaults", "templates", "vars", "accounts", "id_map")


def wrong_header(written: Mapping[str, Json]) -> Iterator[LineError]:
    """Yield what is wrong with an object that holds the mark of a header."""
    for key in written.keys() - {MARK}:
        yield LineError(
            key, f"stands beside `{MARK}`; move it into the header's object or to a line of its own"
        )
    said = written[MARK]
    if not isinstance(said, dict):
        yield LineError(MARK, 'has to be an object, such as {"$job": {"name": "spring"}}')
        return
    for key, value in said.items():
        place = f"{MARK}.{key}"
        if value is None and (key in _TEXTS or key in _OBJECTS):
            continue  # it takes away what a header below says
        if key in _CHECKS:
            yield from _CHECKS[key](value)
        elif key in _TEXTS:
            if not isinstance(value, str) or not value:
                yield LineError(place, "has to be a text that is not empty")
        else:
            yield LineError(place, _why_not(key))


def _why_not(key: str) -> str:
    if key.lower() in _NEVER:
        return (
            "cannot stand in a job file: it may name an account, never a host or a key; "
            "put both into the accounts file or the environment (ELEVENLABS_API_KEY)"
        )
    if key in _LATER:
        return "is not available in this version; take it out"
    return f"is not known in a header; {nearest(key, [*_TEXTS, *_OBJECTS])}"


def _wrong_defaults(defaults: Json) -> Iterator[LineError]:
    if not isinstance(defaults, dict):
        yield LineError(f"{MARK}.defaults", 'has to be an object, such as {"agent.clone": {"copies": 2}}')
        return
    for op, values in defaults.items():
        place = f"{MARK}.defaults.{op}"
        if op not in TABLES:
            yield LineError(place, f"is no known kind; {nearest(op, TABLES)}")
        elif isinstance(values, dict):
            for key, value in values.items():
                wrong = _wrong_default(op, key, value)
                if wrong is not None:
                    yield LineError(f"{place}.{key}", wrong)
        elif values is not None:
            yield LineError(place, "has to be an object with fields of that kind")


def _wrong_default(op: str, key: str, value: Any) -> str | None:
    table = TABLES[op]
    if key not in table.fields and key not in MARKS_WITH_DEFAULT:
        return f"cannot be a default of {op}; {nearest(key, [*table.fields, *MARKS_WITH_DEFAULT])}"
    if value is None or b"${" in orjson.dumps(value):
        return None  # it takes something away, or is checked at the lines, where its expressions are read
    return table.checks[key](value)


def _wrong_templates(templates: Json) -> Iterator[LineError]:
    if not isinstance(templates, dict):
        yield LineError(f"{MARK}.templates", 'has to be an object, such as {"copy": {"op": "agent.clone"}}')
        return
    for name, said in templates.items():
        place = f"{MARK}.templates.{name}"
        if not is_plain_name(name):
            yield LineError(place, f"is no name of a template: write a text of {NAME_RULE}")
        elif isinstance(said, dict):
            for key, value in said.items():
                wrong = _wrong_in_template(said.get("op"), key, value)
                if wrong is not None:
                    yield LineError(f"{place}.{key}", wrong)
        elif said is not None:
            yield LineError(place, 'has to be an object with keys of a line, such as {"op": "agent.clone"}')


def _wrong_in_template(op: Json, key: str, value: Any) -> str | None:
    """Check one key of a template; where it names no kind, those of all kinds may stand in it."""
    table = TABLES.get(op) if isinstance(op, str) else None
    if key == "op":
        return None if table is not None else wrong_op(op)
    fields = table.fields if table is not None else _EVERY_FIELD
    if key not in fields and key not in MARKS_OF_TEMPLATES:
        if key in MARKS:
            return f"cannot stand in a template; {_OF_LINES.get(key, _OF_LINES['id'])}"
        return f"is not a field of {'any kind' if table is None else op}; " + nearest(
            key, [*fields, *MARKS_OF_TEMPLATES]
        )
    if value is None or isinstance(value, dict) or b"${" in orjson.dumps(value):
        return (
            None  # checked at the lines: it removes something, is a part of an object, or holds expressions
        )
    checks = table.checks if table is not None else MARKS
    return checks[key](value) if key in checks else None


_OF_LINES = {"id": "each line has an id of its own", "use": "name all templates on the line, in order"}


def _wrong_accounts(named: Json) -> Iterator[LineError]:
    place = f"{MARK}.accounts"
    if not isinstance(named, dict):
        yield LineError(place, 'has to be an object, such as {"source": "us-prod", "target": "eu-prod"}')
        return
    for name, account in named.items():
        if not is_plain_name(name):
            yield LineError(f"{place}.{name}", f"is no name for an account: write a text of {NAME_RULE}")
        elif account is not None and (not isinstance(account, str) or not account):
            yield LineError(f"{place}.{name}", "has to be the name of an account of the accounts file")


def _wrong_vars(declared: Json) -> Iterator[LineError]:
    if not isinstance(declared, dict):
        yield LineError(f"{MARK}.vars", 'has to be an object, such as {"agent": "agent_abc123"}')
        return
    for name in declared:
        if not is_name(name):
            yield LineError(
                f"{MARK}.vars.{name}", "is no name of a var: write letters, digits and _, no digit in front"
            )


def _wrong_id_map(files: Json) -> Iterator[LineError]:
    if not isinstance(files, list) or not all(isinstance(path, str) and path for path in files):
        yield LineError(
            f"{MARK}.id_map", 'has to be a list of files, such as ["move.run/id_map.jsonl", "voices.csv"]'
        )


_CHECKS: Mapping[str, Callable[[Json], Iterator[LineError]]] = {
    "defaults": _wrong_defaults,
    "templates": _wrong_templates,
    "vars": _wrong_vars,
    "accounts": _wrong_accounts,
    "id_map": _wrong_id_map,
}
