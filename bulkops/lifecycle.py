"""What becomes of one request: (state, event) → (state, command), without clock, chance or I/O.

The sending stack and the engine only carry out the commands.

    READY ──Granted──▶ INTENDED ──Durable──▶ SENT ──Ended──▶ READY (RetryAfter), ENDED or DOUBT
      └─────Granted (reads)──────────────────▲
    DOUBT ──Found──▶ ENDED    ──Absent──▶ READY    ──Held──▶ HELD ──Chosen──▶ ENDED or READY
    ENDED ──Repeated──▶ DOUBT

A process that ends between Granted and the record of Ended leaves an intent: `begin` puts such a create in DOUBT.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Final, TypeAlias, assert_never

from bulkops.ends import Answered, Broken, End, Sent, Verdict, classify
from bulkops.model import Absent, Effect, Found, Held, value

MOST_FAILURES = 8
"""Passing failures of one request before it counts as failed."""
MOST_ABSENCES = 3
"""So often one request may be in doubt and found to have had no effect before it counts as failed."""
MOST_POSTPONEMENTS = 100
"""Answers 408, 425 and 429 to one request before it counts as failed; the pace pauses everybody meanwhile."""
FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 30.0
LONGEST_ASKED = 120.0


class Phase(Enum):
    """Where a request stands."""

    READY = "ready"
    INTENDED = "intended"
    SENT = "sent"
    DOUBT = "in doubt"
    HELD = "held"
    ENDED = "ended"


@value
class Life:
    """The state of one request. `attempt` counts the attempts begun, also those of earlier runs.

    `perhaps`: one of them may have taken effect. A create goes on with it only because the user said so.
    """

    effect: Effect
    deletes: bool = False
    phase: Phase = Phase.READY
    attempt: int = 0
    failures: int = 0
    postponements: int = 0
    unreached: int = 0
    perhaps: bool = False
    absences: int = 0
    sure: bool = False
    """It did take effect, and the id of what it made is not known: never to be sent again."""


class Choice(Enum):
    """What a user can decide about a request in doubt."""

    ADOPT = "adopt"
    RETRY = "retry"
    SKIP = "skip"


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


@value
class Chosen:
    """The user decided; `entity` is what was named to be adopted."""

    choice: Choice
    entity: str | None = None


@value
class Repeated:
    """The answer to another request named the id that the answer to this one had named: nobody knows whose it is."""


Event: TypeAlias = Granted | Durable | Ended | Found | Absent | Held | Chosen | Repeated


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
    """The request may have taken effect, or did: the operation is in doubt."""

    verdict: Verdict


@value
class Adopt:
    """The request took effect and this is what it made: remember that and hand it to the operation."""

    entity: str


@value
class SendAgain:
    """Ask the pace again: it had no effect, or the user takes the risk that it had one."""

    possible_duplicate: bool


@value
class Keep:
    """What became of it cannot be told: hold it until the user decides."""

    reason: str


@value
class Skip:
    """The user gives the operation up."""


@value
class RetryAfter:
    """Ask the pace again, not before so many seconds; `no_effect`: it is proven that nothing happened."""

    seconds: float
    verdict: Verdict
    no_effect: bool


@value
class StopRun:
    """Nothing can go on: the key is refused, or its quota spent.

    The request had no effect, its operation stays pending.
    """

    verdict: Verdict


Command: TypeAlias = (
    WriteIntent | SendNow | Deliver | Refuse | Hold | RetryAfter | StopRun | Adopt | SendAgain | Keep | Skip
)


_WRITE_INTENT, _SEND_NOW, _DELIVER = WriteIntent(), SendNow(), Deliver()
# Python 3.11 takes as long to look a member up at its class as to make a small object: looked up once.
_READY, _INTENDED, _SENT, _DOUBT, _HELD, _ENDED = Phase
_READ = Effect.READ
_DONE: Final = Verdict.DONE


def advance(life: Life, event: Event) -> tuple[Life, Command]:
    """Return the next state and what to do. An event that cannot happen in a state raises ValueError."""
    phase = life.phase
    if isinstance(event, Granted) and phase is _READY:
        reads = life.effect is _READ
        begun = _at(life, _SENT if reads else _INTENDED, life.attempt + 1)
        return begun, _SEND_NOW if reads else _WRITE_INTENT
    if isinstance(event, Durable) and phase is _INTENDED:
        return _at(life, _SENT, life.attempt), _SEND_NOW
    if isinstance(event, Ended) and phase in (_INTENDED, _SENT):
        return _ended(life, event)
    if isinstance(event, Found | Absent | Held | Chosen) and phase in (_DOUBT, _HELD):
        return _resolved(life, event)
    if isinstance(event, Repeated) and phase is Phase.ENDED:
        return replace(life, phase=Phase.DOUBT, perhaps=True, sure=True), Hold(Verdict.ID_UNKNOWN)
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
        life.absences,
        life.sure,
    )


def _ended(life: Life, event: Ended) -> tuple[Life, Command]:
    verdict = classify(life.effect, event.end, deletes=life.deletes, repeated=life.perhaps)
    if verdict is _DONE:
        return _at(life, _ENDED, life.attempt), _DELIVER
    life = replace(life, perhaps=life.perhaps or not _without_effect(event.end))
    over = replace(life, phase=Phase.ENDED)
    match verdict:
        case Verdict.REFUSED | Verdict.FORBIDDEN:
            return over, Refuse(verdict)
        case Verdict.KEY_REFUSED | Verdict.SPENT:
            return over, StopRun(verdict)
        case Verdict.ID_UNKNOWN | Verdict.DOUBT:
            return replace(life, phase=Phase.DOUBT, sure=verdict is Verdict.ID_UNKNOWN), Hold(verdict)
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


def _resolved(life: Life, event: Found | Absent | Held | Chosen) -> tuple[Life, Command]:
    match event:
        case Found(entity) | Chosen(Choice.ADOPT, str(entity)):
            return replace(life, phase=Phase.ENDED), Adopt(entity)
        case Absent() if not life.sure:
            # As if it had never been sent. A server that fails each time is not asked for ever.
            later = replace(life, phase=Phase.READY, perhaps=False, absences=life.absences + 1)
            if later.absences >= MOST_ABSENCES:
                return replace(later, phase=Phase.ENDED), Refuse(Verdict.AGAIN)
            return later, SendAgain(possible_duplicate=False)
        case Held(reason):
            return replace(life, phase=Phase.HELD), Keep(reason)
        case Chosen(Choice.RETRY):
            return replace(life, phase=Phase.READY, sure=False), SendAgain(possible_duplicate=True)
        case Chosen(Choice.SKIP):
            return replace(life, phase=Phase.ENDED), Skip()
        case _:
            raise ValueError(f"{event} cannot happen to a request that {Verdict.ID_UNKNOWN.value}")


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
    sure: bool = False
    """It took effect, and the id of what it made is not known."""


def begin(effect: Effect, *, deletes: bool = False, remembered: Remembered | None = None) -> Life:
    """Return the state in which a request starts.

    A create whose intent has no outcome is in doubt; what may be repeated simply is.
    """
    if remembered is None:
        return Life(effect, deletes)
    doubtful = remembered.intent and effect in (Effect.CREATE, Effect.SPEND)
    return Life(
        effect,
        deletes,
        Phase.DOUBT if doubtful else Phase.READY,
        attempt=remembered.attempt,
        perhaps=remembered.intent,
        sure=doubtful and remembered.sure,
    )


__all__ = [
    "Absent",
    "Adopt",
    "Answered",
    "Broken",
    "Choice",
    "Chosen",
    "Command",
    "Deliver",
    "Durable",
    "End",
    "Ended",
    "Event",
    "Found",
    "Granted",
    "Held",
    "Hold",
    "Keep",
    "Life",
    "Phase",
    "Refuse",
    "Remembered",
    "Repeated",
    "RetryAfter",
    "SendAgain",
    "SendNow",
    "Sent",
    "Skip",
    "StopRun",
    "Verdict",
    "WriteIntent",
    "advance",
    "backoff",
    "begin",
    "classify",
]
