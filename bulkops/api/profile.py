"""What an API looks like, as one value: everything that two APIs could spell differently."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from bulkops.errors import OperationFailed
from bulkops.model import Request, RequestClass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulkops.model import Effect, Form, Json, Pinned, Reply

ENTITY_ID_LENGTH = 120
_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def is_entity_id(text: object) -> bool:
    """Tell whether a text may stand in a path: letters, digits, `_` and `-`, at most 120, no sign in front."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= ENTITY_ID_LENGTH
        and text[0] not in "_-"
        and _ID_CHARACTERS.issuperset(text)
    )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint: how it is called, what a repetition would do, and its documented example answer.

    `makes` and `entity` say what kind of thing it makes and which field of the answer carries its id.
    """

    name: str
    method: str
    path: str
    effect: Effect
    example: Json
    makes: str | None = None
    entity: str | None = None
    max_answer: int = 8 * 2**20

    def request(
        self,
        body: Json = None,
        *,
        form: Form | None = None,
        query: tuple[tuple[str, str], ...] = (),
        pinned: Pinned | None = None,
        fit: Callable[[Json], None] | None = None,
        account: str | None = None,
        **ids: str,
    ) -> Request:
        """Fill the holes of the path with ids.

        An id that could not stand in a path (it may have come from an answer) fails its operation.
        """
        request = Request(
            self.name,
            self.method,
            self.filled(ids) if ids else self.path,
            self.effect,
            query,
            body,
            form,
            self.makes,
            self.entity,
            self.max_answer,
            pinned,
            fit=fit,
        )
        return request if account is None else replace(request, account=account)

    def filled(self, ids: Mapping[str, str]) -> str:
        """Return the path with its holes filled; an id that could not stand in a path fails its operation."""
        path = self.path
        for hole, value in ids.items():
            if not is_entity_id(value):
                raise OperationFailed("bad_id", f"{value!r:.80} cannot be used as `{hole}`: it is not an id")
            path = path.replace(f"{{{hole}}}", quote(value, safe=""))
        return path


@dataclass(frozen=True, slots=True)
class Watch:
    """How something that settles is observed: the endpoint that tells, and the words of its status field.

    An observation is the JSON that the endpoint answers for one entity.
    """

    endpoint: Endpoint
    id_field: str
    status_field: str
    ready: frozenset[str]
    failed: frozenset[str]
    words: tuple[str, str]
    """What settles, for people: one of it, and many."""
    usual: float
    """Seconds that it takes to settle, as a rule: what is expected until looks have taught better."""

    def request(self, entity_id: str) -> Request:
        """Return the request that looks at one entity."""
        look = self.endpoint
        return Request(
            endpoint=look.name,
            method=look.method,
            path=look.filled({self.id_field: entity_id}),
            effect=look.effect,
            max_answer=look.max_answer,
            request_class=RequestClass.POLL,
        )

    def status(self, observation: Json) -> str:
        """Return the status word in lower case; an observation without one has the status ``unknown``."""
        word = observation.get(self.status_field) if isinstance(observation, dict) else None
        return word.lower() if isinstance(word, str) else "unknown"

    def settled(self, observation: Json) -> bool:
        """Tell whether nothing will change any more; unknown words count as unsettled."""
        return self.status(observation) in self.ready | self.failed


@dataclass(frozen=True, slots=True)
class Paging:
    """How a listing is walked (API reference, Pagination)."""

    page: str
    per_page: str
    size: int
    total_header: str

    def query(self, number: int) -> tuple[tuple[str, str], ...]:
        """Return the query of the page with this number, counted from one."""
        return ((self.page, str(number)), (self.per_page, str(self.size)))

    def total(self, reply: Reply) -> int | None:
        """Return how many rows the whole listing has, or None where the answer does not say."""
        text = reply.headers.get(self.total_header, "")
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None  # noqa: PLR2004 - no listing is longer than 15 digits


@dataclass(frozen=True, slots=True)
class Listing:
    """An endpoint that lists: the field with the rows, and the field of a row that identifies it.

    `lists` is the kind of thing (the `makes` of an endpoint that makes it), `one` the endpoint that shows one of
    them whole. `name_field` and `created_field` say where a row tells its name and its age; without an age, what
    was there before a job can be told apart only by remembering it.
    """

    endpoint: Endpoint
    rows: str
    id_field: str
    lists: str
    one: Endpoint
    name_field: str = "name"
    created_field: str | None = None
    newest_first: bool | None = None
    """The order that is documented; None where it has to be learnt from the pages."""

    def look(self, entity_id: str) -> Request:
        """Return the request that reads one thing whole."""
        one = self.one
        path = one.filled({self.id_field: entity_id})
        return Request(one.name, one.method, path, one.effect, max_answer=one.max_answer)


@dataclass(frozen=True, slots=True)
class IdPath:
    """Where a configuration holds ids of an account (a dotted path), and the kind of thing that they name."""

    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """The names (lower case) of the headers that tell the limits, and the codes of the kinds of 429.

    `reset` is in epoch seconds. The vendor names the limit of requests in flight in its documentation of models and of
    errors; where it does not come, nothing is missed.
    """

    limit: str
    remaining: str
    reset: str
    retry_after: str = "retry-after"
    most_in_flight: str = "maximum-concurrent-requests"
    now_in_flight: str = "current-concurrent-requests"
    crowded: frozenset[str] = frozenset({"concurrent_limit_exceeded", "too_many_concurrent_requests"})
    """Too many in flight: fewer at once help, waiting does not."""
    busy: frozenset[str] = frozenset({"system_busy"})
    """The service is overloaded, by whomever."""


@dataclass(frozen=True, slots=True)
class Tier:
    """So many requests in so many seconds. A limit of None has to be given by the user or the server."""

    name: str
    limit: int | None
    period: float = 60.0


@dataclass(frozen=True, slots=True)
class Profile:
    """One API. Kinds, watcher, pace and wire take every path, field name, status word and header from here."""

    name: str
    base_url: str
    key_header: str
    request_id_header: str

    agent_create: Endpoint
    agent_update: Endpoint
    agent_get: Endpoint
    agent_list: Listing
    agent_delete: Endpoint
    agent_simulate: Endpoint
    conversation_create: Endpoint
    conversation_get: Endpoint
    document_upload: Endpoint
    document_index: Endpoint
    document_index_status: Endpoint
    tool_create: Endpoint

    upload_file_field: str
    upload_name_field: str
    index_model_field: str
    agent_assigned: frozenset[str]
    """Top-level fields of an agent that the server assigns: left out of a clone."""
    agent_updated_field: str
    """Where an agent says when it was last changed."""
    agent_ids: tuple[IdPath, ...]
    """Where an agent's configuration holds ids of things of its account: an id, or a list of ids or of objects."""
    name_field: str
    agent_id_field: str
    document_id_field: str
    transcript_field: str
    error_field: str
    evaluation_passed: Callable[[Json], bool | None]
    error_message: Callable[[Json], tuple[str | None, str | None]]
    """From the JSON of a refusal to (code, message); None where it does not say."""

    watches: Mapping[str, Watch]
    paging: Paging
    rate_headers: RateHeaders
    tiers: Mapping[str, Tier]
    secret_fields: frozenset[str] = field(default_factory=frozenset)
    """Fields of answers that are credentials: they stand in results and checkpoint, nowhere else."""

    def listing_of(self, makes: str | None) -> Listing | None:
        """Return how things of a kind are listed; None where the API has no listing of them."""
        return self.agent_list if makes == self.agent_list.lists else None

    def listings(self) -> dict[str, Listing]:
        """Return every listing by the name of its endpoint."""
        return {self.agent_list.endpoint.name: self.agent_list}

    def endpoints(self) -> dict[str, Endpoint]:
        """Return every endpoint by its name."""
        found = [getattr(self, name) for name in self.__dataclass_fields__]
        plain = [value for value in found if isinstance(value, Endpoint)]
        return {endpoint.name: endpoint for endpoint in [*plain, self.agent_list.endpoint]}


def scaled(tier: Tier, time_scale: float) -> Tier:
    """Return the tier of a server whose clock runs `time_scale` times as fast."""
    return replace(tier, period=tier.period / time_scale)
