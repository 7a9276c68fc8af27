"""What becomes of one request: (state, event) → (state, command), without clock, chance or I/O.

The sending stack and the engine only carry out the commands. The failure classes are those of RFC 9110 and 9112
as far as a client can know them: what counts is not which exception was raised but how far the request got.

    READY ──Granted──▶ INTENDED ──Durable──▶ SENT ──Ended──▶ READY (RetryAfter) or ENDED
      └─────Granted (reads)──────────────────▲
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TypeAlias, assert_never

from bulkops.model import Effect, value

MOST_FAILURES = 8
"""Passing failures of one request before it counts as failed."""
MOST_POSTPONEMENTS = 100
"""Answers 408, 425 and 429 to one request before it counts as failed; the pace pauses everybody meanwhile."""
FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 30.0
LONGEST_ASKED = 120.0


class Sent(Enum):
    """How far a request got whose attempt ended without a status."""

    NOT_CONNECTED = "not connected"
    """No connection was made."""
    WITHHELD = "withheld"
    """Our body gate held the last chunk back, so no server can have a complete message (RFC 9112, section 8)."""
    GONE = "gone"
    """Everything may have left; whether it arrived cannot be known."""


@value
class Answered:
    """An attempt that heard a status.

    `readable`: the answer is whole and is what the API documents. `named`: it carries the id of what was made.
    `withheld`: the status came before the body gate was passed. `oversized`: the answer broke its size limit.
    """

    status: int
    readable: bool = True
    named: bool = True
    withheld: bool = False
    oversized: bool = False


@value
class Broken:
    """An attempt that heard no status."""

    sent: Sent


End: TypeAlias = Answered | Broken


class Verdict(Enum):
    """The class of an attempt's end."""

    DONE = "done"
    ID_UNKNOWN = "it took effect, but its answer could not be read"
    REFUSED = "refused"
    FORBIDDEN = "forbidden"
    KEY_REFUSED = "key refused"
    POSTPONED = "postponed"
    AGAIN = "a passing failure"
    UNREACHABLE = "unreachable"
    DOUBT = "it may have taken effect"


_POSTPONED = frozenset({408, 425, 429})
_KEY_REFUSED = frozenset({401, 402})
_PERMANENT_REDIRECTS = frozenset({307, 308})


def classify(effect: Effect, end: End, *, deletes: bool = False, repeated: bool = False) -> Verdict:
    """Return the class of an attempt's end.

    `deletes` and `repeated`: a deletion that may have happened before and now finds nothing is done.
    """
    once = effect in (Effect.CREATE, Effect.SPEND)
    match end:
        case Broken(Sent.NOT_CONNECTED):
            return Verdict.UNREACHABLE
        case Broken(Sent.WITHHELD):
            return Verdict.AGAIN
        case Broken():
            return Verdict.DOUBT if once else Verdict.AGAIN
        case Answered():
            return _classify_status(effect, end, once=once, gone_is_done=deletes and repeated)
        case _:
            assert_never(end)


def _classify_status(effect: Effect, end: Answered, *, once: bool, gone_is_done: bool) -> Verdict:
    status = end.status
    if 200 <= status < 300:
        return _classify_success(effect, end, once=once)
    if status == 404 and gone_is_done:
        return Verdict.DONE
    if status in _KEY_REFUSED:
        return Verdict.KEY_REFUSED
    if status == 403:
        return Verdict.FORBIDDEN
    if status in _POSTPONED:
        return Verdict.POSTPONED
    if 400 <= status < 500 or status in _PERMANENT_REDIRECTS:
        return Verdict.REFUSED
    if end.withheld:
        return Verdict.AGAIN
    if once:
        return Verdict.DOUBT
    # A redirect is never followed, and a read that is redirected once will be redirected again.
    return Verdict.REFUSED if 300 <= status < 400 else Verdict.AGAIN


def _classify_success(effect: Effect, end: Answered, *, once: bool) -> Verdict:
    if end.readable and end.named:
        return Verdict.DONE
    if once:
        return Verdict.ID_UNKNOWN
    if effect is Effect.IDEMPOTENT:
        # The effect is there, and the answer to it carries nothing that could not be read again.
        return Verdict.DONE
    return Verdict.REFUSED if end.oversized else Verdict.AGAIN


class Phase(Enum):
    """Where a request stands."""

    READY = "ready"
    INTENDED = "intended"
    SENT = "sent"
    ENDED = "ended"


@value
class Life:
    """The state of one request. `attempt` counts the attempts begun, also those of earlier runs.

    `perhaps`: one of them may have taken effect. A create never comes this far with it.
    """

    effect: Effect
    deletes: bool = False
    phase: Phase = Phase.READY
    attempt: int = 0
    failures: int = 0
    postponements: int = 0
    unreached: int = 0
    perhaps: bool = False


@value
class Granted:
    """The pace lets the request go now."""


@value
class Durable:
    """The intent is on disk."""


@value
class Ended:
    """The attempt is over; `chance` in [0, 1) spreads the wait before the next one.

    `asked` is how many seconds the server asked to wait (Retry-After); it is believed up to `LONGEST_ASKED`.
    """

    end: End
    chance: float = 0.0
    asked: float = 0.0


Event: TypeAlias = Granted | Durable | Ended


@value
class WriteIntent:
    """Write down, durably, that the request is about to be sent."""


@value
class SendNow:
    """Send it."""


@value
class Deliver:
    """Remember the answer and hand it to the operation."""


@value
class Refuse:
    """The request had no effect and will not be repeated: the operation hears of it."""

    verdict: Verdict


@value
class Hold:
    """The request may have taken effect: the operation is in doubt."""

    verdict: Verdict


@value
class RetryAfter:
    """Ask the pace again, not before so many seconds; `no_effect`: it is proven that nothing happened."""

    seconds: float
    verdict: Verdict
    no_effect: bool


@value
class StopRun:
    """Nothing can go on: the key is refused. The request had no effect, its operation stays pending."""

    verdict: Verdict


Command: TypeAlias = WriteIntent | SendNow | Deliver | Refuse | Hold | RetryAfter | StopRun


_WRITE_INTENT, _SEND_NOW, _DELIVER = WriteIntent(), SendNow(), Deliver()


def advance(life: Life, event: Event) -> tuple[Life, Command]:
    """Return the next state and what to do. An event that cannot happen in a state raises ValueError."""
    phase = life.phase
    if isinstance(event, Granted) and phase is Phase.READY:
        reads = life.effect is Effect.READ
        begun = _at(life, Phase.SENT if reads else Phase.INTENDED, life.attempt + 1)
        return begun, _SEND_NOW if reads else _WRITE_INTENT
    if isinstance(event, Durable) and phase is Phase.INTENDED:
        return _at(life, Phase.SENT, life.attempt), _SEND_NOW
    if isinstance(event, Ended) and phase in (Phase.INTENDED, Phase.SENT):
        return _ended(life, event)
    raise ValueError(f"{event} cannot happen to a request that is {phase.value}")


def _at(life: Life, phase: Phase, attempt: int) -> Life:
    # Three times for each request: `replace` takes ten times as long.
    return Life(
        life.effect,
        life.deletes,
        phase,
        attempt,
        life.failures,
        life.postponements,
        life.unreached,
        life.perhaps,
    )


def _ended(life: Life, event: Ended) -> tuple[Life, Command]:
    verdict = classify(life.effect, event.end, deletes=life.deletes, repeated=life.perhaps)
    if verdict is Verdict.DONE:
        return _at(life, Phase.ENDED, life.attempt), _DELIVER
    life = replace(life, perhaps=life.perhaps or not _without_effect(event.end))
    over = replace(life, phase=Phase.ENDED)
    match verdict:
        case Verdict.REFUSED | Verdict.FORBIDDEN:
            return over, Refuse(verdict)
        case Verdict.KEY_REFUSED:
            return over, StopRun(verdict)
        case Verdict.ID_UNKNOWN | Verdict.DOUBT:
            return over, Hold(verdict)
        case Verdict.POSTPONED:
            later = replace(life, phase=Phase.READY, postponements=life.postponements + 1)
            # The pace has heard the answer too and pauses everybody; this request needs no wait of its own.
            return _again(later, over, verdict, wait=0.0, spent=later.postponements >= MOST_POSTPONEMENTS)
        case Verdict.AGAIN:
            later = replace(life, phase=Phase.READY, failures=life.failures + 1)
            wait = max(backoff(later.failures, event.chance), min(event.asked, LONGEST_ASKED))
            return _again(later, over, verdict, wait, spent=later.failures >= MOST_FAILURES)
        case Verdict.UNREACHABLE:
            # How long an unreachable server is waited for is the run's decision, not this request's.
            later = replace(life, phase=Phase.READY, unreached=life.unreached + 1)
            return _again(later, over, verdict, backoff(later.unreached, event.chance), spent=False)
        case _:
            assert_never(verdict)


def _again(later: Life, over: Life, verdict: Verdict, wait: float, *, spent: bool) -> tuple[Life, Command]:
    if spent:
        return over, Refuse(verdict)
    return later, RetryAfter(wait, verdict, no_effect=not later.perhaps)


def _without_effect(end: End) -> bool:
    # A create is repeated only after proof, so what would have it repeated is the proof, whatever the effect.
    return classify(Effect.CREATE, end) in (Verdict.UNREACHABLE, Verdict.POSTPONED, Verdict.AGAIN)


def backoff(failures: int, chance: float) -> float:
    """Return the seconds before the next attempt: doubling from half a second, at most 30, half of it chance.

    Full doubling with "equal jitter": waits differ between requests, yet none comes back at once.
    """
    ceiling = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures - 1, 16))
    return ceiling * (0.5 + 0.5 * chance)


@value
class Remembered:
    """What the checkpoint says of an effectful request that an earlier run began."""

    attempt: int
    intent: bool
    """It was about to be sent, or sent, and nothing proves that it had no effect."""


def begin(effect: Effect, *, deletes: bool = False, remembered: Remembered | None = None) -> Life | Hold:
    """Return the state in which a request starts, or that it has to be held.

    A create whose intent has no outcome is in doubt; what may be repeated simply is.
    """
    if remembered is None:
        return Life(effect, deletes)
    if remembered.intent and effect in (Effect.CREATE, Effect.SPEND):
        return Hold(Verdict.DOUBT)
    return Life(effect, deletes, attempt=remembered.attempt, perhaps=remembered.intent)
