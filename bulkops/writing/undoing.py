"""How one thing is taken back to what it was before a run: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.guarding import MADE
from bulkops.mapping import sendable
from bulkops.merging import merge_patch, patch_between, restored
from bulkops.model import value
from bulkops.moments import moment
from bulkops.operation import fields_of
from bulkops.operations import KINDS
from bulkops.operations.agent_create import CreateAgent
from bulkops.operations.agent_delete import DeleteAgent
from bulkops.operations.agent_update import UpdateAgent
from bulkops.operations.documents import CreateFolder
from bulkops.writing.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bulkops.api.profile import Profile
    from bulkops.model import Changed, Json

FORCE = "--even-if-changed"
MOST_NAMED = 10
"""So many operations are named in the line that takes them back."""
FOR_GOOD = "it was deleted, and cannot be made again"
UNREAD = "it was changed, and not read before"


@value
class Touch:
    """What one operation did to an agent, or to another thing.

    `by` is its record. It `made` the thing, or it changed it: then `before` is how an agent read, and `changes` are
    those that took effect, each of this agent; without any it was not read. `doubt` says why nobody knows what it did.
    """

    by: Mapping[str, Json]
    made: bool = False
    before: Json = None
    changes: tuple[Changed, ...] = ()
    doubt: str | None = None

    @property
    def deleted(self) -> bool:
        """Tell whether it deleted the agent."""
        return not self.made and (
            any(change.patch is None for change in self.changes)
            if self.changes
            else self.by["op"] == DeleteAgent.kind
        )


@value
class Left:
    """It is left as it is, and why."""

    why: str


def _same(was: Json) -> Json:
    return was


def taken_back(
    agent: str,
    touches: Sequence[Touch],
    api: Profile,
    *,
    guarded: bool = True,
    pointed: Callable[[Json], Json] = _same,
) -> dict[str, Json] | Left | None:
    """Return the line that takes back what operations did to an agent, told in the order of time.

    None when there is nothing to take back. When it is run, a `guarded` line leaves alone what was changed since. What
    the agent was, as a job says it, has ids of what is made again `pointed` to the lines that do.
    """
    doubt = next((touch.doubt for touch in touches if touch.doubt is not None), None)
    if doubt is not None:
        return Left(doubt)
    changing = [touch for touch in touches if not touch.made]
    unread = any(not touch.changes for touch in changing)
    deleted = any(touch.deleted for touch in changing)
    maker = next((touch for touch in touches if touch.made), None)
    if maker is not None:
        return None if deleted else _deletion(agent, maker, changing, api, guarded=guarded)
    if unread:
        return Left(
            f"it was {'deleted' if deleted else 'changed'} without having been read before (--no-before)"
        )
    was = left = _left_by(changing[-1])
    for touch in reversed(changing):
        for change in reversed(touch.changes):
            was = restored(was, change.patch, touch.before)
    then, now = pointed(plain(_own(was, api))), plain(_own(left, api))
    if deleted:
        return _line(CreateAgent.kind, agent, touches, {"body": then})
    patch = patch_between(now, then)
    if not patch:
        return None
    fields = {"agent_id": agent, "body": patch}
    return _line(UpdateAgent.kind, agent, touches, fields | ({"expected": now} if guarded else {}))


def removed(
    kind: str, id: str, touches: Sequence[Touch], api: Profile, *, guarded: bool = True
) -> dict[str, Json] | Left | None:
    """Return the line that deletes a thing which is no agent and which the run made; otherwise as `taken_back`.

    A `guarded` line leaves alone what was changed since, as far as the API tells that of things of its kind.
    """
    doubt = next((touch.doubt for touch in touches if touch.doubt is not None), None)
    if doubt is not None:
        return Left(doubt)
    deleted = any(KINDS[touch.by["op"]].deletes for touch in touches)
    maker = next((touch for touch in touches if touch.made), None)
    if maker is None:
        return Left(FOR_GOOD if deleted else UNREAD)
    if deleted:
        return None
    deletion, listing = KINDS[f"{kind}.delete"], api.listing_of(kind)
    assert deletion.deletes is not None
    fields: dict[str, Json] = {deletion.deletes: id}
    known = fields_of(deletion)
    if guarded and listing is not None:
        told = touches[-1].by["result"] or {}
        named = listing.sent_name[0]
        if "expected" in known and told.get(named) is not None:
            fields["expected"] = {named: plain(told[named])}
        # What is put into a folder may count as a change of it; while anything is in it, it is not deleted.
        if "unchanged_since" in known and maker.by["op"] != CreateFolder.kind:
            fields["unchanged_since"] = told.get(api.agent_updated_field) or MADE
    return _line(deletion.kind, id, touches, fields)


def _deletion(
    agent: str, maker: Touch, changing: Sequence[Touch], api: Profile, *, guarded: bool
) -> dict[str, Json] | Left:
    """Return the line that deletes an agent which the run made."""
    told = maker.by["result"] or {}
    born = told.get(api.agent_list.created_field)
    guard: dict[str, Json] | None = None
    if changing and all(touch.changes for touch in changing):
        guard = {"expected": plain(_own(_left_by(changing[-1]), api))}
    elif not changing and told.get(api.agent_id_field) == agent:
        # Its body need not be known: it was changed since when it says so.
        guard = {"unchanged_since": MADE if moment(born) is None else born}
        if api.name_field in told:
            guard["expected"] = {api.name_field: plain(told[api.name_field])}
    if guarded and guard is None:
        return Left(f"nobody knows how the run has left it; {FORCE} deletes it all the same")
    return _line(
        DeleteAgent.kind, agent, [maker, *changing], {"agent_id": agent, **((guard or {}) if guarded else {})}
    )


def _left_by(touch: Touch) -> Json:
    """Return how an operation has left an agent; of one that deleted it, how that was."""
    left = touch.before
    for change in touch.changes:
        left = left if change.patch is None else merge_patch(left, change.patch)
    return left


def _own(agent: Json, api: Profile) -> Json:
    """Return an agent without what the server assigns."""
    return sendable(api, agent)


def _line(op: str, agent: str, touches: Sequence[Touch], fields: Mapping[str, Json]) -> dict[str, Json]:
    """Return a line with fields as a job has to write them."""
    undone = dict.fromkeys(touch.by["id"] or f"line {touch.by['line']}" for touch in touches)
    account = touches[0].by.get("account")
    return {
        "id": f"undo:{agent}",
        "op": op,
        **({} if account is None else {"account": account}),
        **fields,
        "meta": {"undoes": list(undone)[:MOST_NAMED]},
    }
