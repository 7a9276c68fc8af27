"""What an API looks like, as one value: everything that two APIs could spell differently."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import quote

from bulkops.errors import OperationFailed
from bulkops.model import Reply, Request, RequestClass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bulkops.api.stamping import Folder, Stamp
    from bulkops.model import Effect, Form, Json, Pinned

ENTITY_ID_LENGTH = 120
NOT_IN_API = "not_in_api"
"""The code of the failure of what an API cannot be told."""
_HOLE = re.compile(r"{(\w+)}")
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

    `makes` and `entity` say what kind of thing it makes and which field of the answer carries its id. Kinds ask and
    hear in the words of the reference: `asks` and `hears` are for an API that has others.
    """

    name: str
    method: str
    path: str
    effect: Effect
    example: Json
    makes: str | None = None
    entity: str | None = None
    max_answer: int = 8 * 2**20
    download: Mapping[str, str] | None = None
    """Where the answer is a file: the suffixes of its name by the types of content that are taken."""
    asks: Callable[[Request], Request] | None = None
    """From the request of a kind to the one that this API takes; pure. OperationFailed for what it cannot say."""
    hears: Callable[[Json], Json] | None = None
    """From an answer to one that says the same under our names, too; pure, and good for any JSON."""
    leaves: Callable[[Json], Json] | None = None
    """From an answer to what of it stands in a result; None where all of it does."""
    blank: bool = False
    """Its answer may be empty, or no object: then it is heard as null."""

    @property
    def told(self) -> Json:
        """The documented answer, as it is heard."""
        return self.heard(self.example)

    def heard(self, answer: Json) -> Json:
        """Return an answer under our names."""
        return answer if self.hears is None else self.hears(answer)

    def kept(self, answer: Json) -> Json:
        """Return what of an answer, as it is heard, stands in a result."""
        return answer if self.leaves is None else self.leaves(answer)

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
        if self.asks is not None:
            request = self.asks(request)
        return request if account is None else replace(request, account=account)

    @property
    def holes(self) -> tuple[str, ...]:
        """The names of the ids that its path takes."""
        return tuple(_HOLE.findall(self.path))

    def filled(self, ids: Mapping[str, str]) -> str:
        """Return the path with its holes filled; an id that could not stand in a path fails its operation."""
        path = self.path
        for hole, value in ids.items():
            if not is_entity_id(value):
                raise OperationFailed("bad_id", f"{value!r:.80} cannot be used as `{hole}`: it is not an id")
            path = path.replace(f"{{{hole}}}", quote(value, safe=""))
        return path


@dataclass(frozen=True, slots=True)
class Batch:
    """How one request looks at several entities that are alike in a word (`Await.alike`).

    It is sent and repeated as a read: what `asks` makes must begin nothing and change nothing, whatever is there.
    """

    endpoint: Endpoint
    most: int
    """Entities in one request."""
    asks: Callable[[Sequence[str], str], Json]
    """From their ids and the word that they are alike in to the body."""
    part: Callable[[Json, str, str], Json]
    """From an answer, an id and the word to the observation of the one; None where it tells none, and good for any."""

    def request(self, entity_ids: Sequence[str], alike: str) -> Request:
        """Return the request that looks at all of them; each id stands there once."""
        return replace(
            self.endpoint.request(self.asks(list(dict.fromkeys(entity_ids)), alike)),
            request_class=RequestClass.POLL,
        )


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
    part: Callable[[Json, str], Json] | None = None
    """Of an observation of several that are alike but for a word (`Await.alike`), that of the one."""
    batch: Batch | None = None
    """How many are looked at in one request; None where each takes one of its own."""
    why: Mapping[str, str] = field(default_factory=dict)
    """By words for failures that say no more than that: what each means, and what helps."""

    @property
    def most(self) -> int:
        """How many can be looked at in one request."""
        return 1 if self.batch is None else self.batch.most

    def seen(self, observation: Json, alike: str) -> Json:
        """Return what an observation says of the one thing that is awaited."""
        return observation if self.part is None else self.part(observation, alike)

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


class Paging(Protocol):
    """How a listing is walked, page after page."""

    @property
    def names(self) -> frozenset[str]:
        """What pages are asked for by, which nobody else may ask for."""

    def query(self, number: int, before: Reply | None = None) -> tuple[tuple[str, str], ...]:
        """Return the query of the page with this number, counted from one; `before` is the answer of the one before.

        OperationFailed where that does not tell where the next one begins.
        """

    def total(self, reply: Reply) -> int | None:
        """Return how many rows the whole listing has, or None where the answer does not say."""

    def ends(self, reply: Reply) -> bool | None:
        """Tell whether a page says that it is the last; None where pages do not say."""

    def is_page(self, reply: Reply) -> bool:
        """Tell whether an answer looks like a page of this kind, by what it says beside the rows."""

    def last_page(self, answer: Json) -> Reply:
        """Return the reply with this answer that is a whole listing."""


@dataclass(frozen=True, slots=True)
class Pages:
    """By the numbers of pages; a header tells how many rows there are (API reference, Pagination)."""

    page: str
    per_page: str
    size: int
    total_header: str

    @property
    def names(self) -> frozenset[str]:
        """See `Paging.names`."""
        return frozenset({self.page, self.per_page})

    def query(self, number: int, before: Reply | None = None) -> tuple[tuple[str, str], ...]:  # noqa: ARG002 - as all pagings
        """See `Paging.query`."""
        return ((self.page, str(number)), (self.per_page, str(self.size)))

    def total(self, reply: Reply) -> int | None:
        """See `Paging.total`."""
        text = reply.headers.get(self.total_header, "")
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None  # noqa: PLR2004 - no listing is longer than 15 digits

    def ends(self, reply: Reply) -> bool | None:  # noqa: ARG002 - as all pagings
        """See `Paging.ends`."""
        return None

    def is_page(self, reply: Reply) -> bool:
        """See `Paging.is_page`."""
        return self.total(reply) is not None

    def last_page(self, answer: Json) -> Reply:
        """See `Paging.last_page`."""
        return Reply(200, answer, {self.total_header: "1"})


@dataclass(frozen=True, slots=True)
class Cursors:
    """By cursors: each answer tells whether there is more, and where that begins; none tells how much there is."""

    cursor: str
    per_page: str
    size: int
    next_cursor: str
    has_more: str
    longest: int = 4096

    @property
    def names(self) -> frozenset[str]:
        """See `Paging.names`."""
        return frozenset({self.cursor, self.per_page})

    def query(self, number: int, before: Reply | None = None) -> tuple[tuple[str, str], ...]:
        """See `Paging.query`."""
        size = (self.per_page, str(self.size))
        if number == 1 or before is None:
            return (size,)
        found = before.json.get(self.next_cursor) if isinstance(before.json, dict) else None
        if not isinstance(found, str) or not 0 < len(found) <= self.longest:
            what = f"page {number - 1} of the listing says that there is more, and not where (`{self.next_cursor}`)"
            raise OperationFailed("bad_answer", what)
        return (size, (self.cursor, found))

    def total(self, reply: Reply) -> int | None:  # noqa: ARG002 - as all pagings
        """See `Paging.total`."""
        return None

    def ends(self, reply: Reply) -> bool | None:
        """See `Paging.ends`; an answer that does not say whether there is more is no page."""
        more = reply.json.get(self.has_more) if isinstance(reply.json, dict) else None
        if not isinstance(more, bool):
            raise OperationFailed("bad_answer", f"a page of the listing has no `{self.has_more}`")
        return not more

    def is_page(self, reply: Reply) -> bool:
        """See `Paging.is_page`."""
        return isinstance(reply.json, dict) and isinstance(reply.json.get(self.has_more), bool)

    def last_page(self, answer: Json) -> Reply:
        """See `Paging.last_page`."""
        return Reply(200, {**answer, self.has_more: False})


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
    query: tuple[tuple[str, str], ...] = ()
    """What is asked besides the page."""
    filters: frozenset[str] | None = None
    """What it can be narrowed by; None where whatever the user asks for is passed on."""
    sent_name: tuple[str, ...] = ("name",)
    """Where the body of what makes one says its name,"""
    sent: Callable[[Request], tuple[Json, Json]] | None = None
    """and how much of that can be seen of the thing afterwards, and how much cannot; None where all of the body can."""
    stamps: tuple[Stamp, ...] = ()
    """Where one can bear a token that says whose it is."""
    folder: Folder | None = None
    """How those of a run get a folder of their own; None where there are no folders."""

    def name_in(self, request: Request) -> str | None:
        """Return the name that a request gives to what it makes."""
        if request.form is not None:
            found: Json = dict(request.form.fields).get(self.name_field)
        else:
            found = request.body
            for key in self.sent_name:
                found = found.get(key) if isinstance(found, dict) else None
        return found if isinstance(found, str) else None

    def seen_of(self, request: Request) -> tuple[Json, Json]:
        """Return what of a request that makes one can be seen of the thing afterwards, and what cannot."""
        return (request.body, None) if self.sent is None else self.sent(request)

    def tokens_of(self, thing: Json) -> tuple[str, ...]:
        """Return the tokens that a thing bears, as a row, an answer or the body of a request tells it."""
        return tuple(token for stamp in self.stamps for token in stamp.of(thing))

    def unstamped(self, thing: Json, *, seen: bool = True) -> Json:
        """Return a thing without its tokens; unless `seen`, without those alone that people do not see."""
        for stamp in self.stamps:
            if seen or not stamp.seen:
                thing = stamp.off(thing)
        return thing

    def within(self, folder: str) -> Listing:
        """Return the listing of what is in a folder alone."""
        assert self.folder is not None
        return replace(self, query=(*self.query, (self.folder.field, folder)))

    def page(self, paging: Paging, number: int, before: Reply | None = None) -> Request:
        """Return the request for a page, counted from one; `before` is the answer of the page before it."""
        return self.endpoint.request(query=(*paging.query(number, before), *self.query))

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
class ConversationFields:
    """Where a conversation holds what, as an answer and as a webhook's event tell it; dotted paths.

    An event may leave out what the answer has: that it is over, when it began and when it ended.
    """

    id: str
    agent: str
    status: str
    created: str
    ended: str
    duration: str
    """In seconds."""
    analysis: str
    over: str
    """The status of one that is over."""
    role: str
    message: str
    seconds: str
    """In a turn of a transcript that is a list of them: who speaks, what is said, and when since the begin."""


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
class Webhook:
    """How the API delivers events: the header that proves where one is from, and where it says what it tells.

    A bare signature is the HMAC-SHA256 of the body in hex. A timestamped one has parts between commas: the second in
    which it was made (`moment_part`), and the HMAC-SHA256 of that, a full stop and the body (`digest_part`).
    """

    signature_header: str
    signature_forms: frozenset[str]
    """Those that are accepted unless the user says otherwise: `bare`, `timestamped`."""
    moment_part: str
    digest_part: str
    type_field: str
    data_field: str
    moment_field: str
    conversation_id_field: str
    """Within the data."""
    post_call: str
    """The type of the event that brings the transcript of a conversation that has ended."""
    example: Json


@dataclass(frozen=True, slots=True)
class Tier:
    """So many requests in so many seconds. A limit of None has to be given by the user or the server.

    Where it is `open`, none is known to exist, and only what is in flight is bounded until somebody tells another.
    """

    name: str
    limit: int | None
    period: float = 60.0
    open: bool = False


class Refusal(NamedTuple):
    """What a refusal says: a word for programs, a sentence for people, the request's id; None where it does not.

    `older` is a word for programs of earlier days that stands beside the code, where it is another.
    """

    code: str | None
    message: str | None
    request_id: str | None = None
    older: str | None = None


def _nothing(_op: str, _fields: Mapping[str, Json]) -> Iterable[tuple[str, str]]:
    return ()


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
    conversation: ConversationFields
    error_field: str
    evaluation_passed: Callable[[Json], bool | None]
    refusal: Callable[[Json], Refusal]
    """From the JSON of a refusal to what it says."""

    watches: Mapping[str, Watch]
    paging: Paging
    rate_headers: RateHeaders
    webhook: Webhook
    tiers: Mapping[str, Tier]
    secret_fields: frozenset[str] = field(default_factory=frozenset)
    """Fields of answers that are credentials: they stand in results and checkpoint, nowhere else."""
    document_index_batch: Endpoint | None = None
    """Tells of the indexes of several documents; None where the API has no such endpoint."""
    agent_taken: frozenset[str] | None = None
    """Top-level fields of an agent that a create takes: all else is left out of a clone. None where that is open."""
    agent_unsent: tuple[str, ...] = ()
    """Dotted paths of what an agent is answered with and no create takes: left out of a clone."""
    key_words: Mapping[str, str] = field(default_factory=dict)
    """By the code of a refused key what that means."""
    spent_codes: frozenset[str] = frozenset()
    """Codes which say that the account has nothing left, whatever status they come with,"""
    spent_statuses: frozenset[int] = frozenset()
    """and statuses that say so whatever the code."""
    in_flight: int | None = None
    """So many requests in flight at most, unless the user says so; None where nothing speaks for another number."""
    started_after_query: str = "call_start_after_unix"
    started_before_query: str = "call_start_before_unix"
    """What a listing of conversations is bounded by, in whole epoch seconds, whether or not these count themselves."""
    index_used_field: str = "total_used_bytes"
    index_most_field: str = "total_max_bytes"
    """Where the quota of indexes tells what they take up and may take up, in bytes."""
    hosts: Mapping[str, str] = field(default_factory=dict)
    """The base URLs of the places where data may have to stay, by their names."""
    more: Mapping[str, Endpoint] = field(default_factory=dict)
    """Endpoints that not every API has, by the names of the kinds that ask them;"""
    more_listings: Mapping[str, Listing] = field(default_factory=dict)
    """and listings."""
    refuses: Callable[[str, Mapping[str, Json]], Iterable[tuple[str, str]]] = _nothing
    """From a kind and the fields of its line to what this API cannot be told: a field, and why."""
    traps: Callable[[str, Mapping[str, Json]], Iterable[tuple[str, str]]] = _nothing
    """The same for what it can be told and is likely not to be meant."""

    def endpoint(self, name: str) -> Endpoint:
        """Return an endpoint by its name; OperationFailed where this API has none of it."""
        found = self.more.get(name) or getattr(self, name.replace(".", "_"), None)
        if not isinstance(found, Endpoint):
            raise OperationFailed(NOT_IN_API, f"{name} is not in the API that is spoken (--api {self.name})")
        return found

    def listing(self, name: str) -> Listing:
        """Return a listing by the name of its endpoint; OperationFailed where this API has none of it."""
        found = self.listings().get(name)
        if found is None:
            raise OperationFailed(NOT_IN_API, f"{name} is not in the API that is spoken (--api {self.name})")
        return found

    def cannot_list(self, op: str, query: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
        """Yield what a listing cannot be asked for: a field, and why."""
        listing = self.listings().get(op)
        if listing is None:
            yield "op", f"names {op}, which is not in the API that is spoken (--api {self.name})"
            return
        for name in query:
            if name in self.paging.names:
                yield f"query.{name}", "says which page is read, and all of them are; take it out"
            elif listing.filters is not None and name not in listing.filters:
                known = ", ".join(sorted(listing.filters)) or "nothing"
                why = f"is nothing that {op} is documented to be narrowed by (--api {self.name}: by {known})"
                yield f"query.{name}", f"{why}; take it out, and choose rows with the `where` of an `$each`"

    def listing_of(self, makes: str | None) -> Listing | None:
        """Return how things of a kind are listed; None where the API has no listing of them."""
        if makes == self.agent_list.lists:
            return self.agent_list
        return next((each for each in self.more_listings.values() if each.lists == makes), None)

    def listings(self) -> dict[str, Listing]:
        """Return every listing by the name of its endpoint."""
        return {self.agent_list.endpoint.name: self.agent_list, **self.more_listings}

    def stamps(self) -> dict[str, bool]:
        """Return how things of any kind can be marked as ours: by the words of `--stamp`, whether people see it."""
        found = {stamp.word: stamp.seen for each in self.listings().values() for stamp in each.stamps}
        folders = (each.folder for each in self.listings().values() if each.folder is not None)
        return found | {folder.word: folder.seen for folder in folders}

    def endpoints(self) -> dict[str, Endpoint]:
        """Return every endpoint by its name."""
        found = [getattr(self, name) for name in self.__dataclass_fields__]
        plain = [value for value in found if isinstance(value, Endpoint)]
        listed = [listing.endpoint for listing in self.listings().values()]
        return {endpoint.name: endpoint for endpoint in [*plain, *listed, *self.more.values()]}


def scaled(tier: Tier, time_scale: float) -> Tier:
    """Return the tier of a server whose clock runs `time_scale` times as fast."""
    return replace(tier, period=tier.period / time_scale)
