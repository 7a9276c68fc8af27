"""What an operation takes, found by driving it against the documented example answers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from bulkops.errors import OperationFailed
from bulkops.model import Await, Load, Pinned, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import Profile
    from bulkops.jobfile import Line
    from bulkops.operation import Operation

LEAST_LOOKS = 1
"""Looks at one awaited thing that a plan counts: hardly more are taken while others wait, many with time to spare."""
MOST_STEPS = 1000
UNKNOWN = "unknown"
"""The endpoint of a request that only an answer decides about."""


class Rehearsal(NamedTuple):
    """The requests and the looks at awaited things that one operation of a shape needs.

    `shared` are those requests that all operations of a line have in common, `before` those that only read what is
    then changed. `asked`, `shared_asked` and `before_asked` are the same requests by endpoint, `awaited` says of
    what there are how many looks.
    """

    requests: int
    looks: int
    shared: int = 0
    before: int = 0
    asked: Mapping[str, int] = {}
    shared_asked: Mapping[str, int] = {}
    before_asked: Mapping[str, int] = {}
    awaited: Mapping[str, int] = {}

    def each_time(self, *, before: bool) -> int:
        """Return how many requests each operation takes, with or without those that read what is then changed."""
        return self.requests + (self.before if before else 0)


def rehearse(api: Profile, line: Line) -> Rehearsal:
    """Return what an operation of a line takes; a listing counts as one page.

    References stand for ids. A line whose references cannot (they fill in an object, say) counts as one request.
    """
    try:
        operation = line.operation(lambda _ref: "id", 1)
        return _drive(api, operation)
    except OperationFailed:
        return Rehearsal(1, 0, asked={UNKNOWN: 1})


def _drive(api: Profile, operation: Operation) -> Rehearsal:
    examples = {name: endpoint.example for name, endpoint in api.endpoints().items()}
    one_row = {api.paging.total_header: "1"}
    steps = operation.steps(api)
    asked, shared, before, awaited = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    answer: Reply | None = None
    for _ in range(MOST_STEPS):
        try:
            step = next(steps) if answer is None else steps.send(answer)
        except StopIteration:
            break
        answer = Reply(200)
        if isinstance(step, Request):
            counts = asked
            if step.pinned is Pinned.LINE:
                counts = shared
            elif step.pinned is Pinned.OPERATION and step.fit is None:
                counts = before
            counts[step.endpoint] += 1
            answer = Reply(200, examples[step.endpoint], one_row)
        elif isinstance(step, Load):
            answer = Reply(200, api.agent_get.example)
        elif isinstance(step, Await):
            awaited[step.what] += LEAST_LOOKS
            answer = Reply(200, api.watches[step.what].endpoint.example)
    counted = (asked, shared, before, awaited)
    requests, shares, befores, looks = (counts.total() for counts in counted)
    return Rehearsal(requests, looks, shares, befores, *map(dict, counted))
