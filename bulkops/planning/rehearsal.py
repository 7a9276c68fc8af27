"""What an operation takes, found by driving it against the documented example answers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from bulkops.errors import OperationFailed
from bulkops.model import Await, Find, Load, Pinned, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from bulkops.api.profile import Profile
    from bulkops.jobfile import Line
    from bulkops.model import Json, Step
    from bulkops.operation import Operation

LEAST_LOOKS = 1
"""Looks at one awaited thing that a plan counts: hardly more are taken while others wait, many with time to spare.
One request may take several."""
MOST_STEPS = 1000
UNKNOWN = "unknown"
"""The endpoint of a request that only an answer decides about."""


class Rehearsal(NamedTuple):
    """The requests and the looks at awaited things that one operation of a shape needs.

    `shared` are those requests that all operations of a line have in common, `before` those that only read what is
    then changed. `asked`, `shared_asked` and `before_asked` are the same requests by endpoint, `awaited` says of
    what there are how many looks. `listed` are the listings that are read once: in a run, for all that look for names;
    or in the whole job, for what there is before the first create of things that tell no age.
    """

    requests: int
    looks: int
    shared: int = 0
    before: int = 0
    asked: Mapping[str, int] = {}
    shared_asked: Mapping[str, int] = {}
    before_asked: Mapping[str, int] = {}
    awaited: Mapping[str, int] = {}
    listed: Sequence[str] = ()

    def each_time(self, *, before: bool) -> int:
        """Return how many requests each operation takes, with or without those that read what is then changed."""
        return self.requests + (self.before if before else 0)


def rehearse(api: Profile, line: Line) -> Rehearsal:
    """Return what an operation of a line takes; a listing counts as one page.

    Of one that looks for what is there, what it takes when that is found, or not, whichever is more. References stand
    for ids. A line whose references cannot (they fill in an object, say) counts as one request.
    """
    try:
        operation = line.operation(lambda _ref: "id", 1)
        new = _drive(api, operation, there=False)
    except OperationFailed:
        return Rehearsal(1, 0, asked={UNKNOWN: 1})
    try:
        found = _drive(api, operation, there=True)
    except OperationFailed:
        return new
    return max(new, found, key=lambda each: each.requests + each.before)


def result_of(api: Profile, operation: Operation, more: Iterable[str], *, there: bool) -> frozenset[str]:
    """Return the fields of an operation's result by the documented answers, each of which has `more` besides.

    `there`: what is looked for by its name or content is found. OperationFailed where the answers lead nowhere.
    """
    steps = _answered(api, operation, dict.fromkeys(more, "more"), there=there)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return frozenset(end.value or ())


def _drive(api: Profile, operation: Operation, *, there: bool) -> Rehearsal:
    listed: list[str] = []
    asked, shared, before, awaited = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for step in _answered(api, operation, {}, there=there):
        if isinstance(step, Request):
            counts = asked
            if step.pinned is Pinned.LINE:
                counts = shared
            elif step.pinned is Pinned.OPERATION and step.fit is None:
                counts = before
            counts[step.endpoint] += 1
            made = api.listing_of(step.makes)
            if made is not None and made.created_field is None:
                listed.append(made.endpoint.name)
        elif isinstance(step, Await):
            awaited[step.what] += LEAST_LOOKS
        elif (
            isinstance(step, Find)
            and step.file is None
            and (listing := api.listing_of(step.kind)) is not None
        ):
            listed.append(listing.endpoint.name)
    requests, looks, shares, befores = (counts.total() for counts in (asked, awaited, shared, before))
    return Rehearsal(
        requests, looks, shares, befores, dict(asked), dict(shared), dict(before), dict(awaited), listed
    )


def _answered(
    api: Profile, operation: Operation, more: Mapping[str, Json], *, there: bool
) -> Generator[Step, None, Mapping[str, Json] | None]:
    """Yield the steps of an operation, each of which hears the documented answer; return its result."""
    examples = {name: endpoint.told for name, endpoint in api.endpoints().items()}
    listings = api.listings()
    steps = operation.steps(api)
    answer: Reply | None = None
    for _ in range(MOST_STEPS):
        try:
            step = next(steps) if answer is None else steps.send(answer)
        except StopIteration as end:
            result: Mapping[str, Json] = end.value
            return result
        yield step
        answer = Reply(200)
        if isinstance(step, Request):
            answer = Reply(200, {**more, **examples[step.endpoint]})
            if step.endpoint in listings:
                answer = api.paging.last_page(answer.json)
        elif isinstance(step, Load):
            answer = Reply(200, {**more, **api.agent_get.told})
        elif isinstance(step, Await):
            watch = api.watches[step.what]
            answer = Reply(200, {**more, **watch.seen(watch.endpoint.told, step.alike)})
        elif isinstance(step, Find) and there:
            answer = Reply(200, {"found": [{"id": "id"}], "sha256": "digest"})
        elif isinstance(step, Find):
            answer = Reply(200, {"found": [], "sha256": "digest"})
    return None
