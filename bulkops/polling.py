"""What "settled" means for the things that are awaited, and how often a look is worth a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.errors import OperationFailed
from bulkops.model import Await

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps

LONGEST_WAIT = 60.0
GROWTH = 1.5


def until_settled(api: Profile, what: str, entity_id: str, deadline: float) -> Steps:
    """Yield the steps that wait for something of the profile's watches; return its last observation.

    `errors.Overdue` is raised when it has not settled after `deadline` seconds.
    """
    reply = yield Await(what=what, id=entity_id, settled=api.watches[what].settled, deadline=deadline)
    return dict(reply.json)


def indexed(api: Profile, document_id: str, model: str, deadline: float) -> Steps:
    """Yield the steps that compute a document's index and wait until it can be searched.

    An index that cannot be built fails the operation with the API's reason.
    """
    watch = api.watches["index"]
    computing = yield api.document_index.request({api.index_model_field: model}, document_id=document_id)
    observation: Mapping[str, Json] = computing.json
    if not watch.settled(observation):
        observation = yield from until_settled(api, "index", document_id, deadline)
    elif watch.status(observation) in watch.failed and api.error_field not in observation:
        # The answer to computing tells that an earlier one failed, the status tells why.
        looked = yield api.document_index_status.request(document_id=document_id)
        observation = looked.json
    if watch.status(observation) in watch.failed:
        reason = observation.get(api.error_field) or f"the API answers {watch.status(observation)!r}"
        raise OperationFailed("index_failed", f"the index of {document_id} could not be built: {reason}")
    return observation


def next_look(first_look: float, looks: int) -> float:
    """Return the seconds until the next look after so many looks: widening by half, at most a minute."""
    return min(LONGEST_WAIT, first_look * GROWTH ** min(looks, 20))
