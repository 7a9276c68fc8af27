"""Moments as an API writes them."""

from __future__ import annotations

import re
from calendar import timegm
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkops.model import Json

_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d+)?(?:[Zz]|([+-])(\d\d):?(\d\d))")


def moment(said: Json) -> float | None:
    """Return the epoch seconds of a moment in RFC 3339, or of a number that is them already; None for all else."""
    if isinstance(said, int | float):
        return float(said)
    match = _RFC3339.fullmatch(said) if isinstance(said, str) else None
    if match is None:
        return None
    *parts, fraction, sign, hours, minutes = match.groups()
    seconds = timegm(tuple(map(int, parts))) + float(fraction or 0)
    if sign is None:
        return seconds
    offset = int(hours) * 3600 + int(minutes) * 60
    return seconds - offset if sign == "+" else seconds + offset
