"""Moments as an API writes them."""

from __future__ import annotations

import re
from calendar import timegm
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkops.model import Json

END = 253_402_300_800.0
"""The begin of the year 10,000."""
_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d+)?(?:[Zz]|([+-])(\d\d):?(\d\d))")


def moment(said: Json) -> float | None:
    """Return the epoch seconds of a moment in RFC 3339, or of a number that is them already; None for all else.

    Also for what is before 1970 or after the year 9999: no service has known such moments.
    """
    if isinstance(said, bool):
        return None
    if isinstance(said, int | float):
        return float(said) if 0 <= said < END else None
    match = _RFC3339.fullmatch(said) if isinstance(said, str) else None
    if match is None:
        return None
    *parts, fraction, sign, hours, minutes = match.groups()
    try:
        seconds = timegm(tuple(map(int, parts))) + float(fraction or 0)
    except ValueError:
        return None
    offset = 0 if sign is None else int(hours) * 3600 + int(minutes) * 60
    seconds += offset if sign == "-" else -offset
    return seconds if 0 <= seconds < END else None


def in_words(seconds: Json) -> str | None:
    """Return epoch seconds as a moment in RFC 3339, in UTC and whole seconds; None for all that is none."""
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < END:
        return None
    days, rest = divmod(int(seconds), 86_400)
    # Howard Hinnant, chrono-compatible low-level date algorithms, civil_from_days: years begin in March.
    era, day_of_era = divmod(days + 719_468, 146_097)
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9  # noqa: PLR2004 - ten months are left of the year after February
    year += 400 * era + (month <= 2)  # noqa: PLR2004 - see above
    hours, minutes = divmod(rest // 60, 60)
    return f"{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{rest % 60:02}Z"
