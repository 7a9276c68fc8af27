"""What "settled" means for the things that are awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkops.errors import OperationFailed
from bulkops.model import Await

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.model import Json
    from bulkops.operation import Steps


def until_settled(
    api: Profile, what: str, entity_id: str, deadline: float, *, alike: str = "", file: str | None = None
) -> Steps:
    """Yield the steps that wait for something of the profile's watches; return its last observation.

    `errors.Overdue` is raised when it has not settled after `deadline` seconds. See `Await` for the rest.
    """
    reply = yield Await(what, entity_id, api.watches[what].settled, deadline, alike, file)
    return dict(reply.json)


def indexed(api: Profile, document_id: str, model: str, deadline: float, *, file: str | None = None) -> Steps:
    """Yield the steps that compute a document's index and wait until it can be searched.

    An index that cannot be built fails the operation with the API's reason. `file` is what was uploaded, where
    that is known.
    """
    watch = api.watches["index"]
    computing = yield api.document_index.request({api.index_model_field: model}, document_id=document_id)
    observation: Mapping[str, Json] = computing.json
    if not watch.settled(observation):
        observation = yield from until_settled(api, "index", document_id, deadline, alike=model, file=file)
    elif watch.status(observation) in watch.failed and api.error_field not in observation:
        # The answer to computing tells that an earlier one failed, the status tells why.
        looked = yield api.document_index_status.request(document_id=document_id)
        observation = watch.seen(looked.json, model)
    status = watch.status(observation)
    if status in watch.failed:
        told = f"the API answers {status!r}" + (f": {watch.why[status]}" if status in watch.why else "")
        reason = observation.get(api.error_field) or told
        raise OperationFailed(f"index_{status}", f"the index of {document_id} could not be built: {reason}")
    # Not every answer says which document it is about.
    return {api.document_id_field: document_id, **observation}
