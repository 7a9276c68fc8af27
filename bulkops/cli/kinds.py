"""`bulkops kinds`: what can be done, and the fields of each kind's lines."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING

import orjson

from bulkops.cli.parsing import UsageExit, near, say
from bulkops.operation import fields_of
from bulkops.operations import KINDS

if TYPE_CHECKING:
    from bulkops.cli.parsing import Options
    from bulkops.model import Json
    from bulkops.operation import Operation


def run(options: Options) -> int:
    """Print the kinds."""
    check_kind("kinds", options.kind)
    chosen = [KINDS[options.kind]] if options.kind else list(KINDS.values())
    if options.json:
        sys.stdout.buffer.write(orjson.dumps([as_json(kind) for kind in chosen]) + b"\n")
    else:
        print("\n\n".join(as_text(kind) for kind in chosen))
    return 0


def check_kind(command: str, kind: str | None) -> None:
    """End the call when it names a kind that there is not."""
    if kind is not None and kind not in KINDS:
        say(f"bulkops {command}: there is no kind {kind!r}{near(kind, KINDS)} (`bulkops kinds`)")
        raise UsageExit(2)


def as_json(kind: type[Operation]) -> Json:
    """Return a kind for programs."""
    return {
        "kind": kind.kind,
        "about": inspect.cleandoc(kind.__doc__ or ""),
        "fields": [
            {"name": field.name, "required": field.required, "about": field.about}
            for field in fields_of(kind).values()
        ],
        "example": kind.example,
    }


def as_text(kind: type[Operation]) -> str:
    """Return a kind for people."""
    lines = [
        kind.kind,
        *(f"  {line}".rstrip() for line in inspect.cleandoc(kind.__doc__ or "").splitlines()),
        "",
    ]
    width = max((len(name) for name in fields_of(kind)), default=0)
    for field in fields_of(kind).values():
        optional = "" if field.required else "(optional) "
        lines += [f"  {field.name:<{width}}  {optional}{field.about}"]
    return "\n".join([*lines, f"  example: {orjson.dumps(kind.example).decode()}"])
