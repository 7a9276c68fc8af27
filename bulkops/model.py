"""What crosses the wire, and what an operation may ask for: values without behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Json: TypeAlias = Any
"""What orjson reads and writes: dict, list, str, int, float, bool or None."""


T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """Make a value of a class: a slotted dataclass that is frozen as far as the type checker sees.

    Freezing at run time takes 0.1 µs for each field; the values of the hot path are made by the million, some
    thirty for each operation. There their fields are given by position: by name takes twice as long.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)


class Effect(Enum):
    """What a second, identical request would do to the account."""

    READ = "read"
    """Nothing: it may be repeated freely."""
    IDEMPOTENT = "idempotent"
    """Nothing more than the first: it may be repeated, and its answer is remembered."""
    CREATE = "create"
    """Make a second entity: it is repeated only after proof that the first had no effect."""
    SPEND = "spend"
    """Cost money again without making anything that could be listed: treated as a create."""


class RequestClass(StrEnum):
    """The class of service a request asks the pace for; a text, as what is counted by each request is told by it."""

    WORK = "work"
    POLL = "poll"


class Pinned(Enum):
    """Who shares an answer that is kept before it is used, and so is the same after a crash."""

    LINE = "line"
    """All operations of a line, and of all rows of an `$each`: they see the same version."""
    OPERATION = "operation"
    """One operation alone: what there was before it changed something, whatever it has done since."""


@value
class Form:
    """A multipart/form-data body with one file, read from disk anew on every attempt (RFC 7578)."""

    fields: tuple[tuple[str, str], ...]
    file_field: str
    path: str
    file_name: str
    content_type: str


@value
class Request:
    """One request, spelled as the API wants it; the sending stack adds host, key and account.

    `path` stands below the base URL and is percent-encoded already. `makes` is the kind of thing that is made,
    `entity` the field of the answer that carries its id; an answer to a create without it does not count as read.
    """

    endpoint: str
    method: str
    path: str
    effect: Effect
    query: tuple[tuple[str, str], ...] = ()
    body: Json = None
    form: Form | None = None
    makes: str | None = None
    entity: str | None = None
    max_answer: int = 8 * 2**20
    pinned: Pinned | None = None
    """Asked once, and the answer is kept; None where it is not."""
    request_class: RequestClass = RequestClass.WORK
    fit: Callable[[Json], None] | None = None
    """Looks at an answer before it is kept or used, and raises OperationFailed for one that is not to be."""
    account: str | None = None
    """The account that it goes to, where that is not the operation's."""
    saves: Save | None = None
    """Where an answer that is a file is written as it comes; its suffix follows from the type of its content."""


@value
class Reply:
    """An answer that was accepted: its status, headers (names in lower case) and JSON."""

    status: int
    json: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)


@value
class Pause:
    """Go on after so many seconds; no worker and no connection is held meanwhile."""

    seconds: float


@value
class Await:
    """Go on when something at the API has settled; the reply heard is the last observation.

    `what` names a watch of the profile, `id` the entity. `settled` judges an observation. After `deadline`
    seconds without settling, `errors.Overdue` is raised where the step was yielded.

    When to look is learned from what is `alike`; where one answer tells of several, that is also the word for the one
    that is meant, such as the model of an index. `file` is what the entity was made of: a larger one may take longer.
    """

    what: str
    id: str
    settled: Callable[[Json], bool]
    deadline: float
    alike: str = ""
    file: str | None = None


@value
class Save:
    """Append bytes to an output file of this operation; it appears under its name when the operation ends.

    `folder` is one of the output folders of the run folder, `name` an id (never a path), or None for the id of the
    operation itself; what is no safe file name is replaced by its digest.
    """

    folder: str
    name: str | None
    suffix: str
    data: bytes


@value
class Changed:
    """Remember a change that took effect to something that was read beforehand, so that it can be taken back.

    `id` is what was changed, `patch` the merge patch (RFC 7396) over it; None says that it was deleted.
    """

    id: str
    patch: Json = None


@value
class Find:
    """Look what there is of a kind with a name, and with `file` with the same content; the reply heard says it.

    `found` is the list of those that are there, each with its `id`; of documents with `model` and `status` of the index
    they had, and `sha256` is the content. With none the operation may make one with `endpoint`, and nobody else looks
    for the same until that is known. One that has begun to make one finds none.
    """

    kind: str
    name: str
    endpoint: str
    file: str | None = None


@value
class Load:
    """Hear the JSON object of a file of the user's: read once for all operations of a line, like what is pinned."""

    path: str


Step: TypeAlias = Request | Pause | Await | Save | Changed | Find | Load


@value
class Evidence:
    """What a finding about a request in doubt rests on.

    `rule` names how it was found. `listed_at` is when the listing was read, by the server's clock and in its
    words; `candidates` are the ids that could be what the request made.
    """

    rule: str
    listed_at: str | None = None
    pages: int = 0
    total: int | None = None
    candidates: tuple[str, ...] = ()


@value
class Found:
    """It took effect: this is what it made. `row` is how the API lists it."""

    entity: str
    evidence: Evidence
    row: Json = None


@value
class Absent:
    """It had no effect."""

    evidence: Evidence


@value
class Held:
    """The API cannot tell what became of it."""

    reason: str
    evidence: Evidence


Finding: TypeAlias = Found | Absent | Held


class State(StrEnum):
    """What has become of an operation (DESIGN.md, promise 3); exactly one holds.

    Texts, since each operation is counted and told by them: the hash and the value of other members run Python code.
    """

    NOT_STARTED = "not_started"
    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"
    SKIPPED = "skipped"
    IN_DOUBT = "in_doubt"


@value
class Failure:
    """Why an operation is not done: a word for programs, a sentence for people, and the answer's marks."""

    code: str
    message: str
    status: int | None = None
    request_id: str | None = None


def traced(request_id: str | None) -> str:
    """Return by which words the service finds a request again, to stand behind a message; empty where it gave none."""
    return f" (request {request_id})" if request_id else ""


@value
class Created:
    """One entity that an operation made: its kind (`agent`, `document`, …) and its id."""

    kind: str
    id: str


@value
class Outcome:
    """How one operation ended."""

    state: State
    result: Mapping[str, Json] | None = None
    failure: Failure | None = None
    created: tuple[Created, ...] = ()
    attempts: int = 0
    passed: bool | None = None
    """For operations that check something: did the check pass?"""
    possible_duplicate: bool = False
    resolved_by: str | None = None
    """Who told what became of a request that was in doubt: `reconcile:RULE` or `user`."""
    evidence: Json = None
    """What that rests on."""
