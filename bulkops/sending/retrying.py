"""Again, as the lifecycle commands; and the decisions that concern everybody: a refused key, an unreachable server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import anyio

from bulkops.errors import InDoubt, KeyRefused, OperationFailed, Unreachable
from bulkops.lifecycle import Answered, Broken, Deliver, Hold, Refuse, RetryAfter, Sent, StopRun, Verdict
from bulkops.sending.attempt import Gate
from bulkops.told import silent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bulkops.sending.attempt import Attempt, Heard, Sender
    from bulkops.told import Told

FIRST_ANSWERS = 10
"""When so many first answers are all 403, it is the key that is refused, not the lines."""


class Retrying:
    """Repeat attempts until the request is delivered, refused or held.

    `give_up_after`: seconds without reaching the server at all after which the run stops. `sleep` is how to wait:
    the engine gives one that ends early when the run is being stopped.
    """

    def __init__(
        self,
        inner: Sender,
        *,
        give_up_after: float,
        time_scale: float = 1.0,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        told: Told = silent,
    ) -> None:
        self._inner = inner
        self._give_up_after = give_up_after
        self._time_scale = time_scale
        self._sleep = sleep
        self._told = told
        self._unreachable_since: float | None = None
        self._answers = 0
        self._only_forbidden = True
        self.requests = 0
        self.retries = 0
        self.forbidden: set[bytes] = set()
        """Whose request was refused with 403 while it may still have been the key's fault."""

    async def send(self, attempt: Attempt) -> Heard:
        """Make the request until it is settled.

        Raises OperationFailed (refused), InDoubt (held), KeyRefused and Unreachable (the run cannot go on).
        """
        while True:
            self.requests += 1
            heard = await self._inner.send(attempt)
            self._watch(attempt, heard)
            match heard.command:
                case Deliver():
                    return heard
                case RetryAfter(seconds=seconds):
                    self.retries += 1
                    self._told(
                        "retry", endpoint=attempt.request.endpoint, seconds=seconds, reason=_said(heard)
                    )
                    if seconds:
                        await self._sleep(seconds / self._time_scale)
                    attempt = replace(attempt, life=heard.life, gate=Gate())
                case Hold(verdict=verdict):
                    doubt = InDoubt(f"{verdict.value}: {_said(heard)}")
                    doubt.attempts = heard.life.attempt
                    doubt.sure = heard.life.sure
                    if isinstance(heard.end, Answered) and heard.end.repeated:
                        doubt.repeated = heard.entity
                    raise doubt
                case StopRun():
                    raise KeyRefused(f"the server refuses the key: {_said(heard)}")
                case Refuse(verdict=verdict):
                    _refuse(attempt, heard, verdict)
                case command:
                    raise ValueError(f"{command} does not end an attempt")

    def _watch(self, attempt: Attempt, heard: Heard) -> None:
        """Keep an eye on what concerns everybody."""
        if isinstance(heard.end, Broken) and heard.end.sent is Sent.NOT_CONNECTED:
            self._count_unreachable(heard)
            return
        self._unreachable_since = None
        if isinstance(heard.end, Answered) and self._only_forbidden:
            self._count_forbidden(attempt, heard, heard.end.status)

    def _count_forbidden(self, attempt: Attempt, heard: Heard, status: int) -> None:
        if status == 403:
            self._answers += 1
            self.forbidden.add(attempt.key)
            # Also those that were under way when the tenth came: it is still the key.
            if self._answers >= FIRST_ANSWERS:
                raise KeyRefused(f"the first {FIRST_ANSWERS} answers were all 403: {_said(heard)}")
        elif self._answers < FIRST_ANSWERS:
            self._only_forbidden = False
            self.forbidden.clear()

    def _count_unreachable(self, heard: Heard) -> None:
        now = anyio.current_time()
        if self._unreachable_since is None:
            self._unreachable_since = now
            self._told("unreachable", reason=heard.reason)
        elif (now - self._unreachable_since) * self._time_scale >= self._give_up_after:
            raise Unreachable(
                f"the server could not be reached for {self._give_up_after:.0f} s: {heard.reason}"
            )


def _refuse(attempt: Attempt, heard: Heard, verdict: Verdict) -> NoReturn:
    status = heard.end.status if isinstance(heard.end, Answered) else None
    given_up = verdict in (Verdict.AGAIN, Verdict.POSTPONED)
    tries = f" (after {heard.life.attempt} attempts)" if given_up else ""
    failure = OperationFailed(
        heard.code or ("gave_up" if given_up else "refused"),
        f"{attempt.request.endpoint}: {_said(heard)}{tries}",
        status=status,
        request_id=heard.request_id,
    )
    failure.attempts = heard.life.attempt
    raise failure


def _said(heard: Heard) -> str:
    if isinstance(heard.end, Answered) and not heard.reason.startswith("HTTP "):
        return f"HTTP {heard.end.status}: {heard.reason}" if heard.reason else f"HTTP {heard.end.status}"
    return heard.reason
