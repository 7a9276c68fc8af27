"""What operations would change of what is there: which agents have to be read for it, and what differs then. Pure."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from bulkops.jobfile.id_maps import several
from bulkops.mapping import agents_at, ids_at, replaced, sendable, texts_at, without
from bulkops.merging import merge_patch
from bulkops.model import value
from bulkops.operations.agent_clone import CloneAgent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulkops.api.profile import Profile
    from bulkops.jobfile import Line
    from bulkops.model import Json
    from bulkops.planning.plan import Plan

CONCERNED = {"agent.update": "agent_id", "agent.delete": "agent_id", "agent.clone": "agent_id"}
"""The kinds that concern an agent which has to be there, and the field that names it."""


@value
class Absent:
    """In the place of a value: there is none."""


ABSENT = Absent()


@value
class Difference:
    """A value that would change: where it is (keys from the outside in), what it is, what it would be."""

    path: tuple[str, ...]
    old: Json
    new: Json


@value
class Concern:
    """A line that concerns an agent."""

    line: Line
    agent_id: str
    """Empty as long as it is not known."""
    operations: int
    """So many of the line are left to do."""


def concerns(plan: Plan) -> Iterator[Concern]:
    """Yield, in file order, the lines left to do that concern an agent."""
    if not any(plan.left[kind] for kind in CONCERNED):
        return
    plan.occurrences.restart()
    for batch in plan.batches_with_work():
        for raw in batch:
            line = plan.parse(raw)
            key = plan.key_of(line.id, line.raw)
            field = CONCERNED.get(line.op)
            if field is None:
                continue
            agent_id = line.fields.get(field)
            left = sum(plan.takes_up(each.key, line) for each in plan.planned(line, key))
            if left:
                yield Concern(line, agent_id if isinstance(agent_id, str) else "", left)
    plan.occurrences.restart()


def mapped_ids(concern: Concern, api: Profile, agent: Json, account: str) -> Iterator[tuple[str, str, str]]:
    """Yield what a copy for an account will name, as its map says: the place, the kind and the id of each thing."""
    configuration, ids = _copied(concern, api, agent, account)
    places = chain(ids_at(api.agent_ids, configuration), agents_at(api.agent_id_field, configuration))
    for path, kind, old in places:
        # What only another line will tell cannot be looked for yet.
        if several(ids, old) is None and isinstance(new := ids.get(old), str):
            yield path, kind, new


def ambiguous(concern: Concern, api: Profile, agent: Json, account: str) -> Iterator[tuple[str, str]]:
    """Yield where a copy for an account needs an id that two take the place of, each with what is said of that."""
    configuration, ids = _copied(concern, api, agent, account)
    for path, text in texts_at(configuration):
        if (told := several(ids, text)) is not None:
            yield path, told


def _copied(concern: Concern, api: Profile, agent: Json, account: str) -> tuple[Json, Mapping[str, str]]:
    """Return what a line copies of an agent, and its map; nothing of a line that copies nothing."""
    line = concern.line
    if line.op != CloneAgent.kind:
        return {}, {}
    said = line.fields.get("map")
    own = said if isinstance(said, dict) else {}
    ids = own if line.ids is None else line.ids.over(own, account)
    return without(sendable(api, agent), line.fields.get("unset") or ()), ids


def changes(concern: Concern, agent: Json, api: Profile) -> list[Difference]:
    """Return what a line would change of its agent: of an update the fields whose value would be another one.

    That it would lose the tag by which the run that made it knew it is none: nobody asks for that.
    """
    line = concern.line
    if line.op != "agent.update":
        return []
    # What others have to make first is not there to be shown.
    body = line.fields.get("body") or {}
    ids = {old: new for old, new in (line.fields.get("replace") or {}).items() if isinstance(new, str | None)}
    changed = merge_patch(replaced(agent, ids), body)
    bare = partial(api.agent_list.unstamped, seen=False)
    return list(differences(bare(agent), bare(changed)))


def differences(old: Json, new: Json, path: tuple[str, ...] = ()) -> Iterator[Difference]:
    """Yield what differs, as deep in objects as it goes; a list differs as a whole."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from differences(old.get(key, ABSENT), new.get(key, ABSENT), (*path, key))
    elif old != new or isinstance(old, bool) is not isinstance(new, bool):
        yield Difference(path, old, new)
