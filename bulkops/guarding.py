"""A thing is read before it is changed: so that the change can be taken back, and left out where it is not meant."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bulkops.errors import OperationFailed
from bulkops.merging import unlike
from bulkops.model import Pinned
from bulkops.moments import moment

if TYPE_CHECKING:
    from bulkops.api.profile import Listing, Profile
    from bulkops.model import Json, Request

CHANGED_SINCE = "changed_since"
"""The code of the failure of what does not read as expected."""
AT_ONCE = 5.0
"""Seconds by which a thing may say that it was changed after it was made, though nobody did: it is made in steps."""
MADE = "made"
"""In the place of a moment: that at which the thing itself says that it was made."""
_MOST_SHOWN = 5


def read_before(
    api: Profile, agent_id: str, expected: Json, unchanged_since: str | None, *, needed: bool = False
) -> Request:
    """Return the request that reads an agent before it is changed; the first answer is kept for good.

    An answer that does not read as expected fails the operation, is not kept, and so is asked for anew by a retry.
    `needed`: the change is made of the answer, so that it is asked for in any case, and as it is now.
    """
    guarded = needed or expected is not None or unchanged_since is not None
    fit = partial(_check, api, api.agent_list, expected, unchanged_since) if guarded else None
    return api.agent_get.request(agent_id=agent_id, pinned=Pinned.OPERATION, fit=fit)


def look_before(
    api: Profile, listing: Listing, thing_id: str, expected: Json, unchanged_since: str | None
) -> Request:
    """Return the request that reads a thing of a listing before it is deleted; nothing of the answer is kept."""
    return replace(listing.look(thing_id), fit=partial(_check, api, listing, expected, unchanged_since))


def wrong_moment(value: Json) -> str | None:
    """Say what is wrong with a moment in a job file, if anything."""
    known = isinstance(value, str) and (value == MADE or moment(value) is not None)
    return None if known else f'has to be a moment such as "2025-11-03T12:00:00Z", or "{MADE}"'


def _check(api: Profile, listing: Listing, expected: Json, unchanged_since: str | None, thing: Json) -> None:
    kind = listing.lists
    expected = expected if expected is not None else {}
    paths = list(unlike(expected, thing))
    if paths:
        # A stamp is none of what the thing is.
        bare = listing.unstamped
        paths = list(unlike(bare(expected), bare(thing)))
    if paths:
        more = f" and {len(paths) - _MOST_SHOWN:,} more" if len(paths) > _MOST_SHOWN else ""
        where = ", ".join(path or f"the {kind}" for path in paths[:_MOST_SHOWN])
        raise _changed(kind, f"it does not read as expected: {where}{more}")
    if unchanged_since is None:
        return
    told = thing if isinstance(thing, dict) else {}
    born = told.get(listing.created_field) if unchanged_since == MADE else unchanged_since
    said = told.get(api.agent_updated_field)
    since, last = moment(born), moment(said)
    if last is None:
        raise _changed(kind, f"it does not say when it was last changed (`{api.agent_updated_field}`)")
    if since is None:
        raise _changed(kind, f"it does not say when it was made (`{listing.created_field}`)")
    if last > since + AT_ONCE:
        raise _changed(kind, f"it was changed at {said}, after {born}")


def _changed(kind: str, why: str) -> OperationFailed:
    return OperationFailed(CHANGED_SINCE, f"the {kind} was left alone, since {why}")
