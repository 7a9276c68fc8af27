"""What `plan --online` looks at, and how that is told. Only this loads HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from bulkops.cli import orders
from bulkops.errors import UsageError
from bulkops.model import value
from bulkops.pace.places import state_folder
from bulkops.planning.changes import ABSENT
from bulkops.previewing import preview
from bulkops.reporting.text import safe_text
from bulkops.reporting.words import number
from bulkops.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.cli.parsing import Options
    from bulkops.jobfile import Line
    from bulkops.model import Json
    from bulkops.planning import Plan
    from bulkops.planning.changes import Difference
    from bulkops.previewing import Missing, Preview, Seen

LONGEST_VALUE = 60
MOST_SHOWN = 20
"""Differences of one line; the others are counted."""


def look(options: Options, plan: Plan, environ: dict[str, str]) -> Told:
    """Read what the options let, with the account's key."""
    if options.online_limit < 1:
        raise UsageError(f"--online-limit takes a number from 1, not {options.online_limit}")
    api = orders.profile(options)
    account, others = orders.find_accounts(options, plan, environ)
    settings = Settings(api=api, account=account, others=others)
    seen = preview(plan, settings, state_folder(environ), options.online_limit)
    return Told(seen, options.online_limit, plan.job.place)


@value
class Told:
    """A preview in words and for programs. Every text of the server is made safe."""

    preview: Preview
    limit: int
    place: Callable[[int], str]
    """Says where a line stands."""

    def as_json(self) -> Json:
        """Return it for programs."""
        return {
            "reads": sum(self.preview.reads.values()),
            "limit": self.limit,
            "not_looked_at": self.preview.beyond,
            "not_known_yet": self.preview.unknown,
            "maps_not_looked_at": self.preview.unsought,
            "lines": [_as_json(seen) for seen in self.preview.seen],
        }

    def as_lines(self) -> list[str]:
        """Return it for people."""
        preview = self.preview
        others = [number(count, kind) for kind, count in sorted(preview.reads.items()) if kind != "agent"]
        read = ", ".join([number(preview.reads.get("agent", 0), "agent"), *others])
        head = f"online: read {read}, and changed nothing"
        if preview.beyond:
            head += f"; {number(preview.beyond, 'operation')} not looked at (--online-limit {self.limit})"
        if preview.unknown:
            head += f"; {number(preview.unknown, 'line')} will know the agent only when others are done"
        if preview.unsought:
            what = number(preview.unsought, "id")
            head += f"; {what} that maps lead to not looked at (--online-limit {self.limit})"
        return [head, *(line for seen in preview.seen for line in _as_lines(seen, self.place))]


def _as_json(seen: Seen) -> Json:
    line = seen.concern.line
    return {
        "line": line.number,
        "id": line.id,
        "op": line.op,
        "agent_id": seen.concern.agent_id,
        "is_there": seen.is_there,
        "name": _name(seen),
        "differences": [_difference(each) for each in seen.differences],
        **({"trouble": seen.trouble} if seen.trouble is not None else {}),
        **({"absent": [_missing(each) for each in seen.absent]} if seen.absent else {}),
        **({"ambiguous": [{"path": at, "why": why} for at, why in seen.ambiguous]} if seen.ambiguous else {}),
    }


def _missing(each: Missing) -> Json:
    told = {"path": each.path, f"{each.kind}_id": each.id}
    return told if each.trouble is None else {**told, "trouble": each.trouble}


def _difference(each: Difference) -> Json:
    """Return a difference for programs; a value that is not there has no key."""
    ends = {"old": each.old, "new": each.new}
    return {"path": ".".join(each.path), **{word: _plain(end) for word, end in ends.items() if end != ABSENT}}


def _as_lines(seen: Seen, place: Callable[[int], str]) -> list[str]:
    line, name = seen.concern.line, _name(seen)
    called = "" if name is None else f" ({safe_text(name, LONGEST_VALUE)})"
    head = f"  {place(line.number)}, {line.op} {safe_text(seen.concern.agent_id)}{called}"
    if seen.trouble is not None:
        return [f"{head}: could not be read: {safe_text(seen.trouble)}"]
    if not seen.is_there:
        return [f"{head}: is not there"]
    if seen.absent or seen.ambiguous:
        return [
            f"{head}:",
            *(f"    {safe_text(each.path)}: {_amiss(each, line)}" for each in seen.absent),
            *(f"    {safe_text(at)}: would fail: {safe_text(why)}" for at, why in seen.ambiguous),
        ]
    if line.op != "agent.update":
        return [head]
    if not seen.differences:
        return [f"{head}: changes nothing"]
    more = len(seen.differences) - MOST_SHOWN
    return [
        f"{head}:",
        *(f"    {_shown(each)}" for each in seen.differences[:MOST_SHOWN]),
        *([f"    … and {number(more, 'field')} more"] if more > 0 else []),
    ]


def _amiss(each: Missing, line: Line) -> str:
    """Say what is wrong with what a map leads to, which of the maps that is, and what helps."""
    said = line.fields.get("map")
    of_line = isinstance(said, dict) and each.id in said.values()
    whose = "`map`" if of_line else "the header's `id_map`"
    if each.trouble is not None:
        return f"{whose} says {safe_text(each.id)}, which could not be read: {safe_text(each.trouble)}"
    account = "" if line.account is None else f" in {safe_text(line.account)}"
    remedy = f"name one that is there{account}, or leave it out with `unset`"
    return f"{whose} says {safe_text(each.id)}, and there is no such {each.kind}; {remedy}"


def _shown(each: Difference) -> str:
    return f"{safe_text('.'.join(each.path))}: {_value(each.old)} → {_value(each.new)}"


def _value(what: Json) -> str:
    return "nothing" if what == ABSENT else safe_text(orjson.dumps(_plain(what)).decode(), LONGEST_VALUE)


def _plain(what: Json) -> Json:
    """Return a value as JSON; what is known only when the line runs stands as it is written."""
    if isinstance(what, dict):
        return {key: _plain(inner) for key, inner in what.items()}
    if isinstance(what, list):
        return [_plain(inner) for inner in what]
    return what if what is None or isinstance(what, str | int | float) else str(what)


def _name(seen: Seen) -> str | None:
    name = seen.agent.get("name") if isinstance(seen.agent, dict) else None
    return name if isinstance(name, str) else None
