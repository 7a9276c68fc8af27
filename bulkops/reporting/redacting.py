"""Keeps secrets out of texts, logs and tracebacks."""

from __future__ import annotations

import base64
import json
import logging
import re
import sys
import threading
import traceback
from typing import TYPE_CHECKING, TextIO
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from bulkops.settings import Secret

HIDDEN = "***"
_SHORTEST_CORE = 8
"""A piece of base64 shorter than this is found in innocent texts, too."""


class Redacting:
    """Replaces secrets in texts: as they are, in base64 (also inside a longer one), URL-encoded, in JSON."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        forms = {form for secret in secrets if secret.reveal() for form in _forms(secret.reveal())}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)


class RedactingFilter(logging.Filter):
    """Redacts log records, tracebacks included. It belongs on handlers: they see what all loggers say."""

    def __init__(self, redact: Redacting) -> None:
        super().__init__()
        self._redact = redact

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record; all pass."""
        record.msg, record.args = self._redact(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            # A formatter shows this text and does not make its own from `exc_info`.
            record.exc_text = self._redact(record.exc_text)
        if record.stack_info:
            record.stack_info = self._redact(record.stack_info)
        return True


def install_excepthook(redact: Redacting, stream: TextIO | None = None) -> None:
    """From now on show exceptions that nobody handles, of all threads, redacted (to stderr, unless given)."""

    def show(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        lines = traceback.format_exception(kind, error, trace)
        print(redact("".join(lines)), end="", file=stream or sys.stderr)

    def show_of_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit:
            show(args.exc_type, args.exc_value, args.exc_traceback)

    def show_unraisable(args: sys.UnraisableHookArgs) -> None:
        show(args.exc_type, args.exc_value, args.exc_traceback)

    sys.excepthook = show
    threading.excepthook = show_of_thread
    sys.unraisablehook = show_unraisable


def _forms(secret: str) -> Iterator[str]:
    yield secret
    data = secret.encode()
    yield base64.b64encode(data).decode()
    yield base64.urlsafe_b64encode(data).decode()
    yield from _cores(data)
    for encoded in (quote(secret, safe=""), quote_plus(secret), quote(secret)):
        yield encoded
        yield re.sub("%..", lambda escape: escape[0].lower(), encoded)
    yield json.dumps(secret)[1:-1]
    yield repr(secret)[1:-1]


def _cores(data: bytes) -> Iterator[str]:
    """Yield what base64 makes of a secret within something longer, as in `Basic` credentials.

    Three bytes become four characters, so there are three ways to stand; the characters at both ends that
    also depend on the neighbours are left off.
    """
    for before in range(3):
        padded = bytes(before) + data
        encoded = base64.b64encode(padded).decode().rstrip("=")
        first = (before * 8 + 5) // 6
        core = encoded[first : len(padded) * 8 // 6]
        if len(core) >= _SHORTEST_CORE:
            yield core
            yield core.translate(str.maketrans("+/", "-_"))
