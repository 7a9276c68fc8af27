"""The lines of a job file as a JSON Schema (draft 2020-12), for editors.

What the reader of job files takes, the schema takes; the reader decides. A schema sees one line at a time, so what may
come from the header, or be filled in later, it lets pass.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from bulkops.jobfile.collecting import COLLECT
from bulkops.jobfile.each import EACH
from bulkops.jobfile.header_checks import MARK, MARKS_OF_TEMPLATES, MARKS_WITH_DEFAULT
from bulkops.jobfile.marks import ID_LENGTH, WAYS_ON_ERROR
from bulkops.jobfile.sources import LISTINGS, OPTIONS, TYPES
from bulkops.jobfile.wanted import CONDITIONS
from bulkops.operation import TEXT, fields_of
from bulkops.operations import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bulkops.model import Json
    from bulkops.operation import Field, Operation, Schema

    Definitions = dict[str, dict[str, Any]]

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_NULL: Final[Schema] = {"type": "null"}
_OF_A_ROW: Final[Schema] = {"type": "string", "pattern": r"\$\{row:"}
_PLAIN: Final = r"[^ #\[\]{}]([^#\[\]{}]*[^ #\[\]{}])?"
_ID: Final = rf"(~[0-9a-f]{{32}}|(?![@~]){_PLAIN})"
_NAME: Final[Schema] = {"type": "string", "maxLength": ID_LENGTH, "pattern": f"^{_PLAIN}$"}
_GIVEN: Final[Schema] = {"not": _NULL}


def line_schema(said: Mapping[str, Json] | None = None, kind: str | None = None) -> dict[str, Json]:
    """Return the schema of a line of a job file, or, with `kind`, of a line that names this kind.

    With `said`, what the headers of a job say, it is that of a line of this job: it knows the templates, and demands
    the fields that can come from nowhere else.
    """
    definitions = {**_plain_lines(said), **_header()}
    if kind is not None:
        needed = {name: definitions[name] for name in (kind, "marks", "expression")}
        return {"$schema": _DRAFT, **_to(kind), "$defs": needed}
    return {
        "$schema": _DRAFT,
        "title": "a line of a bulkops job file",
        "type": "object",
        "if": {"required": [MARK]},
        "then": _to("header"),
        "else": {"if": {"required": [EACH]}, "then": _to("each"), "else": _to("line")},
        "$defs": {**definitions, **_each_lines(said)},
    }


def _plain_lines(said: Mapping[str, Json] | None) -> Definitions:
    marks = _marks(said)
    lines: Definitions = {"line": _by_kind("", {"enum": list(KINDS)})}
    for op, kind in KINDS.items():
        fields = {name: _value_of(kind, field) for name, field in fields_of(kind).items()}
        lines[op] = {
            "title": op,
            "description": inspect.cleandoc(kind.__doc__ or ""),
            **_line(fields, _to_each_of("marks", marks), op=op, demanded=_demanded(kind, said)),
            "examples": [dict(kind.example)],
        }
    lines["any"] = _line(_fields_of_any_kind(), _to_each_of("marks", marks))
    return {**lines, "marks": {"properties": marks}, "expression": _expression(r"\$\{", "expression")}


def _each_lines(said: Mapping[str, Json] | None) -> Definitions:
    """Return what is special about an `$each`: in every place of its line, a row may say what stands there."""
    marks = {name: _or_expression(mark, "each.expression") for name, mark in _marks(said).items()}
    lines: Definitions = {
        "each": _object({EACH: _source(), "line": _to("each.line")}, required=[EACH, "line"]),
        "each.line": _by_kind("each.", {"anyOf": [{"enum": list(KINDS)}, _OF_A_ROW]}),
    }
    for op, kind in KINDS.items():
        lines[f"each.{op}"] = _line(
            _to_each_of(op, fields_of(kind)),
            _to_each_of("each.marks", marks),
            op=op,
            demanded=_demanded(kind, said),
        )
    lines["each.any"] = _line(_fields_of_any_kind(), _to_each_of("each.marks", marks))
    return {
        **lines,
        "each.marks": {"properties": marks},
        "each.expression": _expression(_OF_A_ROW["pattern"], "each.expression"),
    }


def _by_kind(prefix: str, op: Schema) -> dict[str, Any]:
    """Return what leads a line to the schema of its kind, so that errors are told of that kind alone."""
    ways = [
        {
            "if": {"properties": {"op": {"const": name}}, "required": ["op"]},
            "then": _to(f"{prefix}{name}"),
        }
        for name in KINDS
    ]
    known = {"properties": {"op": {"enum": list(KINDS)}}, "required": ["op"]}
    return {
        "type": "object",
        "properties": {"op": {"description": "what to do", **op}},
        "allOf": [*ways, {"if": known, "else": _to(f"{prefix}any")}],
    }


def _line(
    fields: Mapping[str, Schema],
    marks: Mapping[str, Schema],
    *,
    op: str | None = None,
    demanded: Iterable[str] = (),
) -> dict[str, Any]:
    """Return a line with these keys; without a kind, its templates or its row have to say what it does."""
    return {
        **_object({"op": {} if op is None else {"const": op}, **fields, **marks}),
        "if": {"properties": {"use": _GIVEN}, "required": ["use"]},
        "else": {"required": ["op", *demanded]},
        "not": {"properties": {"id": _GIVEN, "custom_id": _GIVEN}, "required": ["id", "custom_id"]},
    }


def _demanded(kind: type[Operation], said: Mapping[str, Json] | None) -> list[str]:
    """Return the fields that only the line can give; without a header nobody knows."""
    if said is None:
        return []
    defaults = (said.get("defaults") or {}).get(kind.kind) or {}
    return [name for name, field in fields_of(kind).items() if field.required and defaults.get(name) is None]


def _value_of(kind: type[Operation], field: Field) -> Schema:
    about: dict[str, Json] = {"description": field.about if field.required else f"(optional) {field.about}"}
    if field.name in kind.example:
        about["examples"] = [kind.example[field.name]]
    value = _or_expression(_partly(field.schema), "expression")
    return {**about, **(value if field.required else _or_null(value))}


def _partly(schema: Schema) -> Schema:
    """Return what has to stand on the line of a value: of an object a part, where the rest may be said once.

    A null takes away what is said there.
    """
    if "properties" not in schema:
        return schema
    parts = {key: _or_null(_partly(value)) for key, value in schema["properties"].items()}
    partly = {key: value for key, value in schema.items() if key != "required"}
    more = {"additionalProperties": _NULL} if schema.get("additionalProperties") is False else {}
    return {**partly, "properties": parts, **more}


def _expression(pattern: str, name: str) -> dict[str, Any]:
    """Return what an expression is, or holds one somewhere: it is checked when that is filled in."""
    within = _to(name)
    return {
        "anyOf": [
            {"type": "object", "required": [COLLECT]},
            {"type": "string", "pattern": pattern},
            {"type": "array", "contains": within},
            {
                "type": "object",
                "not": {"patternProperties": {pattern: False}, "additionalProperties": {"not": within}},
            },
        ]
    }


def _or_expression(schema: Schema, expression: str) -> Schema:
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], _to(expression)]}
    return {"anyOf": [schema, _to(expression)]}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "anyOf": [*schema["anyOf"], _NULL]} if "anyOf" in schema else {"anyOf": [schema, _NULL]}


def _fields_of_any_kind() -> dict[str, Schema]:
    """Return the fields of all kinds, each as all of the kinds that have it take it."""
    takers: dict[str, list[str]] = {}
    for op, kind in KINDS.items():
        for name in fields_of(kind):
            takers.setdefault(name, []).append(op)
    return {
        name: {"anyOf": [_to(f"{op}/properties/{name}") for op in takers[name]]} for name in sorted(takers)
    }


def _marks(said: Mapping[str, Json] | None) -> dict[str, Schema]:
    """Return the reserved keys of a line beside `op`."""
    template: Schema = {"type": "string"}
    if said is not None:
        templates = said.get("templates") or {}
        template = {"enum": [name for name, fields in templates.items() if fields is not None]}
    identity: Schema = {"type": "string", "maxLength": ID_LENGTH, "pattern": f"^{_ID}$"}
    need: Schema = {"type": "string", "pattern": rf"^({_ID}(\[[1-9][0-9]{{0,5}}\])?|@(?!@){_PLAIN})$"}
    tag: Schema = {**_NAME, "pattern": f"^(?!@){_PLAIN}$"}
    told: dict[str, tuple[str, list[Schema]]] = {
        "id": ("a name of your own, unique in the file; needed to refer to the line", [identity]),
        "custom_id": ("the same as `id`", [identity]),
        "needs": (
            "ids of lines that have to be done first, and @TAG for all lines with a tag",
            [{"type": "array", "items": need}],
        ),
        "tags": ("groups the line is in, for `needs` and `$collect`", [{"type": "array", "items": tag}]),
        "use": (
            "the template, or the templates, that the line is made of",
            [template, {"type": "array", "items": template}],
        ),
        "account": ("the account the line is for", [{**TEXT, "not": {"pattern": r"\$\{"}}]),
        "on_error": (
            "what a failure means: block those that wait, let them continue, or halt the run",
            [{"enum": list(WAYS_ON_ERROR)}],
        ),
        "meta": ("is copied into the results; `meta.about` explains the line", [{"type": "object"}]),
    }
    return {name: {"description": about, "anyOf": [*ways, _NULL]} for name, (about, ways) in told.items()}


def _header() -> Definitions:
    """Return what a header may say; the reader checks the rest of it, once it knows which lines there are."""
    text = {**TEXT, "type": ["string", "null"]}
    by_kind = {}
    for op, kind in KINDS.items():
        defaults = {**_to_each_of(op, fields_of(kind)), **_to_each_of("marks", sorted(MARKS_WITH_DEFAULT))}
        by_kind[op] = _object(
            {name: {"anyOf": [to, _NULL, _to("expression")]} for name, to in defaults.items()}, null=True
        )
    parts: dict[str, Schema] = {key: {} for key in [*_fields_of_any_kind(), *sorted(MARKS_OF_TEMPLATES)]}
    keys = {
        "name": {"description": "the job's name", **text},
        "about": {"description": "what the job is for", **text},
        "account": {"description": "the account of the accounts file to use", **text},
        "defaults": {
            "description": "by kind, the fields that its lines get when they do not give them",
            **_object(by_kind, null=True),
        },
        "templates": {
            "description": "by name, parts of lines, for those that `use` them",
            "type": ["object", "null"],
            "propertyNames": _NAME,
            "additionalProperties": _object({**parts, "op": {"enum": list(KINDS)}}, null=True),
        },
        "accounts": {
            "description": "by what the lines call them, names of accounts of the accounts file",
            "type": ["object", "null"],
            "propertyNames": _NAME,
            "additionalProperties": text,
        },
        "id_map": {
            "description": "files that say which ids take the places of others: id_map.jsonl, or CSV with old and new",
            "type": ["array", "null"],
            "items": TEXT,
        },
        "vars": {
            "description": "by name, values for `${var:NAME}`; null for one that has to be given with --var",
            "type": ["object", "null"],
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        },
    }
    said = {"description": "what is said once, for all lines; only on the first line", **_object(keys)}
    return {"header": _object({MARK: said}, required=[MARK])}


def _source() -> Schema:
    plain: Schema = {"type": ["string", "number", "boolean", "null"]}
    examples = {"csv": "customers.csv", "jsonl": "rows.jsonl", "glob": "docs/**/*.md", "op": "agent.list"}
    choice: Schema = {"anyOf": [plain, {"type": "array", "items": plain, "minItems": 1}]}
    asked = {word: choice if word == "not" else {"type": ["string", "number"]} for word in CONDITIONS}
    options: dict[str, Schema] = {
        "account": {"description": "the account whose listing it is", **TEXT, "type": ["string", "null"]},
        "query": {
            "description": "what the API is asked to list, as it wants it; bulkops reads the pages of that",
            "type": ["object", "null"],
            "additionalProperties": {"type": "string"},
        },
        "delimiter": {"type": ["string", "null"], "minLength": 1, "maxLength": 1, "pattern": '[^"\r\n]'},
        "encoding": {**TEXT, "type": ["string", "null"], "examples": ["utf-8", "cp1252"]},
        "types": {"type": ["object", "null"], "additionalProperties": {"enum": list(TYPES)}},
        "where": {
            "description": "by column, the value of the rows that are kept, the list of values, or what is asked of it",
            "type": ["object", "null"],
            "additionalProperties": {"anyOf": [choice, {**_object(asked), "minProperties": 1}]},
        },
    }
    return {
        "description": "where the rows come from; paths start at the job file's folder",
        "anyOf": [
            _object(
                {kind: _named(kind, examples[kind]), **{name: options[name] for name in names}},
                required=[kind],
            )
            for kind, names in OPTIONS.items()
        ],
    }


def _named(kind: str, example: str) -> Schema:
    return {"enum": list(LISTINGS)} if kind == "op" else {**TEXT, "examples": [example]}


def _object(
    properties: Mapping[str, Schema], *, required: Iterable[str] = (), null: bool = False
) -> dict[str, Any]:
    """Return an object that has these keys and no others."""
    return {
        "type": ["object", "null"] if null else "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def _to(definition: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{definition}"}


def _to_each_of(definition: str, names: Iterable[str]) -> dict[str, Schema]:
    return {name: _to(f"{definition}/properties/{name}") for name in names}
