"""An agent is read before it is changed: so that the change can be taken back, and left out where it is not meant."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bulkops.errors import OperationFailed
from bulkops.merging import unlike
from bulkops.model import Pinned
from bulkops.moments import moment

if TYPE_CHECKING:
    from bulkops.api.profile import Profile
    from bulkops.model import Json, Request

CHANGED_SINCE = "changed_since"
"""The code of the failure of what does not read as expected."""
AT_ONCE = 5.0
"""Seconds by which an agent may say that it was changed after it was made, though nobody did: it is made in steps."""
_MOST_SHOWN = 5


def read_before(
    api: Profile, agent_id: str, expected: Json, unchanged_since: str | None, *, needed: bool = False
) -> Request:
    """Return the request that reads an agent before it is changed; the first answer is kept for good.

    An answer that does not read as expected fails the operation, is not kept, and so is asked for anew by a retry.
    `needed`: the change is made of the answer, so that it is asked for in any case, and as it is now.
    """
    guarded = needed or expected is not None or unchanged_since is not None
    fit = partial(_check, api, expected, unchanged_since) if guarded else None
    return api.agent_get.request(agent_id=agent_id, pinned=Pinned.OPERATION, fit=fit)


def wrong_moment(value: Json) -> str | None:
    """Say what is wrong with a moment in a job file, if anything."""
    known = isinstance(value, str) and moment(value) is not None
    return None if known else 'has to be a moment such as "2025-11-03T12:00:00Z"'


def _check(api: Profile, expected: Json, unchanged_since: str | None, agent: Json) -> None:
    expected = expected if expected is not None else {}
    paths = list(unlike(expected, agent))
    if paths:
        # A stamp is none of what the agent is.
        bare = api.agent_list.unstamped
        paths = list(unlike(bare(expected), bare(agent)))
    if paths:
        more = f" and {len(paths) - _MOST_SHOWN:,} more" if len(paths) > _MOST_SHOWN else ""
        where = ", ".join(path or "the agent" for path in paths[:_MOST_SHOWN])
        raise _changed(f"it does not read as expected: {where}{more}")
    since = moment(unchanged_since)
    if since is None:
        return
    said = agent.get(api.agent_updated_field) if isinstance(agent, dict) else None
    last = moment(said)
    if last is None:
        raise _changed(f"it does not say when it was last changed (`{api.agent_updated_field}`)")
    if last > since + AT_ONCE:
        raise _changed(f"it was changed at {said}, after {unchanged_since}")


def _changed(why: str) -> OperationFailed:
    return OperationFailed(CHANGED_SINCE, f"the agent was left alone, since {why}")
