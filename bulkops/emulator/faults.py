"""Faults by schedule: which request or event goes wrong, and how. Pure.

`delivery` carries out those of requests, `deliveries` those of events.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from random import Random

ENDPOINTS = (
    "agent.create",
    "agent.update",
    "agent.get",
    "agent.list",
    "agent.delete",
    "agent.simulate",
    "conversation.create",
    "conversation.get",
    "document.upload",
    "document.index",
    "document.index_status",
    "tool.create",
)
LIVE_ENDPOINTS = (
    "agent.duplicate",
    "conversation.list",
    "conversation.delete",
    "conversation.audio",
    "conversation.token",
    "document.create_text",
    "document.create_url",
    "folder.create",
    "document.list",
    "document.get",
    "document.content",
    "document.update",
    "document.update_file",
    "document.delete",
    "document.bulk_delete",
    "document.dependents",
    "document.index_batch",
    "document.index_delete",
    "document.index_quota",
    "tool.get",
    "tool.list",
    "tool.update",
    "tool.delete",
    "test.create",
    "test.get",
    "test.list",
    "test.delete",
    "test.run",
    "test.poll",
)
"""What the live API has beside those of the reference."""
WEBHOOK = "webhook.deliver"
"""What events are counted as by rules, which have to name it."""


class FaultKind(StrEnum):
    """The ways of going wrong. Of requests, those up to `SILENT` strike before the effect; the last are of events."""

    ERROR_BEFORE = "error_before"  # an error `status`
    RESET_EARLY = "reset_early"  # the connection is aborted before the body is read
    RESET_BEFORE = "reset_before"  # the connection is aborted once the whole request has been read
    TOO_MANY = "429"  # with `retry_after`
    SYSTEM_BUSY = "system_busy"  # a 429 of a service that has too much to do, without Retry-After
    QUOTA_EXCEEDED = "quota_exceeded"  # a 401 of a key that has used up what it may
    MISSING_PERMISSIONS = "missing_permissions"  # a 401 of a key that may not do this
    SILENT = "silent"  # no answer for `seconds`, then an abort
    ERROR_AFTER = "error_after"  # an error `status`, although the effect happened
    RESET_AFTER = "reset_after"  # the effect happens, the connection is aborted
    SLOW = "slow"  # the effect happens, the answer comes `seconds` later
    CUT = "cut"  # the full Content-Length, half of the body, the end
    NOT_JSON = "not_json"  # 200 with a page of HTML
    HUGE = "huge"  # 200 with `bytes` bytes of JSON, without a Content-Length
    NO_ID = "no_id"  # the answer without its ids
    REPEATED = "repeated"  # the answer with the ids of the last one to that endpoint
    STRANGER = (
        "stranger"  # somebody else creates agents with these `names` just before; all else goes as usual
    )
    DROP = "drop"  # the event is never sent
    DUPLICATE = "duplicate"  # it is sent, and once more `seconds` later
    DELAY = "delay"  # it is sent `seconds` later, so that others overtake it
    WRONG_SIGNATURE = "wrong_signature"  # it is sent as by somebody who does not know the secret
    REANALYSE = "reanalyse"  # it is sent, and `seconds` later the conversation with another analysis


OF_EVENTS = (
    FaultKind.DROP,
    FaultKind.DUPLICATE,
    FaultKind.DELAY,
    FaultKind.WRONG_SIGNATURE,
    FaultKind.REANALYSE,
)


MAY_BE_LATE = (
    FaultKind.SILENT,
    FaultKind.ERROR_AFTER,
    FaultKind.RESET_AFTER,
    FaultKind.CUT,
    FaultKind.NOT_JSON,
)
"""What hides the answer, so that the effect may come after it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way of going wrong. Seconds are real ones, whatever the time scale, as a client's timeouts are.

    With `late`, the effect comes so many seconds after the answer, or whatever took its place, has ended.
    """

    kind: FaultKind
    status: int = 500
    seconds: float = 5.0
    bytes: int = 64 * 1024 * 1024
    retry_after: int = 1
    late: float | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """When to go wrong: of the requests to `endpoint` (None: to any), counted from 1 by this rule alone.

    The events of the webhook are an endpoint of their own, which None does not mean.
    """

    faults: tuple[Fault, ...]
    endpoint: str | None = None
    first: int = 1
    last: int = sys.maxsize
    every: int = 1
    rate: float = 1.0
    seed: int = 0

    def strikes(self, count: int, rng: Random) -> bool:
        """Whether the `count`-th of this rule goes wrong."""
        return self.first <= count <= self.last and count % self.every == 0 and rng.random() < self.rate


class Faults:
    """The rules of a schedule as they run on one server."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = [(rule, Random(rule.seed)) for rule in rules]
        self._counts = [0] * len(self._rules)

    def next(self, endpoint: str) -> Fault | None:
        """Count a request with every rule about `endpoint`; say what goes wrong with it, if anything."""
        found, meant = None, (endpoint,) if endpoint == WEBHOOK else (endpoint, None)
        for index, (rule, rng) in enumerate(self._rules):
            if rule.endpoint in meant:
                self._counts[index] += 1
                if rule.strikes(self._counts[index], rng) and found is None:
                    found = rng.choice(rule.faults)
        return found
