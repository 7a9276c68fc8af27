"""What most kinds are: one request to the endpoint of the same name, or the reading of one listing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from bulkops.errors import OperationFailed
from bulkops.guarding import look_before
from bulkops.listing import list_rows
from bulkops.operation import Operation, query

if TYPE_CHECKING:
    from bulkops.api.profile import Profile
    from bulkops.model import Form, Json, Request
    from bulkops.operation import Steps

_NOT_FOUND = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Operation):
    """One request: the fields that its path has holes for fill them, `body` and `query` go as they stand."""

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        answer = yield request_of(self, api)
        return result_of(self, api, answer.json)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion(Operation):
    """One request that deletes. What is gone already counts as deleted, and the result says `gone`.

    A kind with `expected` or `unchanged_since` reads beforehand what it deletes, where its line has one of them.
    """

    may_tell: ClassVar[frozenset[str]] = frozenset({"gone"})

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        deletion = request_of(self, api)
        try:
            if (look := _look_before(self, api)) is not None:
                yield look
            answer = yield deletion
        except OperationFailed as refusal:
            if refusal.status != _NOT_FOUND:
                raise
            return {**ids_of(self, api), "gone": True}
        return result_of(self, api, answer.json)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(Operation):
    """Every row of the listing of the same name, as far as `query` lets it through."""

    lists: ClassVar[bool] = True

    query: Json = query("what else is asked for, as the API wants it; pages are read without that")

    def steps(self, api: Profile) -> Steps:
        """See `Operation.steps`."""
        listing = api.listing(self.kind)
        asked = spelled(self.query)
        names = {name for name, _ in asked}
        kept = tuple(pair for pair in listing.query if pair[0] not in names)
        return (yield from list_rows(api, replace(listing, query=(*kept, *asked))))


def request_of(operation: Operation, api: Profile, *, form: Form | None = None) -> Request:
    """Return the request that an operation is; OperationFailed where the API has none of it."""
    return api.endpoint(operation.kind).request(
        getattr(operation, "body", None),
        form=form,
        query=spelled(getattr(operation, "query", None)),
        **ids_of(operation, api),
    )


def result_of(operation: Operation, api: Profile, answer: Json) -> dict[str, Json]:
    """Return the result of an operation: which thing it was about, and what the answer says of it."""
    return {**ids_of(operation, api), **api.endpoint(operation.kind).kept(answer)}


def ids_of(operation: Operation, api: Profile) -> dict[str, Any]:
    """Return the ids of an operation that stand in the path, by their names."""
    return {name: getattr(operation, name) for name in api.endpoint(operation.kind).holes}


def _look_before(operation: Deletion, api: Profile) -> Request | None:
    expected, since = (getattr(operation, name, None) for name in ("expected", "unchanged_since"))
    listing = api.listing_of(operation.kind.partition(".")[0])
    if listing is None or (expected is None and since is None):
        return None
    return look_before(api, listing, ids_of(operation, api)[listing.id_field], expected, since)


def spelled(query: Json) -> tuple[tuple[str, str], ...]:
    """Return a query as it is sent: a list is a name several times."""
    pairs = ((name, part if isinstance(part, list) else [part]) for name, part in (query or {}).items())
    return tuple((name, _word(each)) for name, parts in pairs for each in parts)


def _word(part: Json) -> str:
    return ("false", "true")[part] if isinstance(part, bool) else str(part)
