"""What the headers of an answer tell about the limit: untrusted text in, numbers or None out."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from bulkops.model import value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulkops.api.profile import RateHeaders

ROUNDING = 1.0
"""Reset and Date are whole seconds: their difference may fall short by one."""

_LONGEST_WHOLE = 10
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")


LONGEST_DELTA = 1e8
"""A reset below this is no epoch time but the seconds until then."""


@value
class Told:
    """What the headers of an answer said; None where they did not, or not in a way that can be meant."""

    limit: int | None = None
    remaining: int | None = None
    """How many more requests the server will take now."""
    most_in_flight: int | None = None
    now_in_flight: int | None = None
    """How many are in flight, this one and everybody else's among them."""
    reset: float | None = None
    """Seconds until all is as at first; only looked at after a refusal, like the next."""
    retry_after: float | None = None


_NOTHING = Told()


def read(names: RateHeaders, headers: Mapping[str, str], *, refused: bool, wall: float) -> Told:
    """Return what the headers say; `wall` is the local epoch time."""
    limit, remaining = headers.get(names.limit), headers.get(names.remaining)
    most = headers.get(names.most_in_flight)
    if limit is None and remaining is None and most is None and not refused:
        return _NOTHING
    return Told(
        None if limit is None else _whole(limit) or None,
        None if remaining is None else _whole(remaining),
        None if most is None else _whole(most) or None,
        None if most is None else _whole(headers.get(names.now_in_flight, "")),
        seconds_to_reset(names, headers, wall) if refused else None,
        seconds_to_retry(names, headers, wall) if refused else None,
    )


def seconds_to_reset(names: RateHeaders, headers: Mapping[str, str], wall: float) -> float | None:
    """Return in how many seconds the limit starts anew; None unless that is in the future.

    The reset is measured against the answer's own Date, so a wrong clock on either side does not matter;
    `wall`, the local epoch time, stands in for a missing Date.
    """
    reset = _number(headers.get(names.reset))
    if reset is not None and 0 < reset < LONGEST_DELTA:
        return reset + ROUNDING
    if reset is None or reset <= (now := _sent_at(headers, wall)):
        return None
    return reset - now + ROUNDING


def seconds_to_retry(names: RateHeaders, headers: Mapping[str, str], wall: float) -> float | None:
    """Return the wait that Retry-After asks for, given as seconds or as a date (RFC 9110, 10.2.3)."""
    text = headers.get(names.retry_after)
    if (seconds := _number(text)) is not None:
        return seconds or None
    date = _date(text)
    return None if date is None or date <= (now := _sent_at(headers, wall)) else date - now


def sent_at(headers: Mapping[str, str]) -> float | None:
    """Return when an answer was made by the server's clock, in whole epoch seconds; None where it does not say."""
    return _date(headers.get("date"))


def _sent_at(headers: Mapping[str, str], wall: float) -> float:
    date = sent_at(headers)
    return wall if date is None else date


def _whole(text: str) -> int | None:
    text = text.strip()
    # Only these ten are both ASCII and digits; no pattern is needed to tell, which would take as long as all the rest.
    return int(text) if len(text) <= _LONGEST_WHOLE and text.isascii() and text.isdigit() else None


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and _SECONDS.fullmatch(text := text.strip()) else None


def _date(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
