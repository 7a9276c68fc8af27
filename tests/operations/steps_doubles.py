"""Driving a kind by hand: replies in, steps out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bulkops.api import REFERENCE
from bulkops.model import Await, Reply, Request, Save

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulkops.api import Profile
    from bulkops.model import Step
    from bulkops.operation import Operation


def drive(operation: Operation, answers: Iterable[Any], api: Profile = REFERENCE) -> tuple[list[Step], Any]:
    """Send the answers to an operation's requests and awaits, in order; return all steps and the result.

    An exception is raised where the step was yielded, as the engine does.
    """
    left = iter(answers)
    generator = operation.steps(api)
    steps: list[Step] = []
    reply: Reply | Exception | None = None
    while True:
        try:
            if isinstance(reply, Exception):
                step = generator.throw(reply)
            else:
                step = next(generator) if reply is None else generator.send(reply)
        except StopIteration as end:
            return steps, end.value
        steps.append(step)
        answer = next(left) if isinstance(step, Request | Await) else None
        reply = answer if isinstance(answer, Reply | Exception) else Reply(200, answer)


def requests(steps: Iterable[Step]) -> list[tuple[str, str, Any]]:
    """Return method, path and body of the requests."""
    return [(step.method, step.path, step.body) for step in steps if isinstance(step, Request)]


def saved(steps: Iterable[Step]) -> bytes:
    """Return everything that was saved."""
    return b"".join(step.data for step in steps if isinstance(step, Save))


def example_of(step: Step, api: Profile = REFERENCE) -> Reply:
    """Return the documented answer to a step as it is heard; of a listing, one of one row."""
    if isinstance(step, Request):
        told = api.endpoints()[step.endpoint].told
        return api.paging.last_page(told) if step.endpoint in api.listings() else Reply(200, told)
    if isinstance(step, Await):
        watch = api.watches[step.what]
        return Reply(200, watch.seen(watch.endpoint.told, step.alike))
    return Reply(200)
