"""Intent before the first byte, the classified end after the last: nothing is sent that is not written down."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import orjson

from bulkops.checkpoint import StepRow, StepState
from bulkops.errors import OperationFailed
from bulkops.lifecycle import (
    Answered,
    Broken,
    Deliver,
    Durable,
    Ended,
    Granted,
    Hold,
    Refuse,
    RetryAfter,
    SendNow,
    Sent,
    StopRun,
    Verdict,
    WriteIntent,
    advance,
)
from bulkops.model import Effect
from bulkops.sending.clock import ServerClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.checkpoint import Checkpoint
    from bulkops.lifecycle import (
        Command,
        Life,
    )
    from bulkops.sending.attempt import Attempt, Heard, Sender

_GRANTED, _DURABLE = Granted(), Durable()
_READ, _CREATE = Effect.READ, Effect.CREATE
_INTENT, _DONE = StepState.INTENT, StepState.DONE
LONGEST_RECORDING = 5.0
"""Seconds that a run which is being stopped still gives the checkpoint to write an end down."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Record each attempt at a request that could have an effect. Reads pass through."""

    inner: Sender
    checkpoint: Checkpoint
    chance: Callable[[], float] = random.random
    clock: ServerClock = field(default_factory=ServerClock)

    async def send(self, attempt: Attempt) -> Heard:
        """Make the attempt; what is heard carries the next state and command of the lifecycle."""
        life, command = advance(attempt.life, _GRANTED)
        since = (self.clock.now(attempt.account) or 0.0) if life.effect is _CREATE else 0.0
        try:
            if isinstance(command, WriteIntent):
                await self.checkpoint.intend(_row(attempt, life, _INTENT, since))
                life, command = advance(life, _DURABLE)
            assert isinstance(command, SendNow)
            heard = await self.inner.send(attempt)
            self.clock.hear(heard.headers, attempt.account)
        except BaseException as error:
            # Cancelled, or the body could not be produced: the gate knows whether anything can have happened.
            reason = str(error) if isinstance(error, OperationFailed) else "the run was stopped"
            with anyio.move_on_after(LONGEST_RECORDING, shield=True):
                await self._abandoned(attempt, life, reason, since)
            raise
        life, command = advance(life, Ended(heard.end, self.chance(), heard.asked))
        if life.effect is not _READ:
            reply = orjson.dumps(heard.json) if isinstance(command, Deliver) else None
            evidence = (
                _evidence(heard.entity) if isinstance(heard.end, Answered) and heard.end.repeated else None
            )
            # Not awaited: it rides along with what follows, the next intent or the operation's outcome.
            state = _DONE if reply is not None else _state_after(command)
            delivered = heard.entity if reply is not None else None
            why = f"{heard.reason}{heard.trace}" if heard.reason else None
            self.checkpoint.note(_row(attempt, life, state, since, delivered, reply, why, evidence))
        heard.life, heard.command = life, command
        return heard

    async def _abandoned(self, attempt: Attempt, life: Life, reason: str, since: float) -> None:
        if life.effect is Effect.READ:
            return
        sent = Sent.GONE if attempt.gate.passed else Sent.WITHHELD
        life, command = advance(life, Ended(Broken(sent)))
        self.checkpoint.note(_row(attempt, life, _state_after(command), since, reason=reason))
        await self.checkpoint.flush()


def _state_after(command: Command) -> StepState:
    match command:
        case Deliver():
            return StepState.DONE
        case Hold(Verdict.ID_UNKNOWN):
            return StepState.MADE
        case Hold():
            return StepState.UNKNOWN
        case RetryAfter(no_effect=False):
            return StepState.INTENT
        case Refuse() | RetryAfter() | StopRun():
            return StepState.NO_EFFECT
        case _:
            raise ValueError(f"{command} does not end an attempt")


def _row(
    attempt: Attempt,
    life: Life,
    state: StepState,
    since: float,
    entity: str | None = None,
    reply: bytes | None = None,
    reason: str | None = None,
    evidence: bytes | None = None,
) -> StepRow:
    return StepRow(
        attempt.key,
        attempt.number,
        attempt.request.endpoint,
        life.attempt,
        state,
        entity,
        reply,
        reason,
        time.time(),
        attempt.digest,
        since,
        evidence,
    )


def _evidence(repeated: str | None) -> bytes:
    """Return what is kept of an answer that names an id again: the other operation may not have heard of it yet."""
    return orjson.dumps({"repeated": repeated})
