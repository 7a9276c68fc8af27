"""File names from texts that come from elsewhere: ids of the server, names of the job."""

from __future__ import annotations

import hashlib
import re

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,119}")
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}
)


def safe_name(text: str) -> str:
    """Return a file name without its suffix: the text itself where it is harmless, else its digest.

    Harmless are letters, digits, `_` and `-`, at most 120, no sign in front, and no device of Windows.
    """
    if _SAFE.fullmatch(text) and text.lower() not in _DEVICES:
        return text
    return f"x-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
