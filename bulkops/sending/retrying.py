"""Again, as the lifecycle commands; and the decisions that concern everybody: a refused key, an unreachable server."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import anyio

from bulkops.errors import InDoubt, KeyRefused, OperationFailed, Spent, Unreachable
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
    the engine gives one that ends early when the run is being stopped. `several`: there are several accounts, each
    with a key and a server of its own.
    """

    def __init__(
        self,
        inner: Sender,
        *,
        give_up_after: float,
        time_scale: float = 1.0,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        told: Told = silent,
        several: bool = False,
    ) -> None:
        self._inner = inner
        self._give_up_after = give_up_after
        self._time_scale = time_scale
        self._sleep = sleep
        self._told = told
        self._several = several
        self._unreachable_since: dict[str, float] = {}
        self._answers: Counter[str] = Counter()
        self._welcome: set[str] = set()
        """The accounts whose key is not refused: one of the first answers was no 403."""
        self.requests = 0
        self.retries = 0
        self._forbidden: dict[str, set[bytes]] = {}

    @property
    def forbidden(self) -> set[bytes]:
        """Whose request was refused with 403 while it may still have been the key's fault."""
        return set().union(*self._forbidden.values())

    async def send(self, attempt: Attempt) -> Heard:
        """Make the request until it is settled.

        Raises OperationFailed (refused), InDoubt (held), KeyRefused, Spent and Unreachable (the run cannot go on).
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
                    doubt = InDoubt(f"{verdict.value}: {_said(heard)}{heard.trace}")
                    doubt.attempts = heard.life.attempt
                    doubt.sure = heard.life.sure
                    if isinstance(heard.end, Answered) and heard.end.repeated:
                        doubt.repeated = heard.entity
                    raise doubt
                case StopRun(verdict=Verdict.SPENT):
                    raise Spent(f"the quota{self._of(attempt)} is spent: {_said(heard)}{heard.trace}")
                case StopRun():
                    what = heard.meaning or "the server refuses the key"
                    raise KeyRefused(f"{what}{self._of(attempt)}: {_said(heard)}{heard.trace}")
                case Refuse(verdict=verdict):
                    _refuse(attempt, heard, verdict)
                case command:
                    raise ValueError(f"{command} does not end an attempt")

    def _watch(self, attempt: Attempt, heard: Heard) -> None:
        """Keep an eye on what concerns everybody."""
        if isinstance(heard.end, Broken) and heard.end.sent is Sent.NOT_CONNECTED:
            self._count_unreachable(attempt, heard)
            return
        if self._unreachable_since:
            self._unreachable_since.pop(attempt.account, None)
        if isinstance(heard.end, Answered) and attempt.account not in self._welcome:
            self._count_forbidden(attempt, heard, heard.end.status)

    def _count_forbidden(self, attempt: Attempt, heard: Heard, status: int) -> None:
        account = attempt.account
        if status == 403:
            self._answers[account] += 1
            self._forbidden.setdefault(account, set()).add(attempt.key)
            # Also those that were under way when the tenth came: it is still the key.
            if self._answers[account] >= FIRST_ANSWERS:
                what = f"the first {FIRST_ANSWERS} answers{self._of(attempt)} were all 403"
                raise KeyRefused(f"{what}: {_said(heard)}{heard.trace}")
        elif self._answers[account] < FIRST_ANSWERS:
            self._welcome.add(account)
            self._forbidden.pop(account, None)

    def _count_unreachable(self, attempt: Attempt, heard: Heard) -> None:
        now = anyio.current_time()
        since = self._unreachable_since.get(attempt.account)
        if since is None:
            self._unreachable_since[attempt.account] = now
            self._told("unreachable", reason=heard.reason)
        elif (now - since) * self._time_scale >= self._give_up_after:
            of = self._of(attempt)
            raise Unreachable(
                f"the server{of} could not be reached for {self._give_up_after:.0f} s: {heard.reason}"
            )

    def _of(self, attempt: Attempt) -> str:
        return f" of account {attempt.account}" if self._several else ""


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
