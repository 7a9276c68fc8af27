"""How an attempt at a request ended, and what that proves: the failure classes of RFC 9110 and 9112.

What counts is not which exception was raised but how far the request got.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias, assert_never

from bulkops.model import Effect, value


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
    `repeated`: the answer to another request named that id before, so one of the two was not meant for its request.
    `spent`: it says that the account has nothing left to pay with.
    """

    status: int
    readable: bool = True
    named: bool = True
    withheld: bool = False
    oversized: bool = False
    repeated: bool = False
    spent: bool = False


@value
class Broken:
    """An attempt that heard no status."""

    sent: Sent


End: TypeAlias = Answered | Broken


class Verdict(Enum):
    """The class of an attempt's end."""

    DONE = "done"
    ID_UNKNOWN = "it took effect, but what it made is not known"
    REFUSED = "refused"
    FORBIDDEN = "forbidden"
    KEY_REFUSED = "key refused"
    SPENT = "nothing left of the account's quota"
    POSTPONED = "postponed"
    AGAIN = "a passing failure"
    UNREACHABLE = "unreachable"
    DOUBT = "it may have taken effect"


_DONE = Verdict.DONE
_ONCE = (Effect.CREATE, Effect.SPEND)
_POSTPONED = frozenset({408, 425, 429})
_KEY_REFUSED = frozenset({401, 402})
_PERMANENT_REDIRECTS = frozenset({307, 308})


def classify(effect: Effect, end: End, *, deletes: bool = False, repeated: bool = False) -> Verdict:
    """Return the class of an attempt's end.

    `deletes` and `repeated`: a deletion that may have happened before and now finds nothing is done.
    """
    once = effect in _ONCE
    if isinstance(end, Answered):
        return _classify_status(effect, end, once=once, gone_is_done=deletes and repeated)
    match end.sent:
        case Sent.NOT_CONNECTED:
            return Verdict.UNREACHABLE
        case Sent.WITHHELD:
            return Verdict.AGAIN
        case Sent.GONE:
            return Verdict.DOUBT if once else Verdict.AGAIN
        case _:
            assert_never(end.sent)


def _classify_status(effect: Effect, end: Answered, *, once: bool, gone_is_done: bool) -> Verdict:
    status = end.status
    if 200 <= status < 300:
        return _classify_success(effect, end, once=once)
    if status == 404 and gone_is_done:
        return Verdict.DONE
    if end.spent:
        return Verdict.SPENT
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
    if end.readable and end.named and not end.repeated:
        return _DONE
    if once:
        return Verdict.ID_UNKNOWN
    if effect is Effect.IDEMPOTENT:
        # The effect is there, and the answer to it carries nothing that could not be read again.
        return Verdict.DONE
    return Verdict.REFUSED if end.oversized else Verdict.AGAIN
